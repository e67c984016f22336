"""An output is neither the input, nor in it, nor around it: a run would read what it wrote, or replace what it read."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.s3.address import S3Address
from pipelines.scoring.addresses import parse
from pipelines.scoring.faults import BadOrder
from pipelines.scoring.storage.postgres.address import is_table


def check_apart(input: str, output: str) -> None:
    """Follows links, so that it may wait for a disk. Raises BadOrder."""
    if is_table(output):
        return
    source, target = parse(input, "input"), parse(output, "output")
    if isinstance(source, Path) and isinstance(target, Path):
        steps = [Path(os.path.realpath(each)).parts for each in (source, target)]
    elif isinstance(source, S3Address) and isinstance(target, S3Address):
        steps = [(_host(each), each.bucket, *filter(None, each.prefix.split("/"))) for each in (source, target)]
    else:
        return
    (inside, around), least = steps, min(map(len, steps))
    if inside[:least] == around[:least]:
        how = "is" if len(inside) == len(around) else "lies in" if len(around) > len(inside) else "holds"
        raise BadOrder(f"output {target}: it {how} the input, {source}: name an output beside it")


def _host(at: S3Address) -> str:
    return "" if at.endpoint is None else urlsplit(at.endpoint).netloc.lower()
