"""What somebody submits: the body of POST /predict_async, one entry of a batch, one message of a direct producer."""

from typing import Annotated

from msgspec import Meta, Raw, Struct, field

from schemas.jobs import DEFAULT_PRIORITY, MAX_KEY_CHARS

MAX_EXPIRES_IN = 30 * 86_400.0

Priority = Annotated[int, Meta(ge=0, le=9)]
ExpiresIn = Annotated[float, Meta(gt=0, le=MAX_EXPIRES_IN)]
Key = Annotated[str, Meta(min_length=1, max_length=MAX_KEY_CHARS, pattern=r"^[\x21-\x7e]+$")]

NULL = Raw(b"null")


class Submit(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /predict_async."""

    model: str
    # Exactly one of both (`pipelines.admission.body.check_one_input`).
    inputs: Raw = field(default_factory=Raw)
    inputs_ref: str | None = None
    """The id of an upload (POST /uploads), instead of `inputs`."""
    version: str | None = None
    priority: Priority = DEFAULT_PRIORITY
    expires_in: ExpiresIn | None = None
    """Seconds."""
    # msgspec takes no `Raw | None`; the factory keeps the default out of the JSON schema, where it is no JSON.
    webhook: Raw = field(default_factory=lambda: NULL)
    metadata: Raw = field(default_factory=lambda: NULL)


class Entry(Submit, frozen=True, forbid_unknown_fields=True):
    """One job of POST /predict_async/batch."""

    idempotency_key: Key | None = None


class DirectSubmit(Entry, frozen=True, forbid_unknown_fields=True):
    """A job that another service put on the job queue itself. Its tenant is the queue's, never the message's."""

    id: str | None = None
    """None: made from the position of the message, so that a repeated delivery is the same job."""
