"""`forebay`: the command."""

import typer

from forebay.cli import errors, serve

app = typer.Typer(
    help="Asynchronous, queue-backed inference workers.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve.up)
app.command()(serve.api)
app.command()(serve.worker)


def main() -> None:
    errors.run(app)


if __name__ == "__main__":
    main()
