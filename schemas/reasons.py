"""Why a job was dead-lettered or is tried again. Operators filter and group by these."""

from enum import StrEnum


class Reason(StrEnum):
    INVALID_INPUT = "invalid_input"
    """The input does not fit the model: decoding, validation or the model's own pre-processing refused it."""
    MODEL_ERROR = "model_error"
    """The model raised while it ran this item alone."""
    INVALID_OUTPUT = "invalid_output"
    """The model answered something that does not fit its declared outputs (count, shape, NaN)."""
    OUT_OF_MEMORY = "out_of_memory"
    """The device had no memory for this item alone."""
    TIMEOUT = "timeout"
    """The item alone ran longer than limits.timeout_s."""
    CRASHED = "crashed"
    """Started max_deliveries times in a row without an answer: it takes its worker down with it."""
    PAYLOAD_MISSING = "payload_missing"
    """The input was too large for the row, and is not, or not as it was, where payloads are kept."""
    GIVEN_UP = "given_up"
    """The broker gave its message up (SQS: maxReceiveCount) before any worker answered it."""
