"""A network that knows two protocols: how it starts, what it learns, what its command writes."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from crops import SHAPE, crop

from HippoSegLib.errors import TrainingError
from HippoSegLib.models.card import read_card
from HippoSegLib.models.unet3d import UNet3D
from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.training import outline
from HippoSegLib.training.augmentation import Augmentation
from HippoSegLib.training.cases import BEYOND_ONLY, WHOLE_ONLY, Case
from HippoSegLib.training.losses import PartialLabels
from HippoSegLib.training.protocols import FULL, MSD
from HippoSegLib.training.runstate import RunFolder
from HippoSegLib.training.settings import TrainingSettings

GENTLE = Augmentation(shift=2, rotation=5, scale=(0.95, 1.05), elastic_probability=0, reslice_probability=0)
SMALL = TrainingSettings(
    preprocessing=Preprocessing.named("plain"),
    augmentation=GENTLE,
    region_shape=SHAPE,
    widths=(4, 8, 16),
    dropout=0.0,
)


def test_the_new_class_begins_between_background_and_the_posterior_part():
    torch.manual_seed(0)
    old, new = UNet3D(1, 3, (4, 8), 0.0), UNet3D(1, 4, (4, 8), 0.0)
    torch.nn.init.normal_(old.head.bias)
    new.load_state_dict(outline.with_beyond(old.state_dict()))
    image = torch.rand(1, 1, 16, 16, 16)
    p, q = old(image).softmax(1)[0], new(image).softmax(1)[0]
    torch.testing.assert_close(q[:3] / q[:3].sum(0), p)
    torch.testing.assert_close(q[3], math.exp(-1) * (q[0] * q[2]).sqrt())


class FindsUpTo(torch.nn.Module):
    """Finds the bright body, in front of a given row; what MSD's network would make of the crops."""

    def __init__(self, back: int):
        super().__init__()
        self.back = back

    def forward(self, x):
        inside = x[:, 0] > 0.5
        inside[:, :, : self.back] = False
        return torch.stack((~inside, inside, torch.zeros_like(inside)), dim=1).float() * 50


def test_what_lies_well_beyond_the_network_before_is_marked():
    y = np.indices(SHAPE)[1]
    body = (abs(y - 11.5) < 6) & (abs(np.indices(SHAPE)[0] - 11.5) < 3)
    label = np.where(body, WHOLE_ONLY, 0).astype(np.uint8)
    one = Case("a", "a", 100 * body.astype(np.float32), label, FULL)
    other = Case("b", "b", one.image, np.where(body, 2, 0).astype(np.uint8), MSD)
    found, kept = outline.marked([one, other], FindsUpTo(9), SMALL)
    # The body begins at row 6, the network at row 9: row 8 lies beside what it found.
    assert set(np.unique(y[found.label == BEYOND_ONLY])) == {6, 7}
    assert (found.label[body & (y >= 8)] == WHOLE_ONLY).all() and kept is other
    (lost,) = outline.marked([one], FindsUpTo(15), SMALL)
    assert lost is one  # a network that finds something else marks nothing


def test_a_network_that_has_the_class_is_left_as_it_is():
    weights = UNet3D(1, 4, (4, 8), 0.0).state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in outline.with_beyond(weights).items())


def test_part_of_the_start_is_kept():
    torch.manual_seed(0)
    start, learned = (UNet3D(1, 4, (4, 8), 0.0).state_dict() for _ in range(2))
    found = outline.blended(learned, start, 0.25)
    for name, value in learned.items():
        torch.testing.assert_close(found[name], 0.75 * value + 0.25 * start[name])
    with pytest.raises(TrainingError, match="less than 1"):
        outline.blended(learned, start, 1.0)


def test_one_network_learns_each_protocol_where_it_speaks():
    """Voxels of four grey values: MSD leaves out the last, complete labels do not tell the parts apart."""
    torch.manual_seed(0)
    kind = torch.randint(0, 4, (2, 8, 8, 8))
    image = kind[:, None].float() + 0.1 * torch.randn(2, 1, 8, 8, 8)
    labels = torch.where(kind[0] == 3, 0, kind[0]).numpy(), torch.where(kind[1] > 0, WHOLE_ONLY, 0).numpy()
    target = torch.from_numpy(np.stack((MSD.encode(labels[0]), FULL.encode(labels[1]))))
    layers = torch.nn.Conv3d(1, 16, 1), torch.nn.ReLU(), torch.nn.Conv3d(16, 4, 1)
    network, loss = torch.nn.Sequential(*layers), PartialLabels(outline.STRUCTURES)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    for _ in range(400):
        optimizer.zero_grad()
        loss(network(image), target).backward()
        optimizer.step()
    p = network(image).softmax(1).detach().numpy()
    for sample, truth in zip(p, kind.numpy(), strict=True):
        assert (MSD.read(sample) == np.where(truth == 3, 0, truth)).mean() > 0.99
        assert ((FULL.read(sample) > 0) == (truth > 0)).mean() > 0.99


def test_batches_of_both_protocols_are_alike():
    cases = [case(f"{k}", MSD) for k in range(12)] + [case(f"f{k}", FULL) for k in range(4)]
    sampler = outline.MixedSampler(cases, SMALL)
    orders = [sampler.order(epoch) for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1] and sorted(orders[1]) == list(range(16))
    for order in orders:
        for first in range(0, 16, 4):
            assert sum(cases[i].protocol is FULL for i in order[first : first + 4]) == 1
    thrice = outline.MixedSampler(cases, SMALL, mixture=outline.Mixture(repeats=3))
    for first in range(0, 24, 4):
        batch = [thrice.cases[i].protocol for i in thrice.order(0)[first : first + 4]]
        assert batch.count(FULL) == 2 and len(thrice) == 24
    inputs, target = sampler(0, 0)
    assert inputs.shape == (1, *SHAPE) and target.dtype == np.int64
    assert set(np.unique(target)) <= ({9, 2, 4} if cases[orders[0][0]].protocol is MSD else {1, 14})


def test_crops_and_drawn_images_take_turns():
    cases = [case(f"{k}", MSD) for k in range(7)] + [case(f"f{k}", FULL) for k in range(2)]
    cases += [case(f"labelmap_01_{side}_{k}", FULL) for side in ("left", "right") for k in range(3)]
    sampler = outline.MixedSampler(cases, SMALL, mixture=outline.Mixture(repeats=2, turns=3, renderings=3))
    orders = [sampler.order(epoch) for epoch in range(6)]
    assert {len(order) for order in orders} == {len(sampler)} == {3 + 2 * 2 + 2}
    seen = [Counter(i for order in orders[k : k + 3] for i in order) for k in (0, 3)]
    for three in seen:  # nothing is left out, and nothing but the crops that fill the last turn comes twice
        assert {three[i] for i in (7, 8)} == {6} and {three[i] for i in range(9, 15)} == {1}
        assert sorted(three[i] for i in range(7)) == [1, 1, 1, 1, 1, 2, 2]
    for order in orders:
        assert len({cases[i].name[-1] for i in order if i >= 9}) == 1
    assert orders[0][:3] != orders[3][:3] or orders[1] != orders[4]
    with pytest.raises(TrainingError, match="turns must be 1"):
        outline.Mixture(turns=0)


def case(name: str, protocol) -> Case:
    image, label = crop(len(name))
    label = label if protocol is MSD else np.where(label > 0, WHOLE_ONLY, 0).astype(np.uint8)
    return Case(name, name, image, label, protocol)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A data folder with small made-up scans of everything the command reads."""
    folder = tmp_path_factory.mktemp("data")
    scan, mask = np.full((40, 48, 40), 100, np.float32), np.zeros((40, 48, 40), np.uint8)
    mask[16:24, 14:34, 16:24] = 255
    scan[mask > 0] = 60
    heads = folder / "heads_unlabelled"
    for dataset, subject in outline.TRAIN_REAL_HEADS:
        short = {"ds000011": "ds11", "ds002748_stripped": "ds2748"}[dataset]
        write(heads / dataset / f"{subject}_T1w.nii.gz", scan)
        for side in ("left", "right"):
            write(heads / "weak_labels" / f"{short}_{subject}_T1w_{side}.nii.gz", mask)
    for kind, array in (("images", scan), ("labels", mask)):
        for name in ("a_sub-01_left", "a_sub-01_right", "a_sub-02_left"):
            write(folder / "second_teacher" / kind / f"{name}.nii.gz", array)
    for number in (1, 2, 3):
        for kind, array in zip(("images", "labels"), crop(number), strict=True):
            write(folder / "msd_hippocampus" / kind / f"hippocampus_{number:03d}.nii.gz", array)
    return folder


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(path))


def test_both_kinds_of_subjects_are_held_out(data):
    everything = outline.material(data)
    assert len(everything.train) == 24 + 3 + 3 and not everything.held
    seen = []
    for fold in (0, 1):
        cases = outline.material(data, 2, fold)
        held = {c.subject for c in cases.held}
        assert len(cases.train) + len(cases.held) == 30 and held.isdisjoint(c.subject for c in cases.train)
        assert {c.protocol.name for c in cases.held} == {"msd", "full"}
        seen += [c.name for c in cases.held]
    assert len(set(seen)) == len(seen) == 6


def test_the_command_writes_a_model_with_its_classes(data, tmp_path, monkeypatch):
    monkeypatch.setattr(outline, "TRAIN_REAL_HEADS", outline.TRAIN_REAL_HEADS[:3])
    torch.manual_seed(0)
    start = tmp_path / "segmenter.pt"
    torch.save(UNet3D(1, 3).state_dict(), start)
    words = [str(data), "-o", str(tmp_path / "model"), "--run", str(tmp_path / "run")]
    words += ["--init-from", str(start), "--epochs", "1", "--folds", "2", "--fold", "0"]
    outline.main(words)
    part = read_card(tmp_path / "model").segmenter
    assert part.classes == ("background", "anterior", "posterior", "beyond_msd")
    protocols = part.training.extra["protocols"]
    assert protocols["full"] > 6 and protocols["msd"] >= 1
    assert "training.outline" in part.training.command
    half = [*words, "--keep", "0.5"]
    half[half.index(str(tmp_path / "model"))] = str(tmp_path / "half")
    outline.main(half)  # the run is finished: it is exported once more
    assert "--keep 0.5" in read_card(tmp_path / "half").segmenter.training.command
    blend = torch.load(tmp_path / "half" / "segmenter.pt", weights_only=True)
    begun = outline.with_beyond(torch.load(start, weights_only=True))
    ends = torch.load(tmp_path / "model" / "segmenter.pt", weights_only=True)
    for name, value in blend.items():
        torch.testing.assert_close(2 * value.float() - ends[name].float(), begun[name], atol=4e-3, rtol=4e-3)
    assert str(tmp_path) not in (tmp_path / "model" / "card.json").read_text(encoding="utf-8")
    weights = torch.load(tmp_path / "model" / "segmenter.pt", weights_only=True)
    assert weights["head.bias"].shape == (4,) and weights["head.bias"].dtype == torch.float16


def test_weights_of_another_network_are_refused(data, tmp_path):
    start = tmp_path / "segmenter.pt"
    torch.save(UNet3D(2, 3).state_dict(), start)
    with pytest.raises(TrainingError, match="do not fit"):
        outline.learn(
            outline.material(data), data, TrainingSettings(preprocessing=Preprocessing.named("plain")), start,
            RunFolder(None),
        )  # fmt: skip
