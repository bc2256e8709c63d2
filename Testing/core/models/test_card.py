"""The model card: read as it was written, of whatever version and from whichever command."""

from __future__ import annotations

import copy
import json
import shutil

import numpy as np
import pytest
from cards import bundled

from HippoSegLib.errors import ModelError
from HippoSegLib.labels import NETWORK_CLASSES, OUTLINE_CLASSES
from HippoSegLib.models.card import CARD, ModelCard, card_text, read_card
from HippoSegLib.models.card_words import card_lines
from HippoSegLib.models.fields import FieldError
from HippoSegLib.models.network import build
from HippoSegLib.models.network_shape import NetworkShape
from HippoSegLib.models.quality_card import FEATURES
from HippoSegLib.models.saving import replace_card
from HippoSegLib.models.store import bundled_folder, bundled_models, load_model, whole_models
from HippoSegLib.models.unet3d import count_parameters
from HippoSegLib.models.weights import file_sha256
from HippoSegLib.preprocessing.sce_dwt import EXTENSIONS, WAVELETS
from HippoSegLib.results.quality_features import side_features


def without_formats(values: dict) -> dict:
    """A card's values without what version 2 has more than version 1."""
    values = copy.deepcopy(values)
    del values["format_version"]
    for file in values["files"].values():
        file.pop("format", None)
    return values


@pytest.mark.parametrize("name", bundled_models())
def test_what_is_read_is_written_again(name):
    values = bundled(name)
    card = ModelCard.read(values)
    written = json.loads(card_text(card))
    assert without_formats(written) == without_formats(values)
    assert ModelCard.read(written) == card


def test_a_card_says_what_its_file_says():
    values = bundled("hipposeg_clahe_sce")
    card = ModelCard.read(values)
    part, told = card.segmenter, values["segmenter"]
    assert (card.name, card.title, card.licence) == (values["name"], values["title"], values["licence"])
    assert list(part.widths) == told["widths"] and list(part.roi_size) == told["region_size"]
    assert part.spacing_mm == told["spacing_mm"] and list(part.classes) == told["classes"]
    assert part.preprocessing.to_dict() == told["preprocessing"]
    assert list(part.training.train_cases) == told["training"]["train_cases"]
    assert part.training.extra["seed"] == told["training"]["seed"]
    assert card.localizer.grid_spacing_mm == values["localizer"]["grid_spacing_mm"]
    assert list(card.refiner.roi_size) == values["refiner"]["region_size"]
    assert card.files["localizer.npz"].shared_from == "hipposeg" and card.file_of("refiner") == "refiner.npz"
    assert card.quality.threshold == values["quality"]["threshold"]
    row = values["quality"]["features"]["volume"]
    assert [getattr(card.quality.features["volume"], n) for n in ("middle", "weight_of_amount")] == [
        row[0],
        row[3],
    ]


def test_fields_of_a_later_time_are_kept_wherever_they_stand(tmp_path):
    values = bundled("hipposeg")
    places = [values, values["segmenter"], values["segmenter"]["training"], values["localizer"]]
    places += [values["refiner"], values["quality"], values["files"]["refiner.npz"]]
    for number, place in enumerate(places):
        place["added"] = {"number": number, "list": [None, 1.5, "ß"]}
    shutil.copytree(bundled_folder() / "hipposeg", tmp_path / "m")
    (tmp_path / "m" / CARD).write_text(json.dumps(values))
    replace_card(tmp_path / "m", read_card(tmp_path / "m"))
    assert without_formats(json.loads((tmp_path / "m" / CARD).read_text("utf-8"))) == without_formats(values)
    assert load_model(tmp_path / "m").card.extra["added"]["number"] == 0


def alone(sha256: str = "0" * 64) -> dict:
    """A card as `hipposeg train` wrote it before version 2: the segmenter's part alone, with a sum."""
    return bundled("hipposeg")["segmenter"] | {"sha256": {"segmenter.pt": sha256}}


def as_torch(folder, role: str) -> str:
    """Write a network of the default model as PyTorch's file, as it was before version 2; its sum."""
    import torch

    weights = load_model("hipposeg").weights[role]
    torch.save({name: torch.from_numpy(value) for name, value in weights.items()}, folder / f"{role}.pt")
    return file_sha256(folder / f"{role}.pt")


def same_weights(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[n], second[n]) for n in first)


def test_a_model_that_an_earlier_train_wrote_is_one_for_crops(tmp_path):
    (tmp_path / CARD).write_text(json.dumps(alone(as_torch(tmp_path, "segmenter"))))
    model, whole = load_model(tmp_path), load_model("hipposeg")
    assert model.name == tmp_path.name and set(model.weights) == {"segmenter"}
    assert model.card.segmenter == whole.card.segmenter
    assert same_weights(model.weights["segmenter"], whole.weights["segmenter"])
    assert any("crops of one hippocampus" in line for line in card_lines(model.card))


@pytest.mark.parametrize("sums", [None, {}, [], {"segmenter.pt": None}, {"other.pt": "0" * 64}, "0" * 64])
def test_its_sum_is_checked_too(sums):
    with pytest.raises(FieldError, match="^files"):
        ModelCard.read(alone() | {"sha256": sums})


def test_a_fine_tuned_model_of_version_1_is_read():
    values = bundled("hipposeg")
    told = {
        "base": {"name": "hipposeg", "sha256": "ab"},
        "judged_by": "3 cases, kept apart",
        "train_cases_sha256": ["cd"],
        "validation_cases_sha256": ["ef"],
        "comparison": {"words": "Better.", "better": True},
        "curves": {"training": [{"epoch": 1}]},
    }
    values["segmenter"]["fine_tuning"] = told
    card = ModelCard.read(values)
    assert card.segmenter.fine_tuning.train_cases_sha256 == ("cd",)
    assert without_formats(json.loads(card_text(card))) == without_formats(values)
    assert any(line.endswith("Better.") for line in card_lines(card))


def test_a_later_version_asks_for_an_update(tmp_path):
    (tmp_path / CARD).write_text(json.dumps(bundled("hipposeg") | {"format_version": 3}))
    with pytest.raises(ModelError, match=r"version 3, this HippoSeg reads 2\. Update"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"3", b"\xff\xfe", b"[" * 100_000, b'{"format_version": 1}', b"1" * 5000],
)
def test_what_is_no_card_is_said_in_one_sentence(tmp_path, content):
    (tmp_path / CARD).write_bytes(content)
    with pytest.raises(ModelError, match=f"^The card of model '{tmp_path.name}' is damaged") as error:
        read_card(tmp_path)
    assert "\n" not in str(error.value) and error.value.remedy


def test_a_field_is_named_with_what_is_wrong_with_it(tmp_path):
    values = bundled("hipposeg")
    values["segmenter"]["spacing_mm"] = "1.0"
    (tmp_path / CARD).write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"damaged: segmenter\.spacing_mm is not a number from 0\.1 to 10\."):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("part", "name", "value", "words"),
    [
        ("segmenter", "widths", [4000, 4000, 4000, 4000], "learned values"),
        ("segmenter", "widths", [10**6], "whole number"),
        ("segmenter", "widths", [2] * 40, "list of 1 to 7 values"),
        ("segmenter", "region_size", [1024, 1024, 1024], "too much memory"),
        ("segmenter", "region_size", [48, 56, 41], "multiples of 8"),
        ("segmenter", "region_size", [8, 8, 8], "multiples of 8, at least 16"),
        ("localizer", "grid_size", 512, "too much memory"),
        ("refiner", "region_size", [24, 28], "list of 3 values"),
    ],
)
def test_networks_and_sizes_of_absurd_memory_are_refused(part, name, value, words):
    values = bundled("hipposeg")
    values[part][name] = value
    with pytest.raises(FieldError, match=rf"^{part}\.{name}.*{words}"):
        ModelCard.read(values)


@pytest.mark.parametrize("steps", ["", {}, None, 3, [[]], ["min_max"], [{"lower": 1}], [{"step": "blur"}]])
def test_a_channel_is_a_list_of_known_steps(steps):
    values = bundled("hipposeg")
    values["segmenter"]["preprocessing"]["channels"][0] = steps
    with pytest.raises(FieldError, match=r"^segmenter\.preprocessing cannot be used"):
        ModelCard.read(values)


@pytest.mark.parametrize("shape", [(1, 3, (4,)), (2, 4, (4, 6, 8)), (1, 7, (8, 24, 48, 56))])
def test_learned_values_are_counted_without_the_network(shape):
    shape = NetworkShape(*shape)
    assert shape.parameters == count_parameters(build(shape))


@pytest.mark.parametrize("classes", [NETWORK_CLASSES, OUTLINE_CLASSES])
def test_the_classes_that_are_known(classes):
    values = bundled("hipposeg")
    values["segmenter"]["classes"] = list(classes)
    assert ModelCard.read(values).segmenter.network.out_channels == len(classes)
    values["segmenter"]["classes"][1] = "amygdala"
    with pytest.raises(FieldError, match=r"^segmenter\.classes"):
        ModelCard.read(values)


def test_a_second_reader_is_a_folder_beside_the_own_one():
    values = bundled("hipposeg") | {"second_reader": "hipposeg_clahe_sce"}
    card = ModelCard.read(values)
    assert card.second_reader == "hipposeg_clahe_sce"
    assert json.loads(card_text(card))["second_reader"] == "hipposeg_clahe_sce"
    assert ModelCard.read(bundled("hipposeg_clahe_sce")).second_reader is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "/tmp", "C:", "~/m/", "a\nb", 3, ["a"], "\udcff"]
)
def test_no_path_is_taken_for_a_folder_beside(name):
    values = bundled("hipposeg") | {"second_reader": name}
    with pytest.raises(FieldError, match="^second_reader"):
        ModelCard.read(values)
    values = bundled("hipposeg")
    values["files"]["refiner.npz"]["from"] = name
    with pytest.raises(FieldError, match=r"^files\.refiner\.npz\.from"):
        ModelCard.read(values)


def test_files_and_networks_belong_together():
    for change in ({"files": {}}, {"localizer": None}, {"refiner": None}):
        with pytest.raises(FieldError, match="^files does not name one file for the"):
            ModelCard.read(bundled("hipposeg") | change)
    values = bundled("hipposeg")
    values["files"]["segmenter.pt"] = {"sha256": "0" * 64}  # which of the two?
    with pytest.raises(FieldError, match="^files does not name one file for the segmenter"):
        ModelCard.read(values)
    values = bundled("hipposeg")
    values["files"]["notes.txt"] = {"sha256": "0" * 64}
    with pytest.raises(FieldError, match=r"^files\.notes\.txt is none of"):
        ModelCard.read(values)


def test_the_format_of_a_file_is_that_of_its_name():
    values = bundled("hipposeg")
    values["files"]["segmenter.npz"]["format"] = "torch"
    with pytest.raises(FieldError, match=r"^files\.segmenter\.npz\.format"):
        ModelCard.read(values)
    values["files"]["segmenter.pt"] = values["files"].pop("segmenter.npz")
    assert ModelCard.read(values).files["segmenter.pt"].format == "torch"


def test_weights_in_pytorch_s_format_make_the_same_networks(tmp_path):
    values, model = bundled("hipposeg"), load_model("hipposeg")
    values["files"] = {f"{role}.pt": {"sha256": as_torch(tmp_path, role)} for role in model.weights}
    values["format_version"] = 1
    (tmp_path / CARD).write_text(json.dumps(values))
    other = load_model(tmp_path)
    assert other.file("segmenter").name == "segmenter.pt"
    assert all(same_weights(other.weights[role], weights) for role, weights in model.weights.items())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("role", ["segmenter", "localizer", "refiner"])
def test_weights_that_are_no_numbers_are_refused(tmp_path, role, value):
    shutil.copytree(bundled_folder() / "hipposeg", tmp_path / "m")
    path = tmp_path / "m" / f"{role}.npz"
    with np.load(path) as file:
        state = dict(file)
    state["up.0.0.weight"][1, 2, 0, 1, 2] = value
    np.savez(path, **state)
    values = bundled("hipposeg")
    values["files"][path.name] = {"sha256": file_sha256(path)}
    (tmp_path / "m" / CARD).write_text(json.dumps(values))
    with pytest.raises(
        ModelError, match=rf"'{role}\.npz' of model 'm' hold something else than finite numbers"
    ):
        load_model(tmp_path / "m")


def test_weights_of_another_network_than_the_card_s_are_refused(tmp_path):
    shutil.copytree(bundled_folder() / "hipposeg", tmp_path / "m")
    values = bundled("hipposeg")
    values["segmenter"]["widths"] = [16, 32, 64, 120]
    (tmp_path / "m" / CARD).write_text(json.dumps(values))
    with pytest.raises(ModelError, match="not those of the network that its card describes"):
        load_model(tmp_path / "m")


def test_a_model_with_a_damaged_card_is_not_offered(tmp_path):
    for name in ("good", "bad"):
        shutil.copytree(bundled_folder() / "hipposeg", tmp_path / name)
    values = bundled("hipposeg")
    values["quality"]["threshold"] = None
    (tmp_path / "bad" / CARD).write_text(json.dumps(values))
    assert [folder.name for folder in whole_models(tmp_path)] == ["good"]


def test_known_features_are_those_that_are_measured():
    rng = np.random.default_rng(0)
    maps = np.zeros((2, 24, 24, 24), np.float32)
    maps[0, 8:14, 8:14, 8:14] = maps[1, 8:14, 2:8, 8:14] = 0.9
    found = side_features(rng.random((24, 24, 24)), maps, np.ones((24, 24, 24), bool))
    assert {*found, "likeness"} == set(FEATURES)


def test_known_wavelets_are_those_of_pywavelets():
    import pywt

    assert set(pywt.wavelist(kind="discrete")) == WAVELETS
    assert set(pywt.Modes.modes) == EXTENSIONS
