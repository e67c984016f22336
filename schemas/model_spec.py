"""`model.yaml`: what a model takes, answers and allows. Every mistake is named by its key."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.input_columns import FORMS, input_columns

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
VERSION = re.compile(r"[1-9][0-9]{0,8}")
_UNFIT = re.compile(r'["\\\x00-\x1f]')
SHA256 = re.compile(r"[0-9a-fA-F]{64}")

DType = Literal[
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
    "string",
]
Dim = Annotated[int, Field(ge=-1, le=2**31)]
Name = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorSpec(Strict):
    """One named tensor of one item: no batch dimension. `-1` is a length that varies from item to item."""

    name: Name
    dtype: DType
    shape: tuple[Dim, ...] = ()
    nan: bool = False
    """Whether NaN and infinities are allowed in it."""
    pad: float | None = None
    """Varying lengths are padded with this to the longest of the batch; without it only like shapes share a batch."""

    @field_validator("shape")
    @classmethod
    def _no_empty_dimension(cls, shape: tuple[int, ...]) -> tuple[int, ...]:
        if 0 in shape:
            raise ValueError("a dimension must be -1 (varies) or at least 1")
        return shape

    @model_validator(mode="after")
    def _nan_and_pad_fit(self) -> "TensorSpec":
        floats = self.dtype.startswith("float")
        if self.nan and not floats:
            raise ValueError(f"nan: expected only with a float dtype, {self.dtype} has no NaN")
        if self.pad is None:
            return self
        if -1 not in self.shape:
            raise ValueError("pad: expected only with a dimension of -1, a fixed shape needs no padding")
        if self.dtype == "string":
            raise ValueError("pad: strings are not padded, leave it out")
        if not floats and not self.pad.is_integer():
            raise ValueError(f"pad: expected a value of {self.dtype}, got {self.pad}")
        return self


def check_passthrough(names: Sequence[str], outputs: Sequence[TensorSpec]) -> None:
    """Raises ValueError, one line, for names that cannot stand beside the outputs in an answer."""
    taken = {tensor.name for tensor in outputs}
    for place, name in enumerate(names):
        if name in taken:
            raise ValueError(f"passthrough: {name!r} is an output, expected another name")
        if name in names[:place]:
            raise ValueError(f"passthrough: {name!r} is named twice")
        if not name or _UNFIT.search(name):
            raise ValueError(
                f"passthrough: {name!r}: expected a name without quotes, backslashes and control characters"
            )


def _names(name: str, given: Any) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, (list, tuple)) or not all(isinstance(each, str) for each in names):
        raise ValueError(f"{name}: expected {FORMS}")
    return tuple(names)


class Batching(Strict):
    """When a batch goes. By default a free device takes what is waiting, at once."""

    max_batch_size: int = Field(32, ge=1, le=65536)
    max_batch_cost: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Upper bound of the batch's cost: items × the dearest item (padding is paid for too)."""
    max_delay_ms: float = Field(0, ge=0, le=60_000)
    """How long a free device waits for more, counted from the oldest item."""


class Limits(Strict):
    timeout_s: float = Field(30, gt=0, le=86_400)
    """Time in the model, for one batch. Time in the queue is `expires_in`."""
    max_attempts: int = Field(3, ge=1, le=100)
    """Judged failures before the dead letters."""
    max_deliveries: int = Field(5, ge=2, le=100)
    """Starts in a row that nobody answered before the dead letters."""
    retry_base_s: float = Field(1.0, gt=0, le=3600)
    """Full-jitter backoff: a uniform draw up to retry_base_s × 2^(attempt−1)."""
    retry_max_s: float = Field(60.0, gt=0, le=86_400)
    max_upload_bytes: int | None = Field(None, ge=1)
    """Of the JSON of one uploaded input. None: what the shapes can need, see `pipelines.inputs.bounds`."""


RuntimeName = Literal["onnx", "torch"]


class VersionSpec(Strict):
    """What one version does differently, by its number."""

    runtime: RuntimeName | None = None
    sha256: dict[str, str] = {}
    """Digest of every artifact by its path below the version's folder; what is named here is checked before it is loaded."""
    options: dict[str, Any] | None = None

    @field_validator("sha256", mode="before")
    @classmethod
    def _digests_are_quoted(cls, digests: Any) -> Any:
        """YAML reads 64 decimal digits without quotes as a number."""
        for file, digest in digests.items() if isinstance(digests, dict) else ():
            if isinstance(digest, int):
                raise ValueError(f"{file}: expected 64 hexadecimal digits in quotes, got a number")
        return digests

    @field_validator("sha256")
    @classmethod
    def _digests_are_hex(cls, digests: dict[str, str]) -> dict[str, str]:
        for file, digest in digests.items():
            if not SHA256.fullmatch(digest):
                raise ValueError(f"{file}: expected 64 hexadecimal digits")
        return digests


class ModelSpec(Strict):
    name: Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
    description: str = ""
    pool: Annotated[str, Field(pattern=rf"^{NAME.pattern}$")] = "default"
    runtime: RuntimeName = "onnx"
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    batching: Batching = Batching()
    limits: Limits = Limits()
    aliases: dict[str, int | str] = {}
    versions: dict[str, VersionSpec] = {}
    options: dict[str, Any] = {}
    """The runtime's own options, e.g. `intra_op_threads` (onnx), `compile` (torch)."""
    example: dict[str, Any] | None = None
    """One input by name: for the documentation and the warm-up."""
    hooks: str | None = None
    """A Python file beside model.yaml with `preprocess(inputs)` and/or `postprocess(outputs)`, shared by every lane."""
    passthrough: tuple[str, ...] = ()
    """Fields of a stream's records that go to their answers as they are."""
    columns: dict[str, tuple[str, ...]] = {}
    """Columns of a scoring run's data set, by input; what is not named is read from the column with the input's name."""

    def columns_by_input(self, given: Mapping[str, Sequence[str]] | None = None) -> dict[str, list[str]]:
        """For every input its columns, patterns written out. What is `given` goes before `columns`. Raises ValueError,
        one line."""
        by_name = {**self.columns, **(given or {})}
        shapes = {tensor.name: tensor.shape for tensor in self.inputs}
        unknown = sorted(by_name.keys() - shapes.keys())
        if unknown:
            raise ValueError(f"columns: {unknown[0]!r} is no input, the model takes: {', '.join(shapes)}")
        columns: dict[str, list[str]] = {}
        for name, shape in shapes.items():
            try:
                columns[name] = input_columns(shape, by_name.get(name, (name,)))
            except ValueError as fault:
                raise ValueError(f"columns: {name}: {fault}") from None
        return columns

    @field_validator("columns", mode="before")
    @classmethod
    def _one_column_is_a_list(cls, columns: Any) -> Any:
        if not isinstance(columns, dict):
            raise ValueError(f"expected by input {FORMS}")
        return {name: _names(name, given) for name, given in columns.items()}

    @model_validator(mode="after")
    def _columns_fit(self) -> "ModelSpec":
        self.columns_by_input()
        return self

    @field_validator("inputs", "outputs")
    @classmethod
    def _at_least_one(cls, tensors: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
        if not tensors:  # by hand: pydantic's own min_length also complains whenever the only tensor has a mistake
            raise ValueError("expected at least one tensor")
        return tensors

    @model_validator(mode="after")
    def _names_are_unique(self) -> "ModelSpec":
        for what, tensors in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [tensor.name for tensor in tensors]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{what}: the name {twice[0]!r} is used twice")
        return self

    @model_validator(mode="after")
    def _passthrough_fits(self) -> "ModelSpec":
        check_passthrough(self.passthrough, self.outputs)
        return self

    @field_validator("aliases", mode="after")
    @classmethod
    def _aliases_name_versions(cls, aliases: dict[str, int | str]) -> dict[str, int | str]:
        for alias, version in aliases.items():
            if not NAME.fullmatch(alias) or VERSION.fullmatch(alias):
                raise ValueError(
                    f"alias {alias!r}: expected lower-case letters, digits, '-', '_' or '.', and not only digits"
                )
            if not VERSION.fullmatch(str(version)):
                raise ValueError(f"alias {alias!r}: expected a version number such as 1, got {version!r}")
        return aliases
