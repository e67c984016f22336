"""The front door: settings, wiring and the command line. The only place that names concrete classes."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("forebay")
except PackageNotFoundError:  # run from a source tree that was not installed
    __version__ = "0+unknown"
