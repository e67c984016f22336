"""What the submitting side and whoever looks at jobs need of the claim check."""

from msgspec import Struct
from msgspec.structs import replace

from pipelines.payloads import keys
from pipelines.payloads.port import PayloadMissing, Payloads
from schemas.dead_letters import DeadLetter, Replay
from schemas.jobs import JobView, Submission


class Deposits(Struct, frozen=True):
    """Every method that goes to the payloads raises PayloadsAway; those that get one raise PayloadMissing too."""

    payloads: Payloads
    inline: int
    """Bytes that a row may hold."""

    def is_large(self, submission: Submission) -> bool:
        return len(submission.inputs) > self.inline

    def of_submission(self, submission: Submission) -> Submission:
        """The same; its input is put, and named, when it is large."""
        inputs = submission.inputs
        if len(inputs) <= self.inline:
            return submission
        ref = keys.of_input(submission.tenant, submission.id, 0, inputs)
        self.payloads.put(ref, inputs)
        return replace(submission, inputs=b"", inputs_ref=ref, referred=len(inputs))

    def of_replay(self, tenant: str, planned: Replay) -> Replay:
        """The same; a patched input is put, and named, when it is large."""
        inputs = planned.inputs
        if inputs is None or len(inputs) <= self.inline:
            return planned
        ref = keys.of_input(tenant, planned.id, planned.generation + 1, inputs)
        self.payloads.put(ref, inputs)
        return replace(planned, inputs=b"", inputs_ref=ref, referred=len(inputs))


class Looking(Struct, frozen=True):
    """Brings what a row only names. `payloads` is None where none are set up: then PayloadMissing says so."""

    payloads: Payloads | None

    def result(self, view: JobView) -> JobView:
        """With its result."""
        if view.result_ref is None:
            return view
        return replace(view, result=self._get(view.result_ref, None))

    def letter(self, letter: DeadLetter) -> DeadLetter:
        """With its input."""
        if letter.inputs_ref is None:
            return letter
        return replace(letter, inputs=self._get(letter.inputs_ref, letter.size))

    def _get(self, ref: str, size: int | None) -> bytes:
        if self.payloads is None:
            raise PayloadMissing(f"payload {ref}: FOREBAY_PAYLOADS names no place to look for it")
        return self.payloads.get(ref, size)
