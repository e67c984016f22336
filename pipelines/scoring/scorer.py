"""What runs a scoring run, as the service's worker calls it."""

from collections.abc import Callable
from typing import TypeAlias

from schemas.scoring_runs import Progress, RunSummary, ScoringClaim

Report: TypeAlias = Callable[[Progress], bool]
"""Told how far the run is; answers whether it may go on. Cheap, never raises, any thread; it is called at least every few
seconds, since it is how a cancellation, a drain and a lost lease are heard of. Once False, it stays False. The first report
tells what earlier attempts left."""

Scorer: TypeAlias = Callable[[ScoringClaim, Report], RunSummary]
"""Does the whole run, from where an earlier attempt left it, and returns once it is published; called by one thread, one run at
a time, with a request whose locations were checked.

Raises ScoreFault for what one line can tell: it is shown to the client. When `report` answered False it commits nothing more
and raises Canceled, soon: what is done is kept, and another attempt goes on from there. A worker may be killed at any moment.
"""
