"""From a decoded submission to one that can be written: the model is resolved and the input is checked against it."""

import hashlib

from msgspec import Struct

from pipelines.admission.body import check_metadata, check_one_input, check_text
from pipelines.admission.refused import Kind, Refused, misfit
from pipelines.catalog import Catalog, ModelVersion, UnknownModel, UnknownVersion
from pipelines.inputs import InputCodec
from pipelines.payloads import keys
from pipelines.ports import InvalidInput
from schemas.jobs import Submission
from schemas.model_spec import NAME
from schemas.submissions import Submit

_MAX_NAME = 64


class Origin(Struct, frozen=True):
    """Whose submission this is, and where it came from: nothing of it stands in the body."""

    id: str
    tenant: str
    key: str | None = None
    """Its idempotency key."""
    traceparent: str | None = None
    source: str = "api"
    """`schemas.jobs.Submission.origin`."""


class Admission:
    """Any thread."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._codecs: dict[tuple[str, str], tuple[ModelVersion, InputCodec]] = {}

    def admit(self, wanted: Submit, raw: bytes, origin: Origin) -> Submission:
        """`raw` is the JSON that `wanted` was decoded from. Raises Refused."""
        check_text(raw)
        if bytes(wanted.webhook) != b"null":
            raise Refused(Kind.UNAVAILABLE, "webhooks are not available yet: poll the result", "webhook")
        check_one_input(wanted)
        model = self.resolve(wanted.model, wanted.version)
        inputs = bytes(wanted.inputs)
        ref = None if wanted.inputs_ref is None else _ref(origin.tenant, wanted.inputs_ref)
        if ref is None:  # what was uploaded is the worker's to check
            self._check_inputs(model, inputs)
        return Submission(
            id=origin.id,
            tenant=origin.tenant,
            model=model.name,
            version=model.version,
            inputs=inputs,
            digest=hashlib.sha256(raw).digest(),
            idempotency_key=origin.key,
            priority=wanted.priority,
            expires_in=wanted.expires_in,
            metadata=_metadata(bytes(wanted.metadata)),
            traceparent=origin.traceparent,
            origin=origin.source,
            inputs_ref=ref,
        )

    def version_of(self, model: str, version: object) -> str | None:
        """What a name stands for; None when there is none, or it is no name."""
        if version is not None and not isinstance(version, str):
            return None
        try:
            return self.resolve(model, version).version
        except Refused:
            return None

    def resolve(self, name: str, version: str | None) -> ModelVersion:
        """A number, an alias, or None for the default. Raises Refused."""
        if not NAME.fullmatch(name):
            raise Refused(Kind.MODEL, f"no model {name[:_MAX_NAME]!r}", "model")
        if version is not None and not NAME.fullmatch(version):
            raise Refused(Kind.MODEL, f"no version {version[:_MAX_NAME]!r} of {name}", "version")
        try:
            return self._catalog.resolve(name, version)
        except UnknownModel as unknown:
            raise Refused(Kind.MODEL, str(unknown), "model") from None
        except UnknownVersion as unknown:
            raise Refused(Kind.MODEL, str(unknown), "version") from None

    def _check_inputs(self, model: ModelVersion, inputs: bytes) -> None:
        try:
            self._codec(model).decode(inputs)
        except InvalidInput as fault:
            message = str(fault)[:500]
            raise Refused(Kind.INPUT, message, _field(message)) from None
        except RecursionError:
            raise misfit("expected inputs nested no deeper than the model's shapes", "inputs") from None

    def _codec(self, model: ModelVersion) -> InputCodec:
        known = self._codecs.get((model.name, model.version))
        if known is None or known[0] is not model:
            known = (model, InputCodec(model.spec))
            self._codecs[model.name, model.version] = known
        return known[1]


def _ref(tenant: str, upload: str) -> str:
    """The payload of this tenant's upload: another's is not found there."""
    try:
        return keys.of_upload(tenant, upload)
    except ValueError as fault:
        raise Refused(Kind.UPLOAD, str(fault), "inputs_ref") from None


def _metadata(raw: bytes) -> bytes | None:
    return None if raw == b"null" else check_metadata(raw)


def _field(message: str) -> str:
    """The codec's messages begin with the field, e.g. `inputs.pixels: expected …`."""
    head = message.partition(":")[0]
    return head[:100] if head.startswith("inputs") and " " not in head else "inputs"
