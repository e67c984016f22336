"""The breaker: a device or a deploy that fails everything pauses its model here instead of filling the dead letters."""

from collections.abc import Sequence

from msgspec import Struct

from pipelines.clock import Clock
from schemas.reasons import Reason
from schemas.verdicts import Dead, Done, Retry, Verdict

TRIPS_AT = 10
"""Judged failures in a row, without one answer in between."""
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 300.0
_DOUBLINGS = 10
"""Past the longest pause; a model may be broken for days."""

# An input that does not fit says nothing about the device.
_COUNTED = frozenset({Reason.MODEL_ERROR, Reason.INVALID_OUTPUT, Reason.OUT_OF_MEMORY, Reason.TIMEOUT})


class _Circuit(Struct):
    failures: int = 0
    trips: int = 0
    open_until: float = 0.0


class Breaker:
    """Per model version. After each pause one failure is enough to open it again, for twice as long."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._circuits: dict[tuple[str, str], _Circuit] = {}

    def pause_left(self, model: str, version: str) -> float:
        """Seconds for which nothing of this model version runs here; 0 when it may."""
        circuit = self._circuits.get((model, version))
        return 0.0 if circuit is None else max(0.0, circuit.open_until - self._clock.monotonic())

    def is_wary(self, model: str, version: str) -> bool:
        """Whether it was opened and nothing was answered since: then one at a time is enough to see."""
        circuit = self._circuits.get((model, version))
        return circuit is not None and circuit.trips > 0

    def note(self, model: str, version: str, verdicts: Sequence[Verdict]) -> bool:
        """Learn from a run's verdicts; whether this opened it."""
        if any(isinstance(verdict, Done) for verdict in verdicts):
            self._circuits.pop((model, version), None)
            return False
        failures = sum(isinstance(verdict, Retry | Dead) and verdict.reason in _COUNTED for verdict in verdicts)
        if not failures:
            return False
        circuit = self._circuits.setdefault((model, version), _Circuit())
        circuit.failures += failures
        if circuit.failures < (TRIPS_AT if circuit.trips == 0 else 1):
            return False
        circuit.trips += 1
        circuit.failures = 0
        circuit.open_until = self._clock.monotonic() + min(
            LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(circuit.trips - 1, _DOUBLINGS)
        )
        return True
