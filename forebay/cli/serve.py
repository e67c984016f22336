"""`forebay up | api | worker`."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from forebay.settings import Settings

ReadyFd = Annotated[int | None, typer.Option("--ready-fd", hidden=True)]
Host = Annotated[str | None, typer.Option(help="Address of the API.", show_default="127.0.0.1")]
Port = Annotated[int | None, typer.Option(help="Port of the API; 0: any free one.", show_default="8000")]
MetricsPort = Annotated[int | None, typer.Option(help="Port of the worker's /metrics; 0: any free one. Unset: none.")]
Models = Annotated[Path | None, typer.Option(help="Model repository.", show_default="models")]
Home = Annotated[Path | None, typer.Option(help="Folder of the embedded default's files.", show_default=".forebay")]


def up(
    host: Host = None, port: Port = None, models: Models = None, home: Home = None, metrics_port: MetricsPort = None
) -> None:
    """API, worker and embedded store on this machine, until Ctrl-C."""
    from forebay.catalogs import open_catalog
    from forebay.settings import load
    from forebay.up import Up

    settings = load(host=host, port=port, models=models, home=home, metrics_port=metrics_port)
    open_catalog(settings)  # a mistake in a model is said once, not by each process
    commands = {
        "api": ["api", *_options(host=host, port=port, models=models, home=home)],
        "worker": ["worker", *_options(models=models, home=home, metrics_port=metrics_port)],
    }
    log_to_stderr()
    print(
        f"forebay: starting with models from {settings.models} and files under {settings.home} …",
        file=sys.stderr,
        flush=True,
    )
    serving = Up(commands, lambda line: print(f"forebay: {line}", file=sys.stderr, flush=True), settings.grace)

    def ready(said: dict[str, str]) -> None:
        commands["api"] += ["--port", said["api"].rpartition(":")[2]]  # started again, it keeps the port it has
        _say_up(settings, said)

    raise typer.Exit(serving.run(ready))


def api(
    host: Host = None, port: Port = None, models: Models = None, home: Home = None, ready_fd: ReadyFd = None
) -> None:
    """The submit/poll API."""
    from forebay.serving_api import serve_api
    from forebay.settings import load

    settings = load(host=host, port=port, models=models, home=home)
    log_to_stderr()
    raise typer.Exit(serve_api(settings, tell_ready("api", ready_fd)))


def worker(
    pool: Annotated[str | None, typer.Option(help="Serve the models of this pool.", show_default="default")] = None,
    models: Models = None,
    home: Home = None,
    metrics_port: MetricsPort = None,
    scoring: Annotated[
        bool, typer.Option("--scoring", help="Do scoring runs of the service instead of jobs, one at a time.")
    ] = False,
    ready_fd: ReadyFd = None,
) -> None:
    """A worker: pulls jobs, batches them, runs the models. SIGTERM drains, a second signal stops hard."""
    from forebay.settings import load

    settings = load(pool=pool, models=models, home=home, metrics_port=metrics_port)
    log_to_stderr()
    ready = tell_ready("worker", ready_fd)
    if scoring:
        from forebay.scoring_engine import scorer_of
        from forebay.serving_scoring import serve_scoring

        raise typer.Exit(serve_scoring(settings, ready, scorer_of))
    from forebay.serving import serve_worker

    raise typer.Exit(serve_worker(settings, ready))


def _options(**given: Any) -> list[str]:
    return [
        part
        for name, value in given.items()
        if value is not None
        for part in (f"--{name.replace('_', '-')}", str(value))
    ]


def tell_ready(name: str, ready_fd: int | None) -> Callable[[str], None]:
    def ready(where: str) -> None:
        if ready_fd is None:
            print(f"forebay {name} is ready: {where}", flush=True)
            return
        os.write(ready_fd, where.encode() + b"\n")
        os.close(ready_fd)

    return ready


def _say_up(settings: "Settings", said: dict[str, str]) -> None:
    url = said["api"]
    print(f"Forebay is up: {url}  (docs {url}/docs, Ctrl-C stops)", flush=True)
    print(f"worker: {said['worker']}", flush=True)


def log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("botocore").setLevel(logging.WARNING)  # else where each client found its credentials
