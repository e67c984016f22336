"""From a decoded request to a Submission: the model is resolved and the input is checked against it."""

import hashlib
from collections.abc import Callable

from api.bodies import Entry, Submit, check_metadata, check_text, decode_entry, decode_submit, parse
from api.problems import Problem, invalid_body
from pipelines.catalog import Catalog, ModelVersion, UnknownModel, UnknownVersion
from pipelines.inputs import InputCodec
from pipelines.ports import InvalidInput
from schemas.jobs import Submission
from schemas.model_spec import NAME

_MAX_NAME = 64


class Admission:
    def __init__(self, catalog: Catalog, new_id: Callable[[], str]) -> None:
        self._catalog = catalog
        self._new_id = new_id
        self._codecs: dict[tuple[str, str], tuple[ModelVersion, InputCodec]] = {}

    def one(self, raw: bytes, tenant: str, key: str | None, traceparent: str | None) -> Submission:
        """The submission in the body of POST /predict_async. Raises Problem."""
        return self._admit(parse(decode_submit, raw), raw, tenant, key, traceparent)

    def entry(self, raw: bytes, tenant: str, traceparent: str | None) -> Submission:
        """The submission in one entry of a batch. Raises Problem."""
        entry: Entry = parse(decode_entry, raw)
        return self._admit(entry, raw, tenant, entry.idempotency_key, traceparent)

    def _admit(self, wanted: Submit, raw: bytes, tenant: str, key: str | None, traceparent: str | None) -> Submission:
        check_text(raw)
        if bytes(wanted.webhook) != b"null":
            raise Problem(422, "not-available", "webhooks are not available yet: poll the result", field="webhook")
        model = self._resolve(wanted.model, wanted.version)
        inputs = bytes(wanted.inputs)
        self._check_inputs(model, inputs)
        return Submission(
            id=self._new_id(),
            tenant=tenant,
            model=model.name,
            version=model.version,
            inputs=inputs,
            digest=hashlib.sha256(raw).digest(),
            idempotency_key=key,
            priority=wanted.priority,
            expires_in=wanted.expires_in,
            metadata=_metadata(bytes(wanted.metadata)),
            traceparent=traceparent,
        )

    def _resolve(self, name: str, version: str | None) -> ModelVersion:
        if not NAME.fullmatch(name):
            raise Problem(404, "unknown-model", f"no model {name[:_MAX_NAME]!r}", field="model")
        if version is not None and not NAME.fullmatch(version):
            raise Problem(404, "unknown-model", f"no version {version[:_MAX_NAME]!r} of {name}", field="version")
        try:
            return self._catalog.resolve(name, version)
        except UnknownModel as unknown:
            raise Problem(404, "unknown-model", str(unknown), field="model") from None
        except UnknownVersion as unknown:
            raise Problem(404, "unknown-model", str(unknown), field="version") from None

    def _check_inputs(self, model: ModelVersion, inputs: bytes) -> None:
        try:
            self._codec(model).decode(inputs)
        except InvalidInput as fault:
            message = str(fault)[:500]
            raise Problem(422, "invalid-input", message, field=_field(message)) from None
        except RecursionError:
            raise invalid_body("expected inputs nested no deeper than the model's shapes", "inputs") from None

    def _codec(self, model: ModelVersion) -> InputCodec:
        known = self._codecs.get((model.name, model.version))
        if known is None or known[0] is not model:
            known = (model, InputCodec(model.spec))
            self._codecs[model.name, model.version] = known
        return known[1]


def _metadata(raw: bytes) -> bytes | None:
    return None if raw == b"null" else check_metadata(raw)


def _field(message: str) -> str:
    """The codec's messages begin with the field, e.g. `inputs.pixels: expected …`."""
    head = message.partition(":")[0]
    return head[:100] if head.startswith("inputs") and " " not in head else "inputs"
