"""`forebay`: the command."""

from typing import Annotated

import typer

import forebay
from forebay.cli import admin, dlq, errors, jobs, models, queue, results, score, serve, stream, submit


def _version(wanted: bool) -> None:
    if wanted:
        print(forebay.version())
        raise typer.Exit


def _forebay(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Asynchronous, queue-backed inference workers."""


app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    callback=_forebay,
)
for command in (
    serve.up,
    serve.api,
    serve.worker,
    stream.stream,
    submit.submit,
    results.result,
    results.cancel,
):
    app.command()(command)
app.add_typer(jobs.jobs, name="jobs")
app.add_typer(score.score_app, name="score")
app.add_typer(dlq.dlq, name="dlq")
app.add_typer(models.models_app, name="models")
app.add_typer(queue.queue, name="queue")
app.add_typer(admin.db, name="db")
app.command()(admin.config)


def main() -> None:
    errors.run(app)


if __name__ == "__main__":
    main()
