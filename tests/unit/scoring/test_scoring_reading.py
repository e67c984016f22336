"""What is read of files that do not have their columns alike."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec import Struct

from pipelines.scoring.assembling import Assembly, assemble
from pipelines.scoring.dataset import DataSet, Listed, parquet_files, read_footers
from pipelines.scoring.faults import BadInput, BadOrder
from pipelines.scoring.files_local import LocalFiles
from pipelines.scoring.planning import Pruning, input_files, parts_of
from pipelines.scoring.predicting import Reject
from pipelines.scoring.reading import Reader
from pipelines.scoring.rejecting import write_rejects
from pipelines.scoring.sizing import MOST_BYTES
from schemas.model_spec import ModelSpec
from schemas.reasons import Reason
from schemas.scoring import InputFile, Order, StoredFile

SPEC = ModelSpec.model_validate(
    {
        "name": "m",
        "inputs": [{"name": "x", "dtype": "float32"}],
        "outputs": [{"name": "y", "dtype": "float32"}],
        "batching": {"max_batch_size": 4},
    }
)


class Set(Struct, frozen=True):
    data: DataSet
    files: tuple[InputFile, ...]
    assembly: Assembly

    @property
    def reader(self) -> Reader:
        return Reader(self.data, self.files, self.assembly.partitions, self.assembly.wanted, skip_corrupt=False)

    def rows(self) -> Iterator[dict[str, Any]]:
        pruning = Pruning(self.data, self.assembly.partitions, self.assembly.wanted.where)
        for part in parts_of(self.files, [pruning.wanted(file) for file in self.files], 1000):
            for placed in self.reader.batches(part):
                for row, file, number in zip(placed.batch.to_pylist(), placed.files, placed.rows, strict=True):
                    yield {**row, "at": (int(file), int(number))}

    def column(self, name: str) -> list[Any]:
        return [row[name] for row in self.rows()]


def read(folder: Path, *tables: pa.Table, where: str | None = None, passthrough: tuple[str, ...] = ()) -> Set:
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"{number}.parquet", row_group_size=2)
    files = LocalFiles(folder)
    listed = parquet_files(files)
    data, _ = read_footers(files, listed, skip_corrupt=False)
    order = Order("r", "m", "1", "", "", "", where=where, passthrough=passthrough)
    return Set(data, input_files(data, listed), assemble(order, SPEC, False, data))


def table(**columns: Any) -> pa.Table:
    rows = len(next(iter(columns.values())))
    return pa.table({"x": pa.array(np.arange(rows, dtype=np.float32)), **columns})


def test_columns_with_names_of_ours_do_not_move_rows(tmp_path: Path) -> None:
    given = table(_forebay_row=[7, 7, 7], _forebay_file=[5, 5, 5])
    found = read(tmp_path, given, where="_forebay_file = 5", passthrough=("_forebay_row", "_forebay_file"))
    assert found.column("at") == [(0, 0), (0, 1), (0, 2)]
    assert found.column("_forebay_row") == [7, 7, 7]


def test_a_column_that_a_file_does_not_have_is_null_there(tmp_path: Path) -> None:
    given = (table(a=pa.array([1, 2, 3], pa.int8()), b=["x", "y", "z"]), table(c=[1]), table(a=[4]))
    found = read(tmp_path, *given, passthrough=("a",), where="b IS NULL OR b <> 'y'")
    assert found.column("a") == [1, 3, None, 4]
    assert found.assembly.schema.field("a").type == pa.int64()
    assert found.column("at") == [(0, 0), (0, 2), (1, 0), (2, 0)]
    assert read(tmp_path, where="b = 'y'").column("at") == [(0, 1)]


def test_a_column_with_dots_in_its_name_goes_before_a_nested_one(tmp_path: Path) -> None:
    dotted = table(**{"a.b": [1, 2], "a": [{"b": 10}, {"b": 20}]})
    nested = table(a=[{"b": 3}, None])
    for found in (read(tmp_path, dotted, nested, passthrough=("a.b",)), read(tmp_path, passthrough=("a.b", "a"))):
        assert found.column("a.b") == [1, 2, 3, None]
        assert found.assembly.schema.names[0] == "a.b"
    assert read(tmp_path, where='"a.b" > 2').column("at") == [(1, 0)]
    assert read(tmp_path, where="a.b < 3").column("at") == [(0, 0), (0, 1)]


def test_dictionaries_beside_plain_values(tmp_path: Path) -> None:
    texts = pa.array(["a", "b", None])
    first = table(c=texts.dictionary_encode(), d=texts.dictionary_encode())
    first = first.set_column(0, "x", pa.array([1.0, 2.0, 2.0], pa.float32()).dictionary_encode())
    found = read(tmp_path, first, table(c=texts, d=texts.dictionary_encode()), passthrough=("c", "d"), where="c = 'b'")
    assert found.column("c") == found.column("d") == ["b", "b"]
    assert found.column("x") == [2.0, 1.0]
    assert found.assembly.schema.field("c").type == pa.string()
    assert found.assembly.schema.field("d").type == pa.dictionary(pa.int32(), pa.string())


def test_a_condition_is_held_against_each_files_own_types(tmp_path: Path) -> None:
    given = (table(n=[2**53 + 1, 2**53]), table(n=[2.0**53, 1.0]), table(n=[Decimal("9007199254740992.5"), None]))
    assert read(tmp_path, *given, where="n > 9007199254740992").column("at") == [(0, 0), (2, 0)]
    with pytest.raises(BadInput, match=r"0\.parquet: a value does not fit the type that all files' columns"):
        read(tmp_path, passthrough=("n",)).column("n")
    pq.write_table(table(n=["text"]), tmp_path / "9.parquet")
    with pytest.raises(BadOrder, match=r"9\.parquet: where: n > 1: the column is string, expected a 'string'"):
        read(tmp_path, where="n > 1")
    with pytest.raises(BadOrder, match="--passthrough n: files have it in types that do not go together: "):
        read(tmp_path, passthrough=("n",))


@pytest.mark.parametrize("option", [{"where": "xx > 1"}, {"passthrough": ("xx",)}])
def test_a_column_that_no_file_has(option: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BadOrder, match=r"xx: no such column \(nearest: x\)"):
        read(tmp_path, table(y=[1]), **option)


@pytest.mark.parametrize("key", ["/0.parquet", "dt=1//0.parquet"])
def test_a_key_with_nothing_between_two_slashes(key: str, tmp_path: Path) -> None:
    """A local path has none of these."""
    pq.write_table(table(y=[1]), tmp_path / "1.parquet")
    files = LocalFiles(tmp_path)
    listed = [Listed(key, 1, 1.0), *parquet_files(files)]
    with pytest.raises(
        BadInput, match=f"{key}: its key has nothing between two slashes, .*; repair or remove them, or"
    ):
        read_footers(files, listed, skip_corrupt=False)
    data, skipped = read_footers(files, listed, skip_corrupt=True)
    assert ([each.path for each in skipped], list(data.footers)) == ([key], ["1.parquet"])


def test_texts_that_are_repeated_are_not_in_memory_all_together(tmp_path: Path) -> None:
    """64 MiB of them, in a file of some kilobytes."""
    rows, text = 2000, "t" * (1 << 15)
    given = pa.table({"x": pa.array(np.zeros(rows, np.float32)), "text": [text] * rows})
    pq.write_table(given, tmp_path / "a.parquet")
    found = read(tmp_path, where="text LIKE 't%'", passthrough=("text",))
    (part,) = parts_of(found.files, [(0,)], rows)
    batches = list(found.reader.batches(part))
    assert np.array_equal(np.concatenate([placed.rows for placed in batches]), np.arange(rows))
    assert [placed.count for placed in batches] == [placed.count for placed in found.reader.batches(part)]
    assert all(placed.batch.nbytes <= 1.1 * MOST_BYTES for placed in batches)
    pieces = list(found.reader.originals(0, np.arange(rows)))
    assert sum(piece.num_rows for piece in pieces) == rows
    assert all(piece.nbytes <= 1.1 * MOST_BYTES for piece in pieces)


class InMemory:
    """One file, kept in memory."""

    closed = False

    def begin(self, path: str) -> "InMemory":
        self.sink = pa.BufferOutputStream()
        return self

    def holds(self, file: StoredFile) -> bool:
        return True

    def write(self, data: Any) -> int:
        return int(self.sink.write(data) or 0)

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def finish(self, rows: int) -> StoredFile:
        return StoredFile("p", 0, "", rows)

    def discard(self) -> None: ...


def test_rejects_of_views_of_columns_of_one_name_and_of_types_that_do_not_go_together(tmp_path: Path) -> None:
    views = pa.array(["a", "b", "c"], pa.string_view())
    first = table(
        v=views, lists=pa.array([["a"], None, []], pa.list_(pa.string_view())), apart=[1, 2, 3], n=[2**53 + 1] * 3
    )
    first = pa.Table.from_arrays([*first.columns, pa.array([1, 2, 3])], names=[*first.schema.names, "v"])
    second = table(v=["d"], raw=pa.array([b"r"], pa.binary_view()), apart=["text"], n=[1.5])
    found = read(tmp_path, first, second)
    rejects = [Reject(file, row, Reason.INVALID_INPUT, "why", 1) for file, row in ((0, 1), (1, 0))]
    parts = InMemory()
    assert write_rejects(parts, "p", rejects, found.reader, found.files) is not None  # type: ignore[arg-type]
    written = pq.read_table(parts.sink.getvalue())
    assert written.column("_forebay_row_id").to_pylist() == ["0.parquet:1", "1.parquet:0"]
    assert written.column("v").to_pylist() == ["b", "d"]
    assert written.column("lists").to_pylist() == [None, None]
    assert written.column("raw").to_pylist() == [None, b"r"]
    assert written.column("apart").to_pylist() == ["2", "text"]
    assert written.column("n").to_pylist() == [2.0**53, 1.5]
