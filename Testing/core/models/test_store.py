"""Model folders: what is refused, by name; small random networks stand in for trained ones."""

import json
from dataclasses import replace

import pytest

from HippoSegLib.errors import ModelError, OutputError
from HippoSegLib.models.card import CARD, ModelCard, read_card
from HippoSegLib.models.card_parts import LocalizerCard, SegmenterCard
from HippoSegLib.models.saving import save_model
from HippoSegLib.models.store import (
    DEFAULT,
    bundled_folder,
    bundled_models,
    load_model,
)
from HippoSegLib.preprocessing.chain import Preprocessing

WIDTHS = (4, 8)
SEGMENTER = "segmenter.pt"


@pytest.fixture
def model_folder(tmp_path):
    """A model for crops with an untrained network."""
    import torch

    from HippoSegLib.models.unet3d import UNet3D

    torch.manual_seed(0)
    weights = tmp_path / "weights.pt"
    state = UNet3D(1, 3, WIDTHS).state_dict()
    torch.save({name: value.half() for name, value in state.items()}, weights)
    part = SegmenterCard(WIDTHS, (16, 16, 16), 1.0, Preprocessing.named("plain"))
    return save_model(tmp_path / "mine", ModelCard(part, "mine"), {"segmenter": weights})


def test_what_was_saved_loads_and_gives_the_same_values(model_folder):
    import torch

    model = load_model(model_folder)
    stored = torch.load(model_folder / SEGMENTER, weights_only=True)
    module = model.module()
    for name, value in module.state_dict().items():
        assert torch.equal(value, stored[name].float())
    assert not module.training and not any(p.requires_grad for p in module.parameters())
    assert model.networks().localizer is None and model.networks().refiner is None


def test_a_model_is_never_overwritten(model_folder, tmp_path):
    with pytest.raises(OutputError, match="exists"):
        save_model(model_folder, read_card(model_folder), {"segmenter": tmp_path / "weights.pt"})


def test_altered_weights_are_refused_by_name(model_folder):
    data = bytearray((model_folder / SEGMENTER).read_bytes())
    data[-1] ^= 1
    (model_folder / SEGMENTER).write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"'segmenter\.pt' of model 'mine'.*SHA-256"):
        load_model(model_folder)


def test_a_half_written_model_is_offered_nowhere(model_folder, tmp_path, monkeypatch):
    """As a broken copy leaves it, or a killed program of an earlier version that had not yet renamed it."""
    import shutil

    from HippoSegLib.models import store, user_models

    monkeypatch.setenv("HIPPOSEG_MODELS", str(tmp_path))
    monkeypatch.setattr(store, "bundled_folder", lambda: tmp_path)
    copies = {name: tmp_path / name for name in (".mine.x1y2", "short", "empty", "bare", "torn", "odd")}
    for copy in copies.values():
        shutil.copytree(model_folder, copy)
    whole = (model_folder / SEGMENTER).read_bytes()
    (copies["short"] / SEGMENTER).write_bytes(whole[: len(whole) // 2])
    (copies["empty"] / SEGMENTER).write_bytes(b"")
    (copies["bare"] / SEGMENTER).unlink()
    (copies["torn"] / CARD).write_bytes((model_folder / CARD).read_bytes()[:200])
    (copies["odd"] / CARD).write_text('{"files": ["segmenter.pt"]}')
    assert user_models.user_models() == [model_folder] and bundled_models() == ["mine"]
    for name in ("short", ".mine.x1y2", "mine"):
        user_models.make_default(tmp_path / name)
        assert user_models.default_model() == (model_folder if name == "mine" else None)


def test_a_model_whose_writing_is_killed_is_not_there_and_its_files_are_swept(model_folder, tmp_path):
    import subprocess
    import sys
    from pathlib import Path

    code = (
        "import os, sys\nfrom pathlib import Path\nfrom HippoSegLib.models import card, saving\n"
        "saving.os.replace = lambda *_: os._exit(9)\n"  # all is written, and has not its name yet
        "like = card.read_card(Path(sys.argv[3]))\n"
        "saving.save_model(Path(sys.argv[1]), like, {'segmenter': Path(sys.argv[2])})"
    )
    root = Path(__file__).resolve().parents[3]
    folder = tmp_path / "models"
    command = [sys.executable, "-c", code, str(folder / "half"), str(tmp_path / "weights.pt")]
    command.append(str(model_folder))
    assert subprocess.run(command, cwd=root).returncode == 9
    assert len(list(folder.rglob(CARD))) == 1 and not (folder / "half").exists()
    save_model(folder / "whole", read_card(model_folder), {"segmenter": tmp_path / "weights.pt"})
    assert [path.name for path in folder.iterdir()] == ["whole"]


@pytest.fixture
def sharing(model_folder, tmp_path):
    """A model beside `mine` that has its segmenter's weights, and others of its own."""
    part = LocalizerCard((4, 8), 16, 6.5, 50.0)
    card = replace(read_card(model_folder), name="", localizer=part)
    other = tmp_path / "other.pt"
    other.write_bytes(b"not read here")
    weights = {"segmenter": tmp_path / "weights.pt", "localizer": other}
    return save_model(tmp_path / "beside", card, weights, share="mine")


def test_a_file_that_a_model_beside_it_holds_alike_is_shared(sharing, model_folder):
    files = read_card(sharing).files
    assert files[SEGMENTER].shared_from == "mine" and not (sharing / SEGMENTER).exists()
    assert files["localizer.pt"].shared_from is None and (sharing / "localizer.pt").exists()
    assert files[SEGMENTER].sha256 == read_card(model_folder).files[SEGMENTER].sha256


def values(folder):
    """The JSON values of a model's card."""
    return json.loads((folder / CARD).read_text())


def without_localizer(folder):
    card = values(folder)
    del card["files"]["localizer.pt"], card["localizer"]
    (folder / CARD).write_text(json.dumps(card))
    return folder


def test_a_shared_file_is_loaded_and_checked(sharing, model_folder):
    model = load_model(without_localizer(sharing))
    assert model.file("segmenter") == model_folder / SEGMENTER and model.file("localizer") is None
    assert model.sha256 == load_model(model_folder).sha256
    data = bytearray((model_folder / SEGMENTER).read_bytes())
    data[-1] ^= 1
    (model_folder / SEGMENTER).write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"'segmenter\.pt' of model 'beside'.*SHA-256"):
        load_model(sharing)


def test_a_missing_shared_file_is_named_with_its_model(sharing, model_folder):
    (model_folder / SEGMENTER).unlink()
    with pytest.raises(ModelError, match=r"'segmenter\.pt'.*shared with model 'mine' beside it.*missing"):
        load_model(without_localizer(sharing))


@pytest.mark.parametrize("owner", ["../elsewhere", "/tmp", "..", "a/b", "", 5])
def test_a_card_cannot_point_elsewhere(sharing, owner):
    card = values(sharing)
    card["files"][SEGMENTER]["from"] = owner
    (sharing / CARD).write_text(json.dumps(card))
    with pytest.raises(ModelError, match="card of model 'beside' is damaged"):
        load_model(sharing)


@pytest.mark.parametrize("damage", ["{", "[]", '{"format_version": 1}', ""])
def test_a_damaged_card_is_refused(model_folder, damage):
    (model_folder / CARD).write_text(damage)
    with pytest.raises(ModelError, match="card of model 'mine' is damaged"):
        load_model(model_folder)


def test_another_format_version_is_refused(model_folder):
    card = json.loads((model_folder / CARD).read_text())
    card["format_version"] = 99
    (model_folder / CARD).write_text(json.dumps(card))
    with pytest.raises(ModelError, match="format version 99"):
        load_model(model_folder)


def test_weights_that_run_code_are_refused(model_folder):
    import hashlib
    import pickle

    class Evil:
        def __reduce__(self):
            return print, ("executed",)

    data = pickle.dumps(Evil())
    (model_folder / SEGMENTER).write_bytes(data)
    card = json.loads((model_folder / CARD).read_text())
    card["files"][SEGMENTER]["sha256"] = hashlib.sha256(data).hexdigest()
    (model_folder / CARD).write_text(json.dumps(card))
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(model_folder)


def test_an_unknown_model_is_named_and_the_known_ones_listed():
    with pytest.raises(ModelError, match=r"no model 'nowhere'"):
        load_model("nowhere")


@pytest.mark.parametrize("name", bundled_models())
def test_a_bundled_model_keeps_the_size_promised(name):
    model = load_model(name)
    assert set(model.weights) == {"segmenter", "localizer", "refiner"}
    parameters = sum(array.size for arrays in model.weights.values() for array in arrays.values())
    assert parameters <= 2_000_000
    card = read_card(model.folder)
    assert card.name == name and card.parameters == parameters
    assert card.licence and card.figures and card.localizer and card.quality


def test_all_that_ships_keeps_the_size_promised():
    assert {DEFAULT, "hipposeg_clahe_sce"} == set(bundled_models())
    assert sum(path.stat().st_size for path in bundled_folder().rglob("*") if path.is_file()) <= 8_000_000
    steps = {
        name: {one["step"] for channel in card.segmenter.preprocessing.channels for one in channel}
        for name, card in ((name, load_model(name).card) for name in bundled_models())
    }
    # The plain one is the default, the method's one switch away.
    assert steps == {DEFAULT: {"min_max"}, "hipposeg_clahe_sce": {"min_max", "clahe_3d", "sce_dwt_3d"}}
