"""`forebay submit | result | cancel | jobs`: through the store itself, no server needed."""

import secrets
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.progress import track

from api.ids import Ids
from forebay.cli import options
from forebay.cli.errors import CommandError, Exit
from forebay.cli.output import as_json, iso, json_line, table
from schemas.jobs import DEFAULT_PRIORITY, DEFAULT_TENANT, Accepted, JobFilter, JobView, Purged, Submission
from schemas.states import TERMINAL, State

if TYPE_CHECKING:
    from pipelines.store.sql import SqlStore

CHUNK = 500
POLL_S = 0.1

jobs = typer.Typer(help="List jobs, count them, pause models.", no_args_is_help=True)


def submit(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    input: Annotated[str | None, typer.Option(help="One input as JSON.")] = None,
    file: Annotated[Path | None, typer.Option(help="JSON Lines, one input each; - reads standard input.")] = None,
    version: Annotated[str | None, typer.Option(help="Number or alias.")] = None,
    priority: Annotated[int, typer.Option(min=0, max=9, help="The higher runs first.")] = DEFAULT_PRIORITY,
    expires_in: Annotated[float | None, typer.Option(min=0.001, help="Seconds until it expires unstarted.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key, for a single input.")] = None,
    wait: Annotated[float | None, typer.Option(min=0, help="Seconds to wait for the results.")] = None,
    tenant: options.Tenant = DEFAULT_TENANT,
    models: options.Models = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Submit inputs; prints the ids. Bad lines are named and left out, and the exit code is 1 then."""
    from forebay import wiring
    from pipelines.inputs import InputCodec
    from pipelines.ports import InvalidInput

    settings = options.settings_with(home, models)
    found = wiring.open_catalog(settings).resolve(model, version)
    codec, new_id = InputCodec(found.spec), Ids(time.time, secrets.randbits)
    lines = list(_lines(input, file))
    if key is not None and len(lines) != 1:
        raise CommandError(f"--key names one job, there are {len(lines)} inputs", Exit.USAGE)
    submissions, bad = [], []
    for place, raw in lines:
        try:
            inputs = _inputs(raw)
            codec.decode(inputs)
        except (InvalidInput, ValueError) as fault:
            bad.append(f"{place}: {fault}")
            continue
        digest = sha256(msgspec.json.encode([model, found.version, priority, expires_in]) + inputs).digest()
        submissions.append(
            Submission(
                id=new_id(), tenant=tenant, model=found.name, version=found.version, inputs=inputs, digest=digest,
                idempotency_key=key, priority=priority, expires_in=expires_in, origin="cli",
            )
        )  # fmt: skip
    store = wiring.store_of(settings)
    ids = _send(store, submissions)
    notices = wiring.notices_of(settings)
    notices.work()
    for id in ids:
        json_line({"job_id": id}) if json else print(id)
    sys.stdout.flush()
    waited = Exit.OK if wait is None else _wait_all(store, tenant, ids, wait, json)
    for line in bad:
        print(f"forebay: {line}", file=sys.stderr)
    raise typer.Exit(Exit.FAILED if bad else waited)


def result(
    id: str,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for it to end.")] = 0.0,
    tenant: options.Tenant = DEFAULT_TENANT,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """A job's result. Exit code 0 when it succeeded, 3 unknown, 4 ended otherwise, 5 still pending."""
    store = options.existing_store(options.settings_with(home))
    raise typer.Exit(_wait_all(store, tenant, [id], wait, json, pending_shown=True))


def cancel(
    ids: list[str], tenant: options.Tenant = DEFAULT_TENANT, home: options.Home = None, json: options.Json = False
) -> None:
    """Cancel jobs that have not ended; prints the state each ended in."""
    store = options.existing_store(options.settings_with(home))
    found = store.cancel(tenant, ids)
    for id in ids:
        _show(found.get(id), id, json)
    if len(found) < len(set(ids)):
        _unknown(next(id for id in ids if id not in found))


@jobs.command("ls")
def ls(
    state: Annotated[State | None, typer.Option(help="Only this state.")] = None,
    model: options.Model = None,
    version: options.Version = None,
    since: options.Since = None,
    until: options.Until = None,
    limit: options.Limit = 50,
    tenant: options.Tenant = DEFAULT_TENANT,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """The newest jobs first."""
    store = options.existing_store(options.settings_with(home))
    wanted = JobFilter(state, model, version, options.point(since, "--since"), options.point(until, "--until"))
    views = store.list_jobs(tenant, wanted, limit).items
    if json:
        for view in views:
            json_line(_record(view))
        return
    rows = [(v.id, v.state, v.model, v.version, iso(v.timings.submitted_at), v.attempt, v.error or "") for v in views]
    table(("job", "state", "model", "version", "submitted", "attempt", "error"), rows)


@jobs.command("stats")
def stats(home: options.Home = None, json: options.Json = False) -> None:
    """Jobs by model, version and state, of all tenants."""
    counts = options.existing_store(options.settings_with(home)).counts()
    counts.sort(key=lambda count: (count.model, count.version, count.state))
    if json:
        for count in counts:
            json_line({"model": count.model, "version": count.version, "state": count.state, "count": count.count,
                       "oldest_at": iso(count.oldest_at)})  # fmt: skip
        return
    table(
        ("model", "version", "state", "jobs", "oldest"),
        [(c.model, c.version, c.state, c.count, iso(c.oldest_at)) for c in counts],
    )


@jobs.command("pause")
def pause(model: str, home: options.Home = None) -> None:
    """Claim nothing more of this model, on any worker, until it is resumed."""
    options.existing_store(options.settings_with(home)).pause(model, True)
    print(f"{model} is paused")


@jobs.command("resume")
def resume(model: str, home: options.Home = None) -> None:
    """Let a paused model run again."""
    from forebay import wiring

    settings = options.settings_with(home)
    options.existing_store(settings).pause(model, False)
    wiring.notices_of(settings).work()
    print(f"{model} is resumed")


def _lines(input: str | None, file: Path | None) -> Iterator[tuple[str, bytes]]:
    if (input is None) == (file is None):
        raise CommandError("give either --input or --file", Exit.USAGE)
    if input is not None:
        yield "--input", input.encode("utf-8", "surrogateescape")
        return
    assert file is not None
    try:
        stream = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    except OSError as fault:
        raise CommandError(f"{file}: {(fault.strerror or 'cannot be read').lower()}") from None
    with stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield f"line {number}", line.strip()


def _inputs(raw: bytes) -> bytes:
    """The input itself, or what stands under `inputs`."""
    try:
        given = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return raw  # the codec says what is wrong with it
    return bytes(given["inputs"]) if "inputs" in given else raw


def _send(store: "SqlStore", submissions: list[Submission]) -> list[str]:
    chunks = [submissions[n : n + CHUNK] for n in range(0, len(submissions), CHUNK)]
    ids: list[str] = []
    console = Console(stderr=True)
    for chunk in track(chunks, "submitting", console=console, disable=not console.is_terminal, transient=True):
        for outcome in store.submit(chunk):
            if not isinstance(outcome, Accepted):
                raise CommandError(f"the idempotency key belongs to job {outcome.id} with another input")
            ids.append(outcome.id)
    return ids


def _wait_all(
    store: "SqlStore", tenant: str, ids: list[str], wait: float, json: bool, pending_shown: bool = False
) -> Exit:
    deadline = time.monotonic() + wait
    while True:
        found = store.read(tenant, ids)
        missing = [id for id in ids if id not in found]
        if missing:
            _unknown(missing[0])
        open_ = [v for v in found.values() if isinstance(v, JobView) and v.state not in TERMINAL]
        if not open_ or time.monotonic() >= deadline:
            break
        time.sleep(min(POLL_S, max(0.0, deadline - time.monotonic())))
    for id in ids:
        if found[id] not in open_ or pending_shown:
            _show(found[id], id, json)
    if open_:
        return Exit.STILL_PENDING
    good = all(isinstance(v, JobView) and v.state is State.SUCCEEDED for v in found.values())
    return Exit.OK if good else Exit.JOB_NOT_SUCCEEDED


def _show(view: JobView | Purged | None, id: str, json: bool) -> None:
    if view is None:
        return
    if isinstance(view, Purged):
        raise CommandError(f"job {id} was purged by retention", Exit.NOT_FOUND)
    if json:
        json_line(_record(view))
    elif view.result is not None:
        print(view.result.decode())
    else:
        print(f"{view.id} {view.state}" + (f": {view.reason}: {view.error}" if view.error else ""))


def _record(view: JobView) -> dict[str, Any]:
    record: dict[str, Any] = {
        "job_id": view.id, "status": view.state, "model": view.model, "version": view.version,
        "priority": view.priority, "attempt": view.attempt, "generation": view.generation,
        "submitted_at": iso(view.timings.submitted_at), "started_at": iso(view.timings.started_at),
        "finished_at": iso(view.timings.finished_at),
    }  # fmt: skip
    if view.result is not None:
        record["result"] = as_json(view.result)
    if view.reason is not None:
        record["error"] = {"reason": view.reason, "message": view.error}
    if view.metadata is not None:
        record["metadata"] = as_json(view.metadata)
    return record


def _unknown(id: str) -> NoReturn:
    raise CommandError(f"no job {id}", Exit.NOT_FOUND)
