"""A model on its way to machines that do not have it, and what such a machine must see of the run."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipelines.catalog import Catalog, ModelVersion
from pipelines.scoring.faults import BadInput, StorageFault
from pipelines.scoring.progress import PLAN
from pipelines.scoring.storage.opening import open_storage
from schemas.scoring import InputFile, Order, Plan
from tests.scoring.ground import NAME, write_models
from workers.errors import BadArtifact
from workers.scoring_recipe import Recipe, elsewhere
from workers.scoring_shared import check_shared
from workers.scoring_shipping import Depot, Shipment, pack

HOOKS = "from . import shared\n\ndef preprocess(tensors):\n    return shared.same(tensors)\n"


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    """With a hook that needs a file beside it, and with another version."""
    root = write_models(tmp_path / "models", hooks=HOOKS) / NAME
    (root / "shared.py").write_text("def same(tensors):\n    return tensors\n")
    (root / "2").mkdir()
    (root / "2" / "model.onnx").write_bytes(b"another")
    return Catalog.open(root.parent).resolve(NAME, "1")


def packed(version: ModelVersion) -> tuple[Shipment, dict[int, bytes]]:
    store: dict[int, bytes] = {}

    def put(piece: bytes) -> int:
        store[len(store)] = piece
        return len(store) - 1

    return pack(version, put), store


def test_a_version_arrives_with_its_hooks_and_without_the_other_versions(version: ModelVersion, tmp_path: Path) -> None:
    shipment, store = packed(version)
    there = Depot(tmp_path / "depot").lay_out(shipment, version, store.__getitem__)
    assert there.hooks is not None
    root = there.folder.parent
    assert root.is_relative_to(tmp_path / "depot")
    assert {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()} == {
        "1/model.onnx", "hooks.py", "model.yaml", "shared.py"
    }  # fmt: skip
    assert (there.folder / "model.onnx").read_bytes() == (version.folder / "model.onnx").read_bytes()


def test_what_is_there_is_not_fetched_again_and_what_is_missing_is(version: ModelVersion, tmp_path: Path) -> None:
    shipment, store = packed(version)
    there = Depot(tmp_path / "depot").lay_out(shipment, version, store.__getitem__)
    again = Depot(tmp_path / "depot").lay_out(shipment, version, {}.__getitem__)
    assert again == there
    (there.folder / "model.onnx").unlink()
    Depot(tmp_path / "depot").lay_out(shipment, version, store.__getitem__)
    assert (there.folder / "model.onnx").exists()


def test_other_bytes_than_were_sent_are_refused(version: ModelVersion, tmp_path: Path) -> None:
    shipment, store = packed(version)
    with pytest.raises(BadArtifact, match="other bytes"):
        Depot(tmp_path / "depot").lay_out(shipment, version, lambda piece: store[piece][:-1] + b"?")
    assert not list((tmp_path / "depot").rglob("*.onnx"))


def test_a_model_that_nobody_uses_goes_when_another_comes(version: ModelVersion, tmp_path: Path) -> None:
    first, store = packed(version)
    used = Depot(tmp_path / "depot")
    before = used.lay_out(first, version, store.__getitem__)
    (version.folder / "model.onnx").write_bytes(b"changed")
    second, store = packed(version)
    Depot(tmp_path / "depot").lay_out(second, version, store.__getitem__)
    assert before.folder.exists()
    used.close()
    Depot(tmp_path / "depot").lay_out(second, version, store.__getitem__)
    assert not before.folder.exists()


def test_a_folder_that_others_may_write_to_is_refused(version: ModelVersion, tmp_path: Path) -> None:
    (tmp_path / "depot").mkdir()
    os.chmod(tmp_path / "depot", 0o777)
    shipment, store = packed(version)
    with pytest.raises(StorageFault, match="others may write"):
        Depot(tmp_path / "depot").lay_out(shipment, version, store.__getitem__)


def test_a_machine_that_does_not_share_the_folders_says_so(version: ModelVersion, tmp_path: Path) -> None:
    order = Order("r", NAME, "1", "", str(tmp_path / "in"), str(tmp_path / "out"))
    plan = Plan(order, (InputFile("a.parquet", 1, "", (1,)),), ())
    recipe = Recipe(version, "cpu", plan, order.input, order.output)
    with pytest.raises(StorageFault, match="out: the run that was begun is not seen here: the output must be on S3"):
        check_shared(recipe)
    records, _ = open_storage(order.output).run("r")
    records.put(PLAN, b"{}")
    (tmp_path / "in").mkdir()
    with pytest.raises(BadInput, match=r"in: not seen here: a\.parquet; the input must be on S3"):
        check_shared(recipe)
    (tmp_path / "in" / "a.parquet").touch()
    check_shared(recipe)


def test_for_other_machines_folders_are_whole_and_gpus_are_as_they_see_them(version: ModelVersion) -> None:
    plan = Plan(Order("r", NAME, "1", "", "in", "out"), (), ())
    recipe = elsewhere(Recipe(version, "cuda:3", plan, "in", "s3://bucket/out"))
    assert (recipe.device, recipe.input, recipe.output) == ("cuda", str(Path("in").absolute()), "s3://bucket/out")
    assert elsewhere(replace(recipe, device="auto")).device == "cpu"
