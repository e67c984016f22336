"""What can be wrong with a model before it serves. One line each: which file, what, what to do."""


class BadArtifact(Exception):
    """A model's file is missing, damaged, not what was declared, or of a kind that is never loaded."""


class RuntimeMissing(Exception):
    """The library that runs it is not installed; the message names the extra."""
