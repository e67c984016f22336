"""`forebay submit`: what is taken, what is refused and how it is said."""

import io
import json
from pathlib import Path
from typing import NoReturn

import pytest
from cli_driver import OTHER, PICTURE, Command

from forebay.cli import errors, inputs
from pipelines.store.sql import SqlStore

LINE = json.dumps(PICTURE)


def written(folder: Path, *lines: str) -> str:
    (folder / "in.jsonl").write_text("\n".join(lines))
    return str(folder / "in.jsonl")


def test_one_input(forebay: Command) -> None:
    id = forebay.submit("--priority", "7", "--expires-in", "15m", "--version", "production")
    (record,) = forebay("jobs", "ls", "--json").records
    assert (record["job_id"], record["status"], record["priority"], record["version"]) == (id, "queued", 7, "1")
    assert record["origin"] == "cli"
    assert record["deadline_at"] > record["submitted_at"]


def test_a_file_names_its_bad_lines_and_submits_the_good(forebay: Command) -> None:
    file = written(forebay.folder, LINE, '{"pixels": [1]}', "", json.dumps({"inputs": PICTURE, "label": 3}), "nonsense")
    said = forebay("submit", "digits", "--file", file, "--json")
    assert said.code == errors.Exit.FAILED
    assert [list(record) for record in said.records] == [["job_id"], ["job_id"]]
    assert said.err.splitlines()[0] == "forebay: line 2: inputs.pixels: expected shape [64], got [1]"
    assert "forebay: line 5: inputs: not JSON" in said.err
    assert said.err.endswith("forebay: 2 submitted, 2 left out\n")
    assert len(forebay("jobs", "ls", "--json").records) == 2


def test_ids_come_in_the_order_of_the_lines_over_several_commits(
    forebay: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forebay.cli.submit.CHUNK", 2)
    said = forebay("submit", "digits", "--file", written(forebay.folder, *[LINE] * 5))
    newest_first = [record["job_id"] for record in forebay("jobs", "ls", "--all", "--json").records]
    assert said.out.split() == newest_first[::-1]


def test_standard_input(forebay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{LINE}\n{LINE}\n".encode())))
    assert len(forebay("submit", "digits", "--file", "-").out.split()) == 2


def test_a_field_of_the_api_on_a_line_is_not_ignored(forebay: Command) -> None:
    said = forebay(
        "submit", "digits", "--file", written(forebay.folder, json.dumps({"inputs": PICTURE, "priority": 9}))
    )
    assert said.code == errors.Exit.FAILED
    assert "line 1: priority: not on a line" in said.err


def test_one_key_is_one_job_even_when_the_alias_moves(forebay: Command) -> None:
    first = forebay.submit("--key", "k", "--version", "production")
    spec = forebay.models / "digits" / "model.yaml"
    spec.write_text(spec.read_text().replace("production: 1", "production: 2"))
    assert forebay.submit("--key", "k", "--version", "production") == first
    said = forebay("submit", "digits", "--input", json.dumps(OTHER), "--key", "k", "--version", "production")
    assert (said.code, said.one_line) == (errors.Exit.FAILED, True)
    assert f"the idempotency key belongs to job {first}" in said.err


def test_a_key_is_for_one_input(forebay: Command) -> None:
    said = forebay("submit", "digits", "--file", written(forebay.folder, LINE, LINE), "--key", "k")
    assert (said.code, said.one_line) == (errors.Exit.USAGE, True)
    assert forebay("jobs", "ls").code == errors.Exit.FAILED, "no store was made"


def test_waiting_prints_how_each_ended(forebay: Command) -> None:
    said = forebay("submit", "digits", "--input", LINE, "--wait", "30ms", "--json")
    assert said.code == errors.Exit.STILL_PENDING
    assert [record["status"] for record in said.records] == ["queued"]


def test_waiting_ends_when_the_job_does(forebay: Command) -> None:
    id = forebay.submit("--key", "k")
    forebay.succeed(id)
    said = forebay("submit", "digits", "--input", LINE, "--key", "k", "--wait", "1h")
    assert (said.code, said.out) == (0, f'{id} succeeded {{"probabilities":[1.0]}}\n')


def interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_an_interrupt_while_waiting_tells_the_ids(
    forebay: Command, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    monkeypatch.setattr("forebay.cli.waiting.until_ended", interrupt)
    file = written(forebay.folder, LINE, LINE)
    options = ("--tenant", "ann", "--home", str(forebay.folder / "a b"))
    said = forebay("submit", "digits", "--file", file, "--wait", "1h", *options, *more)
    assert said.code == 130
    ids = [record["job_id"] for record in said.records] if more else said.out.split()
    there = forebay("jobs", "ls", "--json", *options).records
    assert sorted(ids) == sorted(record["job_id"] for record in there)
    assert len(ids) == 2
    given = f"--tenant ann --home '{forebay.folder}/a b'"
    look = f"look with `forebay result <job_id> {given}` or `forebay jobs ls {given}`"
    assert said.err == f"forebay: interrupted: 2 submitted; {look}\n"


@pytest.mark.parametrize("wait", [(), ("--wait", "1h")])
def test_an_interrupt_while_submitting_tells_each_id_once(
    forebay: Command, monkeypatch: pytest.MonkeyPatch, wait: tuple[str, ...]
) -> None:
    commit = SqlStore.submit
    monkeypatch.setattr("forebay.cli.submit.CHUNK", 2)
    first = iter([True])
    monkeypatch.setattr(SqlStore, "submit", lambda *given: commit(*given) if next(first, False) else interrupt())
    said = forebay("submit", "digits", "--file", written(forebay.folder, *[LINE] * 4), *wait)
    assert said.code == 130
    assert sorted(said.out.split()) == sorted(record["job_id"] for record in forebay("jobs", "ls", "--json").records)
    assert len(said.out.split()) == 2
    assert said.err.startswith(
        "forebay: interrupted: 2 submitted, and perhaps 2 more; look with `forebay result <job_id>`"
    )


def test_an_interrupt_before_anything_was_submitted(forebay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forebay.cli.inputs.Drafter.draft", interrupt)
    said = forebay("submit", "digits", "--input", LINE, "--wait", "1h")
    assert (said.code, said.out, said.err) == (130, "", "forebay: interrupted: 0 submitted\n")


def test_a_line_is_no_longer_than_a_body_may_be(forebay: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_MAX_BODY", "2048")
    file = written(forebay.folder, json.dumps({"pixels": [0.123456] * 64 + [1] * 2000}), LINE)
    said = forebay("submit", "digits", "--file", file)
    assert "line 1: too long" in said.err
    assert len(said.out.split()) == 1


def test_long_lines_are_skipped_without_being_held() -> None:
    found = list(inputs.lines(io.BytesIO(b"a" * 50 + b"\n" + b"short\n\nend"), 10))
    assert [(line.place, line.raw) for line in found] == [("line 1", None), ("line 2", b"short"), ("line 4", b"end")]
    assert sum(line.size for line in found) == 51 + 6 + 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("nope", "--input", LINE), 3, "no model 'nope'; there are: digits"),
        (("digits", "--version", "9", "--input", LINE), 3, "has no version '9'; there are: 1, 2, production"),
        (("digits",), 2, "give either --input or --file"),
        (("digits", "--input", LINE, "--file", "-"), 2, "give either --input or --file"),
        (("digits", "--file", "missing.jsonl"), 1, "missing.jsonl: No such file or directory"),
        (("digits", "--file", "models"), 1, "models: Is a directory"),
        (("digits", "--input", '{"pixels": [NaN]}'), 1, "--input: inputs: not JSON"),
        (("digits", "--input", "[" * 100_000), 1, "--input: "),
        (("digits", "--input", LINE, "--expires-in", "0"), 2, "expected more than 0"),
        (("digits", "--input", LINE, "--expires-in", "nan"), 2, "expected a duration"),
        (("digits", "--input", LINE, "--expires-in", "31d"), 2, "--expires-in: expected at most 30d"),
        (("digits", "--input", LINE, "--wait", "inf"), 2, "expected a duration"),
        (("digits", "--input", LINE, "--priority", "10"), 2, "--priority"),
        (("digits", "--input", LINE, "--key", "no spaces"), 2, "--key: expected 1 to 255 visible ASCII"),
        (("digits", "--input", LINE, "--key", ""), 2, "--key: expected 1 to 255 visible ASCII"),
        (("digits", "--input", LINE, "--tenant", "a/b"), 2, "expected letters, digits"),
    ],
)
def test_errors_are_one_line(forebay: Command, arguments: tuple[str, ...], code: int, message: str) -> None:
    said = forebay("submit", *arguments)
    assert (said.code, said.out) == (code, "")
    assert said.one_line, said.err
    assert message in said.err


def test_an_empty_file_is_an_error(forebay: Command) -> None:
    said = forebay("submit", "digits", "--file", written(forebay.folder, "", ""))
    assert (said.code, said.one_line, "no inputs" in said.err) == (errors.Exit.FAILED, True, True)


def test_a_broken_model_is_told(forebay: Command) -> None:
    (forebay.models / "digits" / "model.yaml").write_text("name: digits\n")
    said = forebay("submit", "digits", "--input", LINE)
    assert said.code == errors.Exit.FAILED
    assert "digits/model.yaml: inputs: missing" in said.err
