"""The command line, where inputs and results are that no row holds."""

import json
from pathlib import Path

import pytest
from cli_driver import Command

from pipelines.payloads import keys
from pipelines.payloads.folder import FolderPayloads
from schemas.verdicts import Done

LONG = {"pixels": [0.123456789012345 + n for n in range(64)]}
RESULT = {"probabilities": [0.1] * 500}


@pytest.fixture(autouse=True)
def _small_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREBAY_INLINE_BYTES", "1024")


def payloads(forebay: Command) -> FolderPayloads:
    store = forebay.store()
    found = FolderPayloads(forebay.home / "payloads", store.identity())
    store.close()
    return found


def held(forebay: Command) -> list[str]:
    return [key for page in payloads(forebay).older(0.0) for key in page]


def test_a_large_input_is_shown_patched_and_dropped(forebay: Command) -> None:
    id = forebay.submit(inputs=LONG)
    assert len(held(forebay)) == 1
    forebay.fail(id)
    (shown,) = forebay("dlq", "show", id, "--json").records
    assert shown["inputs"]["pixels"] == pytest.approx(LONG["pixels"])
    assert shown["inputs_ref"] == held(forebay)[0]
    patched = [value + 1 for value in LONG["pixels"]]
    assert forebay("dlq", "replay", id, "--patch", json.dumps({"pixels": patched}), "--dry-run").code == 0
    assert len(held(forebay)) == 1, "a dry run puts nothing"
    assert forebay("dlq", "replay", id, "--patch", json.dumps({"pixels": patched})).code == 0
    assert len(held(forebay)) == 2, "the one before is kept with the job"
    forebay.fail(id)
    (shown,) = forebay("dlq", "show", id, "--json").records
    assert shown["inputs"]["pixels"] == pytest.approx(patched)
    assert shown["replays"][0]["inputs_before_ref"] in held(forebay)
    assert "inputs before: payload " in forebay("dlq", "show", id).out
    assert forebay("dlq", "discard", id, "--yes").code == 0
    assert held(forebay) == []


def test_what_is_gone_is_told_and_the_rest_is_shown(forebay: Command) -> None:
    id = forebay.submit(inputs=LONG)
    forebay.fail(id)
    payloads(forebay).remove(held(forebay))
    shown = forebay("dlq", "show", id, "--json")
    assert shown.records[0]["inputs"] is None
    assert shown.records[0]["error"] == "boom"
    assert "payload default/" in shown.err
    refused = forebay("dlq", "replay", id, "--patch", "{}")
    assert refused.code == 1
    assert refused.one_line


def test_a_large_result_is_printed_as_any(forebay: Command) -> None:
    id = forebay.submit()
    result = json.dumps(RESULT).encode()
    ref = keys.of_result("default", 1, 1, result)
    payloads(forebay).put(ref, result)
    forebay.end(id, Done(b"", ref))
    assert json.loads(forebay("result", id).out) == RESULT
    assert forebay("result", id, "--json").records[0]["result"] == RESULT
    payloads(forebay).remove([ref])
    gone = forebay("result", id)
    assert gone.code == 1
    assert gone.one_line


def test_a_folder_that_is_a_file_is_one_line(forebay: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FOREBAY_PAYLOADS", str(tmp_path / "file"))
    said = forebay("submit", "digits", "--input", json.dumps(LONG))
    assert said.code == 1
    assert said.one_line
