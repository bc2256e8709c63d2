"""The variants: their losses against hand-made values, their samples and steps against the base's."""

from dataclasses import replace
from functools import partial

import ablation
import ablation_table
import bridge_variants as parts
import bridges
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from test_ablation import results

from HippoSegLib.models.inference import predict
from HippoSegLib.preprocessing.chain import Preprocessing, step
from HippoSegLib.training import batches
from HippoSegLib.training.augmentation import Augmentation
from HippoSegLib.training.cases import Case
from HippoSegLib.training.hosts import Host
from HippoSegLib.training.loop import Loop
from HippoSegLib.training.losses import dice_and_cross_entropy
from HippoSegLib.training.runstate import RunFolder
from HippoSegLib.training.settings import Settings

SHAPE = (16, 16, 16)
PLAIN, OTHER = (step("min_max"),), (step("min_max", lower=0, upper=90),)
SETTINGS = Settings(
    1e-2, 2, 2, preprocessing=Preprocessing((PLAIN, OTHER)), region_shape=SHAPE, widths=(4, 8, 16, 32)
)


@pytest.fixture(autouse=True)
def unpatched(monkeypatch):
    """What the benchmark puts in place of the drawing of samples is taken back."""
    monkeypatch.setattr(batches, "sample", batches.sample)


def crops(count: int = 6) -> list[Case]:
    rng = np.random.default_rng(0)
    label = np.zeros((14, 18, 12), np.uint8)
    label[4:9, 4:9, 3:8], label[4:9, 9:14, 3:8] = 1, 2
    images = [rng.uniform(0, 50, label.shape) + 100 * (label > 0) for _ in range(count)]
    return [Case(f"crop{i}", f"s{i}", one.astype(np.float32), label) for i, one in enumerate(images)]


def made(make=Loop, train=None, settings=SETTINGS, **options) -> Loop:
    cases = crops() if train is None else train
    model = ablation.start(settings)
    return make(model, cases, [], [], settings, torch.device("cpu"), False, settings.batch_size, **options)


def run(loop: Loop) -> Loop:
    loop.run(RunFolder(None), lambda words, fraction: None, lambda: False)
    return loop


def target_of(*corners) -> torch.Tensor:
    """A cube of 4 voxels at each corner, anterior in the first half along y."""
    target = torch.zeros((len(corners), *SHAPE), dtype=torch.int64)
    for one, (z, y, x) in zip(target, corners, strict=True):
        one[z : z + 4, y : y + 2, x : x + 4], one[z : z + 4, y + 2 : y + 4, x : x + 4] = 1, 2
    return target


def teacher() -> parts.Ensemble:
    networks = []
    for seed, steps in ((1, (PLAIN, OTHER)), (2, (OTHER,)), (3, ((step("min_max", lower=5),),))):
        settings = replace(SETTINGS, seed=seed, preprocessing=Preprocessing(steps))
        networks.append((ablation.start(settings).eval(), settings.preprocessing))
    return parts.Ensemble(networks)


def test_signed_distance_by_hand():
    mask = np.zeros((5, 5, 9), bool)
    mask[:, :, 2:6] = True
    # Along x: two voxels before, four inside of which the outer have 0, three behind.
    np.testing.assert_array_equal(parts.signed_distance(mask)[2, 2], [2, 1, 0, -1, -1, 0, 1, 2, 3])
    one = np.zeros((4, 4, 4), bool)
    one[0, 0, 0] = True
    assert parts.signed_distance(one)[3, 2, 1] == pytest.approx(14**0.5)
    assert not parts.signed_distance(~np.zeros((3, 3, 3), bool)).any()


def test_boundary_loss_is_the_mean_of_probability_times_distance():
    target = target_of((4, 4, 4), (8, 2, 6))
    logits = torch.randn((2, 3, *SHAPE), generator=torch.Generator().manual_seed(0))
    expected = 0.0
    for one, labels in zip(logits, target, strict=True):
        share = torch.exp(one) / torch.exp(one).sum(0)
        inside = torch.nonzero(labels > 0).double()
        outside = torch.nonzero(labels == 0).double()
        for points, others, sign, value in ((outside, inside, 1, 0), (inside, outside, -1, 1)):
            distance = sign * torch.cdist(points, others).min(dim=1).values + value
            z, y, x = points.long().T
            expected += float((distance * (share[1] + share[2])[z, y, x]).sum())
    assert parts.boundary_loss(logits, target).item() == pytest.approx(expected / target.numel(), rel=1e-4)
    # A hippocampus in its place costs less than nothing, shifted it costs more.
    right, wrong = (
        20 * torch.nn.functional.one_hot(t, 3).movedim(-1, 1) for t in (target, target.roll(3, 2))
    )
    assert parts.boundary_loss(right, target) < 0 < parts.boundary_loss(wrong, target)


def test_boundary_term_rises_with_the_epochs():
    loop, inputs, target = (
        made(parts.BoundaryAware),
        torch.rand((1, 2, *SHAPE)),
        target_of((4, 4, 4)),
    )
    loop.model.eval()
    logits = loop.model(inputs)
    usual, term = dice_and_cross_entropy(logits, target), parts.boundary_loss(logits, target)
    assert term > 0
    for epoch, weight in ((0, 0.01), (7, 0.08)):
        loop.epoch = epoch
        added = loop._loss(loop.model, inputs, target) - usual
        assert added.item() == pytest.approx(weight * term.item(), rel=1e-3)


def test_coarser_takes_the_commonest_class():
    target = torch.zeros((1, 4, 4, 4), dtype=torch.int64)
    target[0, 0, :2, :2], target[0, 1, 0, 0] = 1, 1  # 5 of 8
    target[0, 2:, 2:, 2:] = 2
    target[0, 2, 2, 2:] = 1  # 6 of 8
    target[0, 2:, :2, :2] = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2]).view(2, 2, 2)  # a tie
    half = parts.coarser(target, 1)[0]
    assert half[0, 0, 0] == 1 and half[1, 1, 1] == 2 and half[1, 0, 0] == 0 and half.sum() == 3
    assert parts.coarser(target, 0) is target and parts.coarser(target, 2).shape == (
        1,
        1,
        1,
        1,
    )


def test_deep_supervision_starts_equal_and_drops_its_heads():
    base, loop = made(), made(parts.DeeplySupervised)
    started = loop.model.state_dict()
    assert all((started[k] == v).all() for k, v in base.model.state_dict().items())
    assert len(started) == len(base.model.state_dict()) + 4
    heads = [head.weight.detach().clone() for head in loop.model.side_heads]
    run(base), run(loop)
    assert loop.step == base.step == 6
    assert all((a != b.weight).any() for a, b in zip(heads, loop.model.side_heads, strict=True))
    model, plain = loop.finished("last"), base.finished("last")
    assert model.state_dict().keys() == plain.state_dict().keys()
    assert all((v == loop.ema.state_dict()[k]).all() for k, v in model.state_dict().items())
    assert (model.head.weight != plain.head.weight).any()


def test_deep_supervision_weighs_three_losses():
    loop, inputs, target = (
        made(parts.DeeplySupervised),
        torch.rand((1, 2, *SHAPE)),
        target_of((4, 4, 4)),
    )
    loop.model.eval()
    found = loop._loss(loop.model, inputs, target).item()
    seen = {}
    for level in (1, 2):
        loop.model.up[level].register_forward_hook(lambda m, i, o, level=level: seen.update({level: o}))
    full = dice_and_cross_entropy(loop.model(inputs), target)
    # The cube lies on the coarser grids, so every second or fourth voxel tells the block's class.
    half = dice_and_cross_entropy(loop.model.side_heads[0](seen[1]), target[:, ::2, ::2, ::2])
    quarter_target = torch.zeros((1, 4, 4, 4), dtype=torch.int64)
    quarter_target[0, 1, 1, 1] = 1  # half anterior, half posterior: the lower
    quarter = dice_and_cross_entropy(loop.model.side_heads[1](seen[2]), quarter_target)
    assert found == pytest.approx(((4 * full + 2 * half + quarter) / 7).item(), rel=1e-5)


def test_extra_cases_take_turns_with_crops_in_as_many_steps():
    cases = crops(7)
    extra = [replace(case, name=f"pseudo{i}") for i, case in enumerate(crops(2))]
    seen = []
    loop = made(parts.WithOthers, cases, replace(SETTINGS, num_epochs=7), extra=extra)
    rate = loop._rate()
    for epoch in range(7):
        names = [case.name for case in parts.in_turn(cases, extra, 0, epoch)]
        assert len(names) == len(set(names)) == 7 and {"pseudo0", "pseudo1"} < set(names)
        seen += names
    # Two of seven are left out seven times: each crop twice.
    assert {seen.count(case.name) for case in cases} == {5}
    assert rate == made(train=cases, settings=replace(SETTINGS, num_epochs=7))._rate()
    short = replace(SETTINGS, num_epochs=1)
    loops = run(made(parts.WithOthers, cases, short, extra=extra)), run(made(Loop, cases, short))
    assert loops[0].step == loops[1].step == 4 and loops[0].recent != loops[1].recent


def test_pseudo_labels_lie_where_the_network_sees_them():
    class Bright(torch.nn.Module):
        def forward(self, x):
            bright = 40 * (x[:, :1] - 0.5)
            return torch.cat((0 * bright, bright, 0 * bright - 9), dim=1)

    image = np.zeros((24, 24, 20), np.float32)
    image[10:14, 10:16, 8:12], image[6:8, 6:8, 4:6], image[0:3, 0:3, 0:3] = 90, 90, 90
    hosts = [Host("a_left", image + 5), Host("b_left", np.zeros_like(image))]
    [case] = parts.pseudo_cases(Bright(), replace(SETTINGS, preprocessing=Preprocessing((PLAIN,))), hosts)
    # The smaller piece is no hippocampus, and what lies outside the network's region is not seen.
    expected = np.zeros(image.shape, np.uint8)
    expected[10:14, 10:16, 8:12] = 1
    np.testing.assert_array_equal(case.label, expected)
    assert case.image.shape == image.shape and case.image.min() == 0 and case.name == "pseudo_a_left"


def test_likeliest_class_wins_also_below_one_half():
    probability = np.zeros((2, 1, 1, 6), np.float32)
    probability[:, 0, 0] = [[0.9, 0.2, 0.0, 0.4, 0.1, 0.3], [0.0, 0.25, 0.0, 0.35, 0.9, 0.3]]
    # Background, anterior, posterior are 0.25, 0.4, 0.35 in the fourth voxel, 0.4, 0.3, 0.3 in the last.
    np.testing.assert_array_equal(parts.likeliest_piece(probability)[0, 0], [0, 0, 0, 1, 2, 0])


def test_ensemble_is_the_mean_of_the_softmaxes_each_with_its_preprocessing():
    ensemble = teacher()
    assert len(ensemble.preprocessing.channels) == 3 and ensemble.picks == [[0, 1], [1], [2]]
    image = crops(1)[0].image[:8, :16, :8]
    single = []
    for network, steps in zip(
        ensemble.networks, ((PLAIN, OTHER), (OTHER,), ((step("min_max", lower=5),),)), strict=True
    ):
        inputs = ablation.channels(image, Preprocessing(steps))
        single.append(torch.softmax(network(torch.from_numpy(inputs)[None]), dim=1)[0, 1:].detach().numpy())
    whole = ablation.channels(image, ensemble.preprocessing)
    found = torch.softmax(ensemble(torch.from_numpy(whole)[None]), dim=1)[0, 1:].detach().numpy()
    np.testing.assert_allclose(found, sum(single) / 3, atol=1e-5)
    assert not np.allclose(found, single[0], atol=0.01)
    predict(ensemble, "cpu", {"left": whole})


def test_student_sees_its_channels_and_learns_from_labels_and_teacher():
    loop = made(partial(parts.Distilled, teacher=teacher()))
    assert loop.settings.preprocessing.channels[:2] == SETTINGS.preprocessing.channels
    loop.model.eval()
    inputs, target = torch.rand((2, 3, *SHAPE)), target_of((4, 4, 4), (8, 2, 6))
    logits = loop.model(inputs[:, :2])
    wanted = torch.exp(loop.teacher(inputs))
    taught = -(wanted * torch.log(torch.softmax(logits, dim=1))).sum(dim=1).mean()
    expected = 0.5 * dice_and_cross_entropy(logits, target) + 0.5 * taught
    assert loop._loss(loop.model, inputs, target).item() == pytest.approx(expected.item(), rel=1e-4)
    before = [p.clone() for p in loop.teacher.parameters()]
    run(loop)
    assert loop.step == 6 and loop.finished("last").in_channels == 2
    assert all((a == b).all() for a, b in zip(before, loop.teacher.parameters(), strict=True))


def test_shifted_copies_are_moved_back():
    class Voxelwise(torch.nn.Module):
        def forward(self, x):
            return torch.cat((0 * x, 3 * x - 1, x), dim=1)

    class Border(torch.nn.Module):
        """Says hippocampus on the first plane along z, whatever it sees."""

        def forward(self, x):
            plane = torch.zeros_like(x)
            plane[:, :, 0] = 1
            return (torch.cat((1 - plane, plane, 0 * plane), dim=1) + 1e-9).log()

    x = torch.rand((1, 1, 8, 8, 8))
    expected = torch.softmax(Voxelwise()(x), dim=1)
    torch.testing.assert_close(torch.softmax(parts.Shifted(Voxelwise())(x), dim=1), expected)
    line = torch.softmax(parts.Shifted(Border())(x), dim=1)[0, 1, :, 4, 4]
    # Moved by -2 the image's third plane comes first; moved by +2 the first plane shows nothing of it.
    torch.testing.assert_close(line[:4], torch.tensor([5 / 6, 0, 1 / 7, 0]), atol=1e-4, rtol=0)


def tiny_fold(monkeypatch, tmp_path) -> bridges.Fold:
    """A fold with six crops, three of them scored, and an ablation of two finished arms."""
    monkeypatch.setattr(ablation, "WIDTHS", (2, 4, 8, 16))
    # In bfloat16 torch's gradient of a convolution of 2×2×2 voxels is now and then not finite.
    for module in (ablation, bridges, parts):
        monkeypatch.setattr(module, "native_bfloat16", lambda device: False)
    monkeypatch.setattr(ablation, "ARMS", {a: ablation.ARMS[a] for a in ("none", bridges.BASE)})
    real = ablation.settings_of
    monkeypatch.setattr(ablation, "settings_of", lambda *a: replace(real(*a), region_shape=SHAPE))

    def of_the_whole(data):
        return [replace(c, label=np.where(c.label > 0, 3, 0).astype(np.uint8)) for c in crops(2)]

    monkeypatch.setattr(bridges, "synthesised_cases", of_the_whole)

    class Material:
        data = None
        hosts = [Host("head_left", crops(1)[0].image), Host("head_right", crops(2)[1].image)]

        def __init__(self, data):
            pass

        def fold(self, number):
            return crops(), [test for case in crops(3) for test in ablation.conditions(case)]

    monkeypatch.setattr(ablation, "Material", Material)
    ablation.run_all(None, tmp_path, 1, list(ablation.ARMS), [0])
    return bridges.Fold(Material(None), 0, 1, tmp_path)


def test_all_variants_train_as_many_steps_as_the_base_and_are_resumed(monkeypatch, tmp_path, capsys):
    fold = tiny_fold(monkeypatch, tmp_path)
    assert list(fold.networks) == ["none", bridges.BASE]
    drawn = []
    monkeypatch.setattr(
        ablation.DrawnOnce,
        "original",
        staticmethod(
            lambda case, shape, rng, augmentation, hosts, real=ablation.DrawnOnce.original: (
                drawn.append((case.name, augmentation)) or real(case, shape, rng, augmentation, hosts)
            )
        ),
    )
    run_folder, names = tmp_path / "bridges", list(bridges.VARIANTS)
    run_folder.mkdir()
    bridges.run_all(None, run_folder, tmp_path, 1, names, [0])
    assert "left out, as the ablation has no CLAHE" in capsys.readouterr().out
    names = [name for name in names if "ensemble" not in name]
    found = bridges.finished_results(run_folder, tmp_path, 1, names)
    assert [one["arm"] for one in found] == [bridges.BASE, *names]
    assert [one["steps"] for one in found] == [3] * (len(names)) + [0]
    assert all(len(one["rows"]) == 15 for one in found)
    # Some variants share six samples drawn once; the four of other samples draw their own.
    black, clean = (bridges.VARIANTS[f"no {what}"].augmentation for what in ("surroundings", "degradations"))
    assert [a for _, a in drawn] == [black] * 6 + [clean] * 6 + [Augmentation()] * 18
    assert black == replace(Augmentation(), host_probability=0)
    drawn.clear()
    bridges.run_all(None, run_folder, tmp_path, 1, names, [0])
    assert not drawn
    assert not bridges.finished_results(run_folder, tmp_path, 2, names)
    other = replace(bridges.VARIANTS["boundary loss"], values=(1.0,))
    with monkeypatch.context() as changed:
        changed.setitem(bridges.VARIANTS, "boundary loss", other)
        found = bridges.finished_results(run_folder, tmp_path, 1, names)
        assert {one["arm"] for one in found} == {bridges.BASE, *names} - {"boundary loss"}
    for name in ("ensemble", "distilled ensemble"):
        content = replace(bridges.VARIANTS[name], needs=tuple(ablation.ARMS))
        monkeypatch.setitem(bridges.VARIANTS, name, content)
    bridges.run_all(None, run_folder, tmp_path, 1, list(bridges.VARIANTS), [0])
    found = bridges.finished_results(run_folder, tmp_path, 1, ["distilled ensemble", "ensemble"])
    student, teacher = found[1:]
    assert (student["steps"], teacher["steps"]) == (3, 0)
    assert len(student["rows"]) == len(teacher["rows"]) == 15
    assert {a for _, a in drawn} == {Augmentation()} and len(drawn) == 6


def test_no_degradations_leaves_the_grey_values():
    augmentation = bridges.VARIANTS["no degradations"].augmentation
    still = replace(augmentation, shift=0, rotation=0, scale=(1, 1), stretch=0, elastic_probability=0)
    case = crops(1)[0]
    # In a region of this shape the hippocampus's middle lies on the grid: nothing is interpolated.
    shape = (19, 22, 17)
    for seed in range(8):
        image, label = batches.sample(case, shape, np.random.default_rng(seed), still)
        truth = case.image[case.label > 0]
        assert (label > 0).sum() == truth.size
        # Min-max alone is left, which cuts off the brightest voxels.
        top = image.max() * np.median(truth / image[label > 0])
        np.testing.assert_allclose(image[label > 0], np.minimum(truth / top, 1), rtol=1e-4)


def test_report_names_its_variants_and_the_command():
    made_results = results()
    for one in made_results:
        one["arm"] = {"none": bridges.BASE, "better": "boundary loss", "same": "ensemble"}[one["arm"]]
        one["steps"] = 0 if one["arm"] == "ensemble" else 5
    names = ["boundary loss", "ensemble"]
    words = bridges.report_words(8, names)
    text = ablation_table.text(made_results, [bridges.BASE, *names], words)
    assert text.startswith("# What bridges") and "= 5 steps of" in " ".join(text.split())
    assert '--ablation RUN2 --variants "boundary loss" "ensemble" --write\n' in text
    assert "- `boundary loss`: added" in text and "pseudo" not in text
    assert "(2 variants × 5" in " ".join(text.split()) and "reported only: chose nothing" in text
    assert "| variant | clean |" in text and "training, minutes a fold |" in text and "| arm |" not in text


def test_hiding_the_plain_channel_leaves_the_other_and_other_samples():
    inputs = torch.arange(2 * 2 * 8, dtype=torch.float32).view(2, 2, 2, 2, 2)
    found = parts.hidden(inputs, torch.tensor([False, True]))
    assert torch.equal(found[0], inputs[0])
    assert torch.equal(found[1, 0], inputs[1, 1]) and torch.equal(found[1, 1], inputs[1, 1])


def test_mirroring_turns_x_of_image_and_label_together():
    inputs, target = torch.rand(2, 2, 3, 4, 5), torch.randint(0, 3, (2, 3, 4, 5))
    where = torch.tensor([True, False])
    images, labels = parts.mirrored(inputs, where), parts.mirrored(target, where)
    assert images[0, 1, 2, 3, 0] == inputs[0, 1, 2, 3, 4] and labels[0, 2, 3, 0] == target[0, 2, 3, 4]
    assert torch.equal(images[1], inputs[1]) and torch.equal(labels[1], target[1])


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_side_of_a_head_becomes_a_case_of_a_left_one(side):
    """An oblong that points outwards and forwards ends up outwards (x falls) and forwards in both cases."""
    array = np.zeros((100, 110, 90), np.float32)  # LPS: x to the left, y backwards
    outwards = 1 if side == "left" else -1
    for k in range(20):
        x = 45 + outwards * (k // 2)
        array[50:54, 60 - k, x - 2 : x + 3] = 100
    image = sitk.GetImageFromArray(array)
    image.SetOrigin((-45, -55, -50))
    case = parts.whole_case("one", image + 7, sitk.Cast(image > 50, sitk.sitkUInt8), side)
    assert case.image.shape == parts.HOST_SHAPE and set(np.unique(case.label)) == {0, 3}
    assert case.image[case.label > 0].min() > 90 and case.image.min() == 0
    z, y, x = np.argwhere(case.label > 0).T
    assert np.corrcoef(x, y)[0, 1] < -0.8
