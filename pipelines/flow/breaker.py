"""The breaker: a device or a deploy that fails everything pauses its model here instead of filling the dead letters.

It is for a model that is broken, not for inputs that are bad. So it counts jobs, not attempts; an answer of late keeps it
closed, and for longer where it was somebody else's, none of whose jobs failed since; and what is tried after a pause is
the job that says most: none that failed before, none of whoever's failed.
"""

import threading
from collections.abc import Callable, Sequence

from msgspec import Struct, field

from pipelines.clock import Clock
from schemas.jobs import Claim
from schemas.reasons import Reason
from schemas.verdicts import Dead, Done, Retry, Verdict

TRIPS_AT = 10
"""Jobs that failed in a row, without one answer in between."""
ANSWER_HOLDS_S = 5.0
"""So long after an answer it stays closed. Longer would cost more dead letters where the model breaks while it runs."""
OTHERS_HOLD_S = 60.0
"""The same for the answer of a tenant of whom nothing failed since, while those whose jobs fail had none since: then it
is their inputs. Where theirs is the later one, it may be the model that broke in between."""
FIRST_PAUSE_S = 5.0
OTHERS_PAUSE_S = 4.0
"""The longest for a tenant of whom nothing failed yet: its jobs tell more, so that they are claimed before the others."""
FAILED_LATER_S = 1.0
"""A job that failed before comes back so much later than one that did not."""
LONGEST_PAUSE_S = 300.0
_DOUBLINGS = 10
"""Past the longest pause; a model may be broken for days."""

# An input that does not fit says nothing about the device.
_COUNTED = frozenset({Reason.MODEL_ERROR, Reason.INVALID_OUTPUT, Reason.OUT_OF_MEMORY, Reason.TIMEOUT})


class Moved(Struct, frozen=True):
    """A circuit opened, opened again, or closed."""

    model: str
    version: str
    pause: float
    """Seconds that it stays open from now; 0: it is closed."""
    why: str = ""
    """The last failure; empty when it closed."""

    @property
    def open(self) -> bool:
        return self.pause > 0


class _Circuit(Struct):
    failed: set[int] = field(default_factory=set)
    """Rows that failed since the last answer; no more than are counted."""
    tenants: set[str] = field(default_factory=set)
    """Whose they were."""
    answered: dict[str, float] = field(default_factory=dict)
    """When each tenant was last answered."""
    well: set[str] = field(default_factory=set)
    """Tenants that were answered, and of whom nothing failed since."""
    last_answer: float = float("-inf")
    unnamed: int = 0
    """Failures that were told of without their claim; each is another record."""
    trips: int = 0
    opened: float = 0.0
    open_until: float = 0.0


class Breaker:
    """Per model version. After each pause one failure is enough to open it again, for twice as long. Thread-safe: hooks
    fail at intake, runs on the device."""

    def __init__(self, clock: Clock, holds: float = 0.0, tell: Callable[[Moved], None] = lambda moved: None) -> None:
        """`holds`: seconds for which an answer keeps it closed, however much fails."""
        self._clock = clock
        self._holds = holds
        self._tell = tell
        self._lock = threading.Lock()
        self._circuits: dict[tuple[str, str], _Circuit] = {}

    def pause_left(self, model: str, version: str, tenant: str | None = None) -> float:
        """Seconds for which nothing of this model version (and tenant) runs here; 0 when it may."""
        circuit = self._circuits.get((model, version))
        return 0.0 if circuit is None else self._pause_left(circuit, tenant)

    def back_in(self, claim: Claim) -> float:
        """Seconds after which a job that is paused comes back. Those that tell most are first."""
        left = self.pause_left(claim.model, claim.version, claim.tenant)
        return left + FAILED_LATER_S if claim.failures else left

    def is_wary(self, model: str, version: str) -> bool:
        """Whether it was opened and nothing was answered since: then one at a time is enough to see."""
        circuit = self._circuits.get((model, version))
        return circuit is not None and circuit.trips > 0

    def doubt(self, claim: Claim) -> tuple[bool, float, int, bool]:
        """How little a failure of this one would tell of the model: the least goes first. A suspect is last: it has to wait
        until everything is recorded."""
        circuit = self._circuits.get((claim.model, claim.version))
        left = self.pause_left(claim.model, claim.version, claim.tenant)
        return claim.suspect, left, claim.failures, circuit is not None and claim.tenant in circuit.tenants

    def note(self, model: str, version: str, verdicts: Sequence[Verdict], claims: Sequence[Claim] = ()) -> bool:
        """Learn from a run's verdicts; whether this opened it. `claims`: whose they are, in the same order; without them
        each verdict is another record's."""
        pairs = list(zip(verdicts, claims, strict=True)) if claims else [(verdict, None) for verdict in verdicts]
        with self._lock:
            circuit = self._circuits.setdefault((model, version), _Circuit())
            if any([type(verdict) is Done for verdict in verdicts]):  # noqa: C419  # a list is quicker here
                self._close(model, version, circuit, pairs)
                return False
            # What was still under way when the circuit opened tells nothing more.
            news = [(verdict, claim) for verdict, claim in pairs if self._is_news(circuit, verdict, claim)]
            for _, claim in news:
                _count(circuit, claim)
            if not news or not self._trips(circuit):
                return False
            self._open(model, version, circuit, news[-1][0])
            return True

    def _is_news(self, circuit: _Circuit, verdict: Verdict, claim: Claim | None) -> bool:
        return _failed(verdict) and self._pause_left(circuit, None if claim is None else claim.tenant) <= 0

    def _close(
        self, model: str, version: str, circuit: _Circuit, pairs: Sequence[tuple[Verdict, Claim | None]]
    ) -> None:
        was_open = circuit.trips > 0
        circuit.last_answer = self._clock.monotonic()
        circuit.failed.clear()
        circuit.tenants.clear()
        circuit.unnamed = circuit.trips = 0
        circuit.open_until = 0.0
        answered = {claim.tenant for verdict, claim in pairs if type(verdict) is Done and claim is not None}
        circuit.answered.update(dict.fromkeys(answered, circuit.last_answer))
        circuit.well |= answered
        circuit.well -= {claim.tenant for verdict, claim in pairs if claim is not None and _failed(verdict)}
        if was_open:
            self._tell(Moved(model, version, 0.0))

    def _trips(self, circuit: _Circuit) -> bool:
        if circuit.trips > 0:
            return True
        now = self._clock.monotonic()
        if len(circuit.failed) + circuit.unnamed < TRIPS_AT or now - circuit.last_answer < self._holds:
            return False
        return not _vouched(circuit, now)

    def _open(self, model: str, version: str, circuit: _Circuit, last: Verdict) -> None:
        circuit.trips += 1
        circuit.opened = self._clock.monotonic()
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(circuit.trips - 1, _DOUBLINGS))
        circuit.open_until = circuit.opened + pause
        why = f"{last.reason}: {last.error}" if isinstance(last, Retry | Dead) else ""
        self._tell(Moved(model, version, pause, why))

    def _pause_left(self, circuit: _Circuit, tenant: str | None) -> float:
        until = circuit.open_until
        if tenant is not None and tenant not in circuit.tenants:
            until = min(until, circuit.opened + OTHERS_PAUSE_S)
        return max(0.0, until - self._clock.monotonic())


def _failed(verdict: Verdict) -> bool:
    return type(verdict) is not Done and isinstance(verdict, Retry | Dead) and verdict.reason in _COUNTED


def _count(circuit: _Circuit, claim: Claim | None) -> None:
    if claim is None:
        circuit.unnamed += 1
        return
    circuit.well.discard(claim.tenant)
    circuit.tenants.add(claim.tenant)
    if len(circuit.failed) < TRIPS_AT:
        circuit.failed.add(claim.seq)


def _vouched(circuit: _Circuit, now: float) -> bool:
    """Whether somebody was answered while nobody of those who fail was."""
    theirs = max((circuit.answered.get(tenant, float("-inf")) for tenant in circuit.tenants), default=float("-inf"))
    return any(theirs < circuit.answered[tenant] > now - OTHERS_HOLD_S for tenant in circuit.well)
