"""The front door: settings, wiring and the command line. The only place that names concrete classes."""


def version() -> str:
    """Of the installed distribution; looked up only when it is asked for."""
    from importlib import metadata  # takes a tenth of a second, which most commands can do without

    try:
        return metadata.version("forebay")
    except metadata.PackageNotFoundError:  # run from a source tree that was not installed
        return "0+unknown"
