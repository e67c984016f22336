"""The scoring lane of a worker: one run at a time, claimed, done, and its end recorded with the fence of its claim."""

import logging
import threading
import traceback
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from pipelines.clock import Clock
from pipelines.scoring import faults
from pipelines.scoring.faults import Canceled, RunBusy, ScoreFault
from pipelines.scoring.scorer import Scorer
from pipelines.store.notices import Notices
from pipelines.store.port import StoreAway
from pipelines.store.scoring_port import Ending, Failed, Released, RunStore, Stopped, Succeeded
from schemas.scoring_runs import RunReason, ScoringClaim, ScoringRequest
from schemas.states import TERMINAL, State
from workers.errors import one_line
from workers.scoring_metrics import ScoringObserver
from workers.scoring_tether import Beating, Stop, Tether

log = logging.getLogger("forebay.scoring")

POLL_S = 1.0
"""Without a notice, how often the store is looked at."""
AWAY_S = 0.5
MAX_ERROR_CHARS = 1000

_REASONS: dict[type[ScoreFault], RunReason] = {
    faults.BadInput: RunReason.BAD_INPUT,
    faults.BadOrder: RunReason.BAD_ORDER,
    faults.InputChanged: RunReason.INPUT_CHANGED,
    faults.OtherRun: RunReason.OTHER_RUN,
    faults.RunBusy: RunReason.RUN_BUSY,
    faults.LockLost: RunReason.LOCK_LOST,
    faults.TooManyRejects: RunReason.TOO_MANY_REJECTS,
    faults.StorageFault: RunReason.STORAGE_FAULT,
}


class Lane(Struct, frozen=True):
    """What the lane works with."""

    runs: RunStore
    scorer: Scorer
    admitted: Callable[[ScoringRequest, str], ScoringRequest]
    """The request of a tenant with its locations as they are opened (`pipelines.scoring.locations`). Raises ScoreFault."""
    models: Sequence[str]
    """Whose runs are claimed."""
    notices: Notices
    observer: ScoringObserver
    clock: Clock
    beating: Beating
    lease: float


class ScoringWorker:
    """Runs until `stop`; what runs then is given back, and goes on elsewhere from its last committed part."""

    def __init__(self, lane: Lane, grace: float) -> None:
        """`grace`: seconds that a run may take to stop."""
        self._lane = lane
        self._grace = grace
        self._stopping = threading.Event()
        self._work = threading.Event()
        self._lock = threading.Lock()
        self._tether: Tether | None = None
        self._over = threading.Event()
        """The grace is over: nothing is waited for."""
        self.away: str | None = None
        """One line while the store is."""
        self._fault: BaseException | None = None

    def run(self) -> bool:
        """Serve until `stop`. Whether what ran was given back or recorded in time. Raises what broke the loop: our own bug."""
        unlisten = self._lane.notices.listen(on_work=self._work.set)
        thread = threading.Thread(target=self._guarded, name="forebay-scoring", daemon=True)
        thread.start()
        self._stopping.wait()
        thread.join(self._grace)
        self._over.set()
        unlisten()
        if self._fault is not None:
            raise self._fault
        return not thread.is_alive()

    def stop(self) -> None:
        """Begin the drain. From any thread."""
        with self._lock:
            self._stopping.set()
            if self._tether is not None:
                self._tether.drain()
        self._work.set()

    def step(self) -> bool:
        """Claim a run and do it; False when there is none. Raises StoreAway."""
        self._work.clear()  # before looking: a notice that comes while we look is not lost
        lane = self._lane
        claim, lost = lane.runs.claim(lane.models, lane.lease)
        for run in lost:
            lane.observer.ended(run.model, run.version, run.state)
        if lost:
            lane.notices.ended([run.run_id for run in lost])
        if claim is None:
            return False
        self._attempt(claim)
        return True

    def _attempt(self, claim: ScoringClaim) -> None:
        lane = self._lane
        tether = Tether(lane.runs, claim, lane.lease, lane.clock)
        with self._lock:
            self._tether = tether
            if self._stopping.is_set():
                tether.drain()
        log.info("scoring run %s: attempt %d, fence %d", claim.run_id, claim.attempt, claim.fence)
        try:
            with lane.observer.running(claim) as did:

                def beat() -> None:
                    try:
                        tether.beat()
                        did(tether.rows)
                    except Exception as fault:  # noqa: BLE001  # raised again by run()
                        self._broken(fault)

                with lane.beating(beat) as tether.on_part:
                    self._record(claim, tether, self._judged(claim, tether))
                did(tether.rows)
        finally:
            self._tether = None

    def _judged(self, claim: ScoringClaim, tether: Tether) -> Ending | None:
        """How it ended; None when it is no longer ours."""
        try:
            admitted = replace(claim, request=self._lane.admitted(claim.request, claim.tenant))
            return Succeeded(self._lane.scorer(admitted, tether.report))
        except Canceled as fault:
            return self._stopped(tether, _failed(fault))
        except RunBusy as busy:
            # Whoever had it before is still at it, and soon finds out that it lost its lease.
            return Released(self._lane.lease) if claim.lost else _failed(busy)
        except ScoreFault as fault:
            return _failed(fault)
        except Exception as fault:  # noqa: BLE001  # judged: a run that was told to stop may break in stopping
            log.error("scoring run %s: %s", claim.run_id, traceback.format_exc().rstrip())
            return self._stopped(tether, Failed(RunReason.INTERNAL, _where(fault)))

    def _stopped(self, tether: Tether, unasked: Failed) -> Ending | None:
        match tether.stopped:
            case None:
                return unasked
            case Stop.CANCELED:
                return Stopped()
            case Stop.DRAIN:
                return Released()
            case Stop.LOST:
                return None

    def _record(self, claim: ScoringClaim, tether: Tether, ending: Ending | None) -> None:
        """Until the store has it, or says that it is somebody else's. What is left unrecorded the next attempt finds as it
        is."""
        while ending is not None and tether.stopped is not Stop.LOST:
            try:
                state = self._lane.runs.end(claim, ending, tether.progress)
            except StoreAway as away:
                log.warning("scoring run %s: its end waits for the store: %s", claim.run_id, away)
                if self._over.wait(AWAY_S):
                    return
                continue
            if state is None:
                break
            self._tell(claim, ending, state)
            return
        log.warning("scoring run %s: somebody else's by now (fence %d); nothing is recorded", claim.run_id, claim.fence)
        self._lane.observer.lost(claim)

    def _tell(self, claim: ScoringClaim, ending: Ending, state: State) -> None:
        because = f": {ending.error}" if isinstance(ending, Failed) else ""
        log.info("scoring run %s is %s%s", claim.run_id, state, because)
        if state in TERMINAL:
            self._lane.observer.ended(claim.model, claim.version, state)
            self._lane.notices.ended([claim.run_id])

    def _guarded(self) -> None:
        """A store that is away is waited for. Anything else is a bug: it stops the process."""
        while not self._stopping.is_set():
            try:
                found = self.step()
                self.away = None
                if not found:
                    self._work.wait(POLL_S)
            except StoreAway as away:
                self.away = str(away)
                self._lane.observer.trouble(self.away)
                self._stopping.wait(AWAY_S)
            except BaseException as fault:  # noqa: BLE001  # raised again by run()
                self._broken(fault)

    def _broken(self, fault: BaseException) -> None:
        self._fault = fault
        self.stop()


def _failed(fault: ScoreFault) -> Failed:
    reason = next((_REASONS[kind] for kind in type(fault).__mro__ if kind in _REASONS), RunReason.SCORE_FAULT)
    return Failed(reason, one_line(fault, MAX_ERROR_CHARS))


def _where(fault: Exception) -> str:
    """Type, text and place, in one line."""
    frames = traceback.extract_tb(fault.__traceback__)
    place = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
    return f"{type(fault).__name__}: {one_line(fault)}{place}"
