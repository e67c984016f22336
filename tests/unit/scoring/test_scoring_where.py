"""`--where`: SQL's meaning on real tables, and a refusal with the part for everything else."""

import datetime as dt
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.scoring.faults import BadOrder
from pipelines.scoring.where import columns_of, parse

NOON = dt.datetime(2026, 11, 20, 12)
TABLE = pa.table(
    {
        "id": [0, 1, 2, 3],
        "small": pa.array([1, 2, None, -3], pa.int8()),
        "big": pa.array([2**63, None, 1, 2**64 - 1], pa.uint64()),
        "f": pa.array([0.1, None, float("nan"), 2], pa.float32()),
        "zero": pa.array([0.0, -0.0, None, 5], pa.float32()),
        "exact": [2**53 + 1, 2**63 - 1, 2**53, 7],
        "float": [2.0**53, 2.0**63, 2.0**53, float("nan")],
        "dec": pa.array([Decimal(2**53 + 1), Decimal("4.5"), Decimal(2), Decimal("1e20")], pa.decimal128(30, 5)),
        "half": pa.array([0.5, 1.5, None, 2], pa.float16()),
        "price": pa.array([Decimal("1.50"), Decimal("2.25"), None, Decimal("-1")], pa.decimal128(10, 2)),
        "flag": [True, False, None, True],
        "s": ["abc", "a_c", None, "x%"],
        "large": pa.array(["abc", "b", None, "x"], pa.large_string()),
        "code": pa.array(["abc", "b", None, "x"]).dictionary_encode(),
        "day": [dt.date(2026, 11, 20), dt.date(2026, 11, 21), None, dt.date(1, 1, 1)],
        "day64": pa.array([dt.date(2026, 11, 20), dt.date(2026, 11, 21), None, dt.date(1, 1, 1)], pa.date64()),
        "at": pa.array([NOON, NOON.replace(hour=13), None, NOON.replace(year=1970)], pa.timestamp("ns")),
        "sec": pa.array([NOON, NOON.replace(hour=13), None, NOON.replace(year=1)], pa.timestamp("s")),
        "zoned": pa.array([NOON, NOON.replace(hour=13), None, NOON.replace(year=1970)], pa.timestamp("us", "Europe/Berlin")),
        "payload": [{"text": "a", "more": {"n": 1}}, {"text": None, "more": None}, None, {"text": "d", "more": {"n": 4}}],
        "a.b": [1, 2, 3, 4],
        "odd name": [1, 2, 3, 4],
        "tags": [["a"], [], None, ["b"]],
        "raw": [b"a", b"b", None, b"c"],
    }
)  # fmt: skip


def ids(where: str) -> list[int]:
    found: list[int] = TABLE.filter(parse(where, TABLE.schema)).column("id").to_pylist()
    return found


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("small = 1", [0]),
        ("1 < small", [1]),
        ("small != 1", [1, 3]),
        ("NOT small = 1", [1, 3]),
        ("small = 1 OR small = 2 AND s = 'x'", [0]),
        ("(small = 1 OR small = 2) AND s = 'a_c'", [1]),
        ("small = -3.0", [3]),
        ("(small) = (1)", [0]),
        # Constants that the column's type does not have.
        ("small < 300", [0, 1, 3]),
        ("small > 300", []),
        ("NOT small > 300", [0, 1, 3]),
        ("small = 300", []),
        ("small <> 300", [0, 1, 3]),
        ("small > 1.5", [1]),
        ("small <= 1.5", [0, 3]),
        ("small >= -1000", [0, 1, 3]),
        ("small < 1e999", [0, 1, 3]),
        ("small IN (1, 300, 1.5)", [0]),
        ("small NOT IN (1, 300)", [1, 3]),
        ("NOT small IN (1) AND NOT (s = 'x%')", [1]),
        ("big = 18446744073709551615", [3]),
        ("big > -1", [0, 2, 3]),
        ("big > small", [0, 3]),
        ("f = 0.1", [0]),
        ("f < 1e39", [0, 3]),
        ("zero IN (0)", [0, 1]),
        ("zero IN (-0.0, 5)", [0, 1, 3]),
        ("zero NOT IN (0)", [3]),
        # Beside floats and decimals, exactly: 2**53 + 1 is no float, and 2**63 - 1 is rounded to what no integer of 64 bits is.
        ("exact = float", [2]),
        ("exact <> float", [0, 1, 3]),
        ("exact > float", [0]),
        ("float < exact", [0]),
        ("exact <= float", [1, 2]),
        ("float >= exact", [1, 2]),
        ("exact = dec", [0]),
        ("exact > dec", [1, 2]),
        ("dec < big", [0]),
        ("price >= dec", []),
        ("half >= 1.5", [1, 3]),
        ("half IN (0.5)", [0]),
        ("price = 1.5", [0]),
        ("price < 2.251", [0, 1, 3]),
        ("price > 99999999999", []),
        ("price IN (1.50, 2.255)", [0]),
        ("flag", [0, 3]),
        ("NOT flag", [1]),
        ("flag = FALSE", [1]),
        ("flag IS NULL", [2]),
        ("small IS NOT NULL", [0, 1, 3]),
        ("small BETWEEN 1 AND 2.5", [0, 1]),
        ("small NOT BETWEEN -5 AND 1", [1]),
        ("s LIKE 'a%'", [0, 1]),
        ("s LIKE '%c'", [0, 1]),
        ("s LIKE '%b%'", [0]),
        ("s LIKE 'a\\_c'", [1]),
        ("s NOT LIKE 'a%'", [3]),
        ("NOT s NOT LIKE 'a%'", [0, 1]),
        ("small NOTNULL", [0, 1, 3]),
        ("large LIKE 'a%' AND code LIKE 'a%'", [0]),
        ("code = 'b' OR code IN ('x')", [1, 3]),
        ("s = 'it''s'", []),
        ("large = code", [0, 1, 3]),
        ("day >= '2026-11-20'", [0, 1]),
        ("day = DATE '2026-11-20'", [0]),
        ("day64 BETWEEN DATE '2026-11-20' AND '2026-11-20'", [0]),
        ("day IN (DATE '2026-11-20', '2026-11-21')", [0, 1]),
        ("at > TIMESTAMP '2026-11-20 12:00:00'", [1]),
        ("at <= TIMESTAMP '9999-12-31'", [0, 1, 3]),
        ("at > '0001-01-01'", [0, 1, 3]),
        ("at >= DATE '2026-11-20'", [0, 1]),
        ("sec > TIMESTAMP '2026-11-20T12:00:00.000001'", [1]),
        ("sec >= TIMESTAMP '2026-11-20T12:00:00.000001'", [1]),
        ("zoned = TIMESTAMP '2026-11-20 12:00:00'", [0]),
        ("zoned > '2026-11-20T13:30:00+01:00'", [1]),
        ("payload.text = 'a'", [0]),
        ("payload.more.n > 1", [3]),
        ("payload.text IS NULL", [1, 2]),
        ("payload IS NULL", [2]),
        ("tags IS NOT NULL", [0, 1, 3]),
        ("a.b = 2", [1]),
        ('"a.b" = 2 OR "odd name" = 3', [1, 2]),
        ("small = id", []),
        ("id >= f", [3]),
        (" AND ".join(["small = 1"] * 1000), [0]),
        (f"id IN ({', '.join(map(str, range(2, 2000)))})", [2, 3]),
    ],
)  # fmt: skip
def test_what_sql_takes(where: str, expected: list[int]) -> None:
    assert ids(where) == expected


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("small + 1 > 2", "where: small + 1: cannot be taken, allowed are = <> < <= > >= AND OR NOT IN BETWEEN LIKE IS NULL"),
        ("LOWER(s) = 'a'", "where: LOWER(s): cannot be taken, allowed are"),
        ("small BETWEEN SYMMETRIC 2 AND 1", "where: (small BETWEEN 2 AND 1 OR small BETWEEN 1 AND 2): cannot be taken"),
        ("s ILIKE 'a'", "where: s ILIKE 'a': cannot be taken, allowed are"),
        ("s LIKE 'a' ESCAPE '!'", "where: s LIKE 'a' ESCAPE '!': cannot be taken, allowed are"),
        ("s LIKE large", "where: s LIKE large: the column is string, expected one of strings LIKE a 'string'"),
        ("small LIKE '1%'", "where: small LIKE '1%': the column is int8, expected one of strings LIKE a 'string'"),
        ("1 = 1", "where: 1 = 1: compares no column, expected one on one side"),
        ("TRUE", "where: TRUE: cannot be taken, allowed are"),
        ("s", "where: s: is string, expected a condition"),
        ("small = NULL", "where: small = NULL: is never true, expected IS NULL or IS NOT NULL"),
        ("small IN (1, NULL)", "where: NULL: is no value to compare with, expected IS NULL beside the others"),
        ("small IN (SELECT 1)", "where: small IN (SELECT 1): cannot be taken, allowed are"),
        ("small IN ()", "where: small IN (): cannot be taken, expected IN with a list of values"),
        ("EXISTS(SELECT 1)", "where: EXISTS(SELECT 1): cannot be taken, allowed are"),
        ("small = ?", "where: ?: cannot be taken, allowed are"),
        ("small = 'a'", "where: small = 'a': the column is int8, expected a number"),
        ("price = 'a'", "where: price = 'a': the column is decimal128(10, 2), expected a number"),
        ("f BETWEEN 1 AND 'a'", "where: f BETWEEN 1 AND 'a': the column is float, expected a number"),
        ("s = 1", "where: s = 1: the column is string, expected a 'string'"),
        ("flag = 1", "where: flag = 1: the column is bool, expected = or <> and TRUE or FALSE"),
        ("flag > TRUE", "where: flag > TRUE: the column is bool, expected = or <> and TRUE or FALSE"),
        ("day = '2026-13-01'", "where: day = '2026-13-01': the column is date32[day], expected a date such as '2026-11-20'"),
        ("day = 5", "where: day = 5: the column is date32[day], expected DATE '…'"),
        ("day = TIMESTAMP '2026-11-20'", "where: day = TIMESTAMP '2026-11-20': the column is date32[day], expected DATE '…'"),
        ("s = DATE '2026-11-20'", "where: s = DATE '2026-11-20': the column is string, expected a 'string'"),
        ("day = DATE 'x'", "where: DATE 'x': expected a date such as '2026-11-20'"),
        ("at = 5", "where: at = 5: the column is timestamp[ns], expected TIMESTAMP '…' or DATE '…'"),
        ("at > '2026-11-20T12:00:00Z'",
            "where: at > '2026-11-20T12:00:00Z': the column is timestamp[ns], expected a timestamp without"),
        ("at > '2026-11-20 12:00:00.1234567'",
            "where: at > '2026-11-20 12:00:00.1234567': the column is timestamp[ns], expected a timestamp"),
        ("day = at", "where: day = at: the column is date32[day], expected one of its kind beside it, not timestamp[ns]"),
        ("at = zoned", "where: at = zoned: the column is timestamp[ns], expected one of its kind beside it"),
        ("tags = 'a'", "where: tags = 'a': the column is list<item: string>, expected a column of numbers, strings,"),
        ("raw = 'a'", "where: raw = 'a': the column is binary, expected a column of numbers, strings,"),
        ("payload = 1", "where: payload = 1: the column is struct<"),
        ("smal = 1", "where: there is no column smal (nearest: small, half)"),
        ("payload.texts = 'a'", "where: there is no column payload.texts (nearest: payload.text, payload.more, payload)"),
        ("small.x = 1", "where: there is no column small.x (nearest: small)"),
        ("small = 1 GROUP BY s", "where: not understood at 'GROUP BY' (line 1, column 18); expected a condition such as"),
        ("small = 1; DROP TABLE t", "where: not understood at 'DROP' (line 1, column 15); expected"),
        ("small =", "where: not understood at '=' (line 1, column 7); expected"),
        ("s = 'a", "where: is no condition; expected"),
        ("", "where: is no condition; expected"),
        ("__import__('os').system('true')", "where: __IMPORT__('os')"),
        ("small > 1e9999", "where: 1e9999: expected a number of 100 digits at most"),
        ("NOT " * 20_000 + "flag", "where: nested too deep"),
        (" OR ".join(["small = 1"] * 1001), "where: 1,001 conditions, expected 1,000 at most; one IN (…) with all values"),
        ("s = '" + "a" * 100_000 + "'", "where: 100006 characters, expected 100000 at most"),
    ],
)  # fmt: skip
def test_what_is_refused(where: str, message: str) -> None:
    with pytest.raises(BadOrder) as caught:
        parse(where, TABLE.schema)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_columns_of_one_name_are_told() -> None:
    schema = pa.schema([("a", pa.int8()), ("a", pa.int8())])
    with pytest.raises(BadOrder, match="where: a: several columns have this name"):
        parse("a = 1", schema)


def test_views_of_strings() -> None:
    batch = pa.table({"v": pa.array(["a", "b"], pa.string_view())})
    condition = parse("v LIKE 'a%' OR v IN ('c')", batch.schema)
    kept = ds.dataset(batch).scanner(columns={"kept": condition}).to_table().column("kept")
    assert kept.to_pylist() == [True, False]


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("a = 1 AND b.c.d.e.f.g LIKE 'x' OR NOT a IS NULL", ("a", "b.c.d.e.f.g")),
        ('x IN (1, 2) AND "odd name" BETWEEN 1 AND 2 AND y = x', ("x", "odd name", "y")),
        ("dt >= DATE '2026-11-20'", ("dt",)),
    ],
)
def test_the_columns_it_needs(where: str, names: tuple[str, ...]) -> None:
    assert columns_of(where) == names
    with pytest.raises(BadOrder):
        columns_of("a = ")


def test_hive_columns_choose_the_files(tmp_path: Path) -> None:
    part = ds.partitioning(pa.schema([("dt", pa.date32()), ("land", pa.string())]), flavor="hive")
    table = pa.table(
        {"dt": [dt.date(2026, 11, day) for day in (19, 20, 21)], "land": ["de", "fr", "de"], "n": [1, 2, 3]}
    )
    ds.write_dataset(table, tmp_path, format="parquet", partitioning=part)
    for land in (pa.string(), pa.dictionary(pa.int32(), pa.string())):
        read = ds.partitioning(pa.schema([("dt", pa.date32()), ("land", land)]), flavor="hive", dictionaries="infer")
        data = ds.dataset(tmp_path, partitioning=read)
        condition = parse("dt >= '2026-11-20' AND land = 'de'", data.schema)
        (fragment,) = data.get_fragments(filter=condition)
        assert "2026-11-21" in fragment.path
        assert data.to_table(filter=condition).column("n").to_pylist() == [3]


ROWS = [(None, None, None), (1, 0.5, "a"), (2, -1.5, "ab"), (-3, 2.0, "b%"), (0, None, "A"), (None, 1.0, "")]
leaves = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from("nx"), st.sampled_from(["=", "<>", "<", "<=", ">", ">="]),
        st.sampled_from(["0", "1", "-3", "1.5", "300", "-1.5", "1e3"])),
    st.builds("{} {} {}".format, st.sampled_from("nx"), st.sampled_from(["=", "<>", "<", ">="]), st.sampled_from("nx")),
    st.builds("{} {} ({}, {})".format, st.sampled_from("nx"), st.sampled_from(["IN", "NOT IN"]), st.sampled_from("012"),
        st.sampled_from(["-3", "300", "0.5"])),
    st.builds("{} {} -1 AND {}".format, st.sampled_from("nx"), st.sampled_from(["BETWEEN", "NOT BETWEEN"]),
        st.sampled_from("012")),
    st.builds("t {} '{}'".format, st.sampled_from(["LIKE", "NOT LIKE", "=", "<", ">="]),
        st.sampled_from(["a", "a%", "%b%", "_", ""])),
    st.builds("{} {}".format, st.sampled_from("nxt"), st.sampled_from(["IS NULL", "IS NOT NULL"])),
)  # fmt: skip
conditions = st.recursive(
    leaves,
    lambda below: st.one_of(
        st.builds("({} {} {})".format, below, st.sampled_from(["AND", "OR"]), below),
        st.builds("NOT ({})".format, below),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(conditions)
def test_it_means_what_it_means_to_a_database(where: str) -> None:
    with sqlite3.connect(":memory:") as database:
        database.execute("PRAGMA case_sensitive_like = ON")
        database.execute("CREATE TABLE rows (n INTEGER, x REAL, t TEXT)")
        database.executemany("INSERT INTO rows VALUES (?, ?, ?)", ROWS)
        expected: list[Any] = database.execute(f"SELECT rowid FROM rows WHERE {where} ORDER BY rowid").fetchall()
    database.close()
    n, x, t = zip(*ROWS, strict=True)
    table = pa.table({"id": range(1, 7), "n": pa.array(n, pa.int8()), "x": pa.array(x, pa.float64()), "t": pa.array(t)})
    assert table.filter(parse(where, table.schema)).column("id").to_pylist() == [row for (row,) in expected]


@pytest.mark.parametrize(
    ("where", "groups"),
    [
        ("x <> 10", [0, 1, 2]),
        ("NOT (x > 5)", [0, 1, 2]),
        ("NOT x IN (10, 1)", [0, 1, 2]),
        ("x = x", [0, 1, 2]),
        ("NOT (x = 10 AND id > 1)", [0, 1, 2]),
        ("NOT (x = 10) AND id > 1", [1, 2]),
        ("x = 10", [0]),
        ("x > 5 OR id = 5", [0, 2]),
        ("x IN (1, 20)", [1]),
        ("x BETWEEN 9 AND 11 AND 8 < x", [0]),
        ("NOT (id > 1)", [0]),
        ("id <> 1", [0, 1, 2]),
    ],
)
def test_statistics_rule_out_what_they_prove_nan_being_none_of_them(
    where: str, groups: list[int], tmp_path: Path
) -> None:
    nan = float("nan")
    table = pa.table({"id": range(6), "x": [10.0, nan, 1.0, nan, 2.0, 2.0]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    fragment = next(ds.dataset(tmp_path / "a.parquet").get_fragments())
    kept = fragment.subset(filter=parse(where, table.schema, provable=True), schema=table.schema)
    assert [group.id for group in kept.row_groups] == groups
    read = ds.dataset(tmp_path / "a.parquet").to_table()
    held = [n // 2 for n in read.filter(parse(where, table.schema)).column("id").to_pylist()]
    assert set(held) <= set(groups)
