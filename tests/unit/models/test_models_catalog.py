"""A model repository: what it resolves to, and how each mistake is told."""

import os
from pathlib import Path

import pytest

from pipelines.catalog import BadModels, Catalog, ModelVersion, UnknownModel, UnknownVersion

GOOD = """
name: {name}
inputs: [{{name: x, dtype: float32, shape: [2]}}]
outputs: [{{name: y, dtype: float32}}]
"""


def add(root: Path, name: str = "good", more: str = "", versions: tuple[str, ...] = ("1", "2", "10")) -> Path:
    folder = root / name
    for version in versions:
        (folder / version).mkdir(parents=True)
    folder.mkdir(exist_ok=True)
    (folder / "model.yaml").write_text(GOOD.format(name=name) + more)
    return folder


def mistakes(root: Path) -> list[str]:
    return [str(mistake).replace(f"{root}/", "") for mistake in Catalog.open(root).mistakes]


def test_a_version_is_a_number_an_alias_or_left_out(tmp_path: Path) -> None:
    add(tmp_path, "aliased", "aliases: {production: 2, next: '10'}")
    add(tmp_path, "plain")
    catalog = Catalog.open(tmp_path)
    catalog.check()
    assert [catalog.resolve("aliased", v).version for v in ("1", "next", "production", None)] == ["1", "10", "2", "2"]
    assert catalog.resolve("plain").version == "10"  # the highest number, not the last by letters
    assert [version.version for version in catalog.versions()] == ["1", "2", "10"] * 2


def test_what_is_unknown_is_told_with_what_there_is(tmp_path: Path) -> None:
    add(tmp_path, more="aliases: {production: 2}")
    catalog = Catalog.open(tmp_path)
    with pytest.raises(UnknownModel, match="no model 'other'; there are: good"):
        catalog.resolve("other")
    with pytest.raises(UnknownVersion, match="no version '3'; there are: 1, 2, 10, production"):
        catalog.resolve("good", "3")


def test_a_version_overrides_runtime_and_options(tmp_path: Path) -> None:
    add(
        tmp_path,
        more="""
options: {intra_op_threads: 2, file: a.onnx}
versions: {2: {runtime: torch, options: {file: b}}}
""",
    )
    one, two = (Catalog.open(tmp_path).resolve("good", version) for version in ("1", "2"))
    assert (one.runtime, dict(one.options)) == ("onnx", {"intra_op_threads": 2, "file": "a.onnx"})
    assert (two.runtime, dict(two.options)) == ("torch", {"intra_op_threads": 2, "file": "b"})
    assert {one: 1}[Catalog.open(tmp_path).resolve("good", "1")] == 1
    assert one != two


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("speed: 1", "speed: no such key"),
        ("batching: {max_batch: 1}", "batching.max_batch: no such key"),
        ("batching: {max_batch_size: 0}", "batching.max_batch_size: Input should be greater than or equal to 1, got 0"),
        ("batching: {max_batch_size: '32'}", "batching.max_batch_size: Input should be a valid integer, got '32'"),
        ("batching: {max_batch_size: yes}", "batching.max_batch_size: Input should be a valid integer, got True"),
        ("batching: {max_batch_cost: .inf}", "batching.max_batch_cost: Input should be a finite number, got inf"),
        ("runtime: tf", "runtime: Input should be 'onnx' or 'torch', got 'tf'"),
        ("aliases: {production: 3}", "aliases.production: there is no version 3; there are: 1, 2, 10"),
        ("versions: {3: {}}", "versions.3: there is no folder 3/; there are: 1, 2, 10"),
        ("versions: {1: {sha256: {m.onnx: abc}}}", "versions.1.sha256: m.onnx: expected 64 hexadecimal digits"),
        (
            f"versions: {{1: {{sha256: {{m.onnx: {'1' * 64}}}}}}}",
            "versions.1.sha256: m.onnx: expected 64 hexadecimal digits in quotes",
        ),
        (f"versions: {{1: {{sha256: {{m.onnx: '{'0' * 64}'}}}}}}", "versions.1.sha256.m.onnx: no such file in 1/"),
        (
            f"versions: {{1: {{sha256: {{../model.yaml: '{'0' * 64}'}}}}}}",
            "versions.1.sha256.../model.yaml: leads out of the version's folder",
        ),
        ("hooks: ../../etc/x.py", "hooks: '../../etc/x.py' leads out of the model's folder"),
        ("hooks: /etc/x.py", "hooks: '/etc/x.py' leads out of the model's folder"),
        ("hooks: h.py", "hooks: expected a Python file in the model's folder, there is no 'h.py'"),
        ("example: {x: [1]}", "example: inputs.x: expected shape [2], got [1]"),
        ("description: 2026-11-21", "expected text, numbers, lists and mappings: description is a date"),
        ("pool: a\npool: b", "not YAML: line 6: the key 'pool' is given twice"),
        ("limits: {timeout_s: 1, timeout_s: 2}", "not YAML: line 5: the key 'timeout_s' is given twice"),
        ("options: {[1]: 2}", "not YAML:"),
        ("options: !!python/object/apply:os.system ['true']", "not YAML:"),
        ("options: {a: &a [*a]}", "not YAML: found unconstructable recursive node"),
        ("limits: {timeout_s: " + "9" * 5000 + "}", "not YAML:"),
        ("  x: [", "not YAML:"),
        ("options: \x00", "not YAML:"),
    ],
)
def test_a_mistake_is_told_by_file_and_key(tmp_path: Path, more: str, told: str) -> None:
    add(tmp_path, more=more)
    (mistake,) = mistakes(tmp_path)
    assert mistake.startswith(f"good/model.yaml: {told}")
    assert len(mistake) < 600
    assert "\n" not in mistake


def test_a_bomb_of_aliases_is_refused_quickly(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    add(tmp_path, more="\n".join(lines))
    assert "more than 100000 values" in mistakes(tmp_path)[0]


def test_yaml_merge_keys_work(tmp_path: Path) -> None:
    add(tmp_path, more="limits: &l {timeout_s: 5}\nversions: {1: {options: {<<: *l, a: 1}}}")
    assert dict(Catalog.open(tmp_path).resolve("good", "1").options) == {"timeout_s": 5, "a": 1}


def test_all_mistakes_are_told_and_good_models_stay(tmp_path: Path) -> None:
    add(tmp_path)
    add(tmp_path, "bad", "speed: 1\npool: UPPER")
    add(tmp_path, "empty", versions=())
    (tmp_path / "none").mkdir()
    (tmp_path / ".hidden").mkdir()
    (add(tmp_path, "renamed") / "model.yaml").write_text(GOOD.format(name="other") + "aliases: {a: 7}")
    catalog = Catalog.open(tmp_path)
    assert list(catalog.models) == ["good"]
    with pytest.raises(BadModels) as bad:
        catalog.check()
    lines = str(bad.value).replace(f"{tmp_path}/", "").splitlines()
    told = [": ".join(line.split(": ")[:2]) for line in lines]
    assert told == [
        "bad/model.yaml: pool",
        "bad/model.yaml: speed",
        "empty: no version folder; expected empty/1 with the model's files",
        "none/model.yaml: no such file; every model needs one",
        "none: no version folder; expected none/1 with the model's files",
        "renamed/model.yaml: name",
        "renamed/model.yaml: aliases.a",
    ]


@pytest.mark.parametrize("name", ["0", "01", "1234567890", "\u0663"])
def test_a_folder_that_is_nearly_a_version_is_named(tmp_path: Path, name: str) -> None:
    add(tmp_path, versions=("1", name))
    expected = "no version; expected a folder named by a number from 1 to 999999999, without leading zeros"
    assert mistakes(tmp_path) == [f"good/{name}: {expected}"]


def test_a_file_is_no_version(tmp_path: Path) -> None:
    (add(tmp_path, versions=("1",)) / "2").write_text("")
    assert mistakes(tmp_path)[0].startswith("good/2: no version; expected a folder")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("place", ["model.yaml", "hooks.py", "1/model.onnx", "1/deep/weights.bin"])
def test_a_pipe_is_named_and_never_opened(tmp_path: Path, place: str) -> None:
    path = add(tmp_path, more="hooks: hooks.py") / place
    path.parent.mkdir(exist_ok=True)
    (tmp_path / "good" / "hooks.py").write_text("")
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    found = mistakes(tmp_path)
    assert found[0] == f"good/{place}: neither a file nor a folder; expected a regular file"
    assert found.count(found[0]) == 1


def test_links_stay_inside(tmp_path: Path) -> None:
    outside = add(tmp_path / "elsewhere", "target")
    root = tmp_path / "models"
    folder = add(root)
    (root / "linked").symlink_to(outside)
    (folder / "1" / "weights").symlink_to(outside / "model.yaml")
    (folder / "3").symlink_to(folder / "1")
    (folder / "2" / "loop").symlink_to(folder / "2" / "loop")
    told = mistakes(root)
    assert "good/1/weights: leads out of the model's folder; links may not" in told
    assert "linked/model.yaml: leads out of the model repository; links may not" in told
    assert not any("good/3" in line for line in told)


def test_no_repository_at_all(tmp_path: Path) -> None:
    assert "expected a model repository" in str(Catalog.open(tmp_path / "none").mistakes[0])
    assert "no models here" in str(Catalog.open(tmp_path).mistakes[0])


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        ("{name: x, dtype: int8, nan: true}", "nan: expected only with a float dtype"),
        ("{name: x, dtype: float32, shape: [2], pad: 0}", "pad: expected only with a dimension of -1"),
        ("{name: x, dtype: string, shape: [-1], pad: 0}", "pad: strings are not padded"),
        ("{name: x, dtype: int64, shape: [-1], pad: 0.5}", "pad: expected a value of int64, got 0.5"),
        ("{name: x, dtype: float32, shape: [0]}", "a dimension must be -1"),
        ("{name: x, dtype: float31}", "Input should be 'float16'"),
        ("{name: '1 x', dtype: int8}", "String should match pattern"),
        ("{dtype: int8}", "missing"),
        ("", "expected at least one tensor"),
    ],
)
def test_a_tensor_that_makes_no_sense(tmp_path: Path, tensor: str, told: str) -> None:
    folder = add(tmp_path)
    (folder / "model.yaml").write_text(f"name: good\ninputs: [{tensor}]\noutputs: [{{name: y, dtype: bool}}]\n")
    (mistake,) = mistakes(tmp_path)
    assert mistake.startswith("good/model.yaml: inputs")
    assert told in mistake


def test_equal_versions_are_one_key(tmp_path: Path) -> None:
    add(tmp_path)
    assert len({v for _ in range(2) for v in Catalog.open(tmp_path).versions()}) == 3
    assert isinstance(Catalog.open(tmp_path).resolve("good"), ModelVersion)
