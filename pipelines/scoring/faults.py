"""Why a run ends without publishing. Each is one line: what is wrong, where, what to do."""


class ScoreFault(Exception):
    """Nothing was published; what is done of the run is kept, and the same command goes on from there."""


class BadInput(ScoreFault):
    """The data set does not fit: no files, a missing column, a type that does not fit, a file that cannot be read."""


class BadOrder(ScoreFault):
    """What was asked for cannot be done: an expression, an option, an output that is there already."""


class InputChanged(ScoreFault):
    """Files of the input are not what they were when the run began."""


class OtherRun(ScoreFault):
    """A run of this name was begun with another order, or the output belongs to another run."""


class SharedOutput(OtherRun):
    """Rows of others are in the output, and stay: with --overwrite the run's go in among them."""


class RunBusy(ScoreFault):
    """Somebody else is at it."""


class LockLost(ScoreFault):
    """Somebody took the run over while we did not answer: this attempt must end."""


class TooManyRejects(ScoreFault):
    """More rows were rejected than --max-rejects allows."""


class StorageFault(ScoreFault):
    """The storage is full, away, or refuses."""


class Hung(ScoreFault):
    """The model's code does not come back."""


class Canceled(ScoreFault):
    """Stopped from outside; what is done is kept."""
