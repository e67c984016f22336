"""Between items and batches: stack, pad to the longest, and cut apart again by position."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.catalog import ModelVersion
from pipelines.ports import Tensors
from workers.hooks import Hooks


def pads_of(version: ModelVersion, hooks: Hooks) -> dict[str, float]:
    """What is padded with what, by name: declared inputs by `pad`, what pre-processing makes by `PADS`."""
    return {t.name: t.pad for t in version.spec.inputs if t.pad is not None} | dict(hooks.pads)


def stack(items: Sequence[Tensors], pads: Mapping[str, float]) -> Tensors:
    """By name, with a batch dimension in front. Names in `pads` are padded at the end of each varying dimension."""
    return {name: _stack([item[name] for item in items], pads.get(name)) for name in items[0]}


def split(outputs: Mapping[str, np.ndarray], count: int) -> list[Tensors]:
    """One item per row. Raises ValueError when any output has another number of rows."""
    for name, batch in outputs.items():
        if batch.ndim == 0 or len(batch) != count:
            raise ValueError(f"output {name!r} has {len(batch) if batch.ndim else 'no'} rows for {count} inputs")
    if len(outputs) == 1:
        ((name, batch),) = outputs.items()
        return [{name: row} for row in batch]
    return [{name: batch[n] for name, batch in outputs.items()} for n in range(count)]


def _stack(tensors: Sequence[np.ndarray], pad: float | None) -> np.ndarray:
    if pad is None or len({tensor.shape for tensor in tensors}) == 1:
        return np.stack(tensors)
    longest = np.max([tensor.shape for tensor in tensors], axis=0)
    batch = np.full((len(tensors), *longest), pad, dtype=tensors[0].dtype)
    for row, tensor in zip(batch, tensors, strict=True):
        row[tuple(slice(0, size) for size in tensor.shape)] = tensor
    return batch
