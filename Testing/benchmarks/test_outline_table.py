"""The outline's benchmark: networks of three and of four classes, what it counts, what it refuses."""

from pathlib import Path

import numpy as np
import outline
import pytest
import torch

from HippoSegLib.labels import NETWORK_CLASSES, OUTLINE_CLASSES
from HippoSegLib.models.card import ModelCard
from HippoSegLib.models.card_parts import SegmenterCard
from HippoSegLib.models.network import build
from HippoSegLib.models.saving import save_model
from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.training.cases import Case
from HippoSegLib.training.protocols import FULL, MSD


def case(protocol=MSD) -> Case:
    label = np.zeros((12, 40, 12), np.uint8)
    label[4:8, 20:30, 4:8], label[4:8, 10:20, 4:8] = 1, 2
    label = label if protocol is MSD else np.where(label, 3, 0).astype(np.uint8)
    return Case("a", "a", label.astype(np.float32), label, protocol)


def test_a_missing_tail_is_counted_in_the_tail():
    one = case(FULL)
    found = one.label.copy()
    found[:, 10:14] = 0  # 4 of 20 mm at the back
    row = outline.score(found, one)
    assert row["dice"] == pytest.approx(2 * 16 / (16 + 20)) and row["volume_ratio"] == pytest.approx(0.8)
    # Rows 10 and 11 lie more than 2 mm outside: 16 voxels of the end, 12 of the next; a row has 12.
    assert row["missed"] == pytest.approx(100 * 28 / (2 * 16 + 18 * 12))
    assert row["missed_tail"] == pytest.approx(100 * 28 / (16 + 3 * 12))
    assert np.isnan(row["anterior"])


def test_parts_are_scored_where_they_are_labelled():
    one = case()
    row = outline.score(np.where(one.label == 1, 2, one.label), one)
    assert row["dice"] == 1 and row["anterior"] == 0 and row["posterior"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("classes", [NETWORK_CLASSES, OUTLINE_CLASSES])
def test_networks_of_three_and_four_classes_are_read_and_averaged(tmp_path, classes):
    part = SegmenterCard((4, 8), (8, 16, 8), 1.0, Preprocessing.named("plain"), classes)
    network = build(part.network)
    torch.nn.init.zeros_(network.head.weight)
    with torch.no_grad():
        network.head.bias.copy_(torch.log(torch.tensor([0.3, 0.1, 0.2, 0.4])[: len(classes)]))
    weights = tmp_path / "segmenter.pt"
    torch.save(network.state_dict(), weights)
    reader = outline.Reader(save_model(tmp_path / "model", ModelCard(part), {"segmenter": weights}))
    assert reader(case().image).shape == (4, 8, 16, 8)
    whole, msd = (outline.read([reader, reader], case(protocol)) for protocol in (FULL, MSD))
    assert whole.shape == case().label.shape
    assert (whole.max() == 2) == (len(classes) == 4) and msd.max() == 0


def test_the_table_has_a_line_per_network_and_group():
    row = dict.fromkeys(outline.METRICS, 0.5)
    rows = [{"network": n, "group": g, "case": "x", **row} for n in ("a", "b") for g in ("MSD", "heads")]
    lines = outline.table(rows).splitlines()
    assert [line.split(" | ")[:2] for line in lines[2:]] == [
        ["| MSD", "a"], ["| MSD", "b"], ["| heads", "a"], ["| heads", "b"],
    ]  # fmt: skip


def test_held_out_cases_that_are_not_there_are_an_error(monkeypatch):
    monkeypatch.setattr(outline, "load_cases", lambda folder: [])
    for name in ("second_teacher", "sample_heads"):
        monkeypatch.setattr(outline, name, lambda data: [])
    for name in ("weak_heads", "synthesised_cases"):
        monkeypatch.setattr(outline, name, lambda data, names: [])
    with pytest.raises(ValueError, match="lacks"):
        outline.groups(Path("data"), {"hippocampus_001"}, confirm=False)
