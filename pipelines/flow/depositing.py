"""Depositing: results that are too large for a row are put where payloads are kept, before they are recorded."""

from pipelines.flow.outbox import Outbox
from pipelines.payloads import keys
from pipelines.payloads.port import Payloads, PayloadsAway
from schemas.verdicts import Done


class Depositor:
    """Thread-safe: several threads step."""

    def __init__(self, payloads: Payloads, outbox: Outbox) -> None:
        self._payloads = payloads
        self._outbox = outbox

    def step(self, timeout: float = 0.0) -> int:
        """Put one, waiting up to `timeout` seconds for one to put; how many. Raises PayloadsAway with the result kept for
        another step: its lease is kept meanwhile, and what was computed is not thrown away."""
        entry = self._outbox.take_large(timeout)
        if entry is None:
            return 0
        claim, verdict = entry.delivery.claim, entry.verdict
        assert claim is not None
        assert isinstance(verdict, Done)
        ref = keys.of_result(claim.tenant, claim.seq, claim.fence, verdict.result)
        try:
            self._payloads.put(ref, verdict.result)
        except PayloadsAway:
            self._outbox.not_deposited(entry)
            raise
        self._outbox.deposited(entry, ref)
        return 1
