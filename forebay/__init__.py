"""The front door: settings, wiring and the command line. The only place that names concrete classes."""

from importlib import metadata


def version() -> str:
    """Of the installed distribution; looked up only when it is asked for."""
    try:
        return metadata.version("forebay")
    except metadata.PackageNotFoundError:  # run from a source tree that was not installed
        return "0+unknown"
