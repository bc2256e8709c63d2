"""The whole pipeline on the shipped sample: geometry, sides, cut fields of view, switches, rescue."""

import itertools

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from HippoSegLib import cli, segment
from HippoSegLib.errors import Cancelled, InputError, NotFoundError
from HippoSegLib.io.images import read_image, read_scan
from HippoSegLib.labels import PART, WHOLE
from HippoSegLib.pipeline import network_input

pytestmark = pytest.mark.usefixtures("networks_answer_once")

#: Every way of storing three axes: six orders, eight senses.
ORIENTATIONS = [
    "".join(letters)
    for order in itertools.permutations(("LR", "PA", "IS"))
    for letters in itertools.product(*order)
]


@pytest.fixture(scope="module")
def sample(sample_path):
    return read_image(sample_path)


@pytest.fixture(scope="module")
def reference(sample):
    """The sample's own result."""
    return segment(sample, device="cpu", threads=1)


def run(image, **options):
    return segment(image, device="cpu", threads=1, **options)


def mask(labels: sitk.Image, side: str) -> np.ndarray:
    return sitk.GetArrayViewFromImage(labels) == WHOLE[side]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    both, either = np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b)
    return 2 * both / either if either else np.nan


def centre(labels: sitk.Image, side: str) -> np.ndarray:
    """LPS mm, by SimpleITK's own shape statistics."""
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(labels)
    return np.array(shape.GetCentroid(WHOLE[side]))


def same_place(labels: sitk.Image, reference: sitk.Image) -> dict[str, float]:
    """Dice per side after bringing labels onto the reference's grid through world coordinates."""
    moved = sitk.Resample(labels, reference, sitk.Transform(), sitk.sitkNearestNeighbor)
    return {side: dice(mask(moved, side), mask(reference, side)) for side in WHOLE}


def test_both_sides_lie_on_the_scans_own_grid(sample, reference):
    labels = reference.labels
    for name in ("GetSize", "GetOrigin", "GetSpacing", "GetDirection"):
        assert getattr(labels, name)() == getattr(sample, name)()
    assert labels.GetPixelID() == sitk.sitkUInt16
    assert set(np.unique(sitk.GetArrayViewFromImage(labels))) == {0, 17, 53}
    volume = np.prod(sample.GetSpacing())
    for side in WHOLE:
        count = mask(labels, side).sum()
        assert reference.measurements.whole[side] == pytest.approx(count * volume)
        assert 1500 < count * volume < 6000
    # The patient's left has the larger LPS x here, and the two are mirror-placed.
    left, right = centre(labels, "left"), centre(labels, "right")
    assert 35 < left[0] - right[0] < 65
    assert abs(left[1:] - right[1:]).max() < 8
    assert [f for f in reference.flags if f.severity == "warning"] == []


def test_agrees_with_a_peer_on_the_same_head(data_dir, reference):
    for side in WHOLE:
        weak = sitk.ReadImage(str(data_dir / f"heads_unlabelled/weak_labels/myconnectome_T1_{side}.nii.gz"))
        weak = sitk.Resample(weak, reference.labels, sitk.Transform(), sitk.sitkLinear)
        array = sitk.GetArrayFromImage(weak)
        assert dice(array > 0.5 * array.max(), mask(reference.labels, side)) > 0.75


@pytest.mark.no_cover
def test_all_48_orientations_give_the_same_segmentation(sample, tmp_path):
    """Of the sample in voxels twice as large: everything but the networks takes an eighth of the time."""
    coarse = sitk.BinShrink(sample, [2] * 3)
    reference = run(coarse)
    sitk.WriteImage(coarse, str(tmp_path / "coarse.nii"))
    original = nib.load(tmp_path / "coarse.nii")
    axes = nib.io_orientation(original.affine)
    assert len(set(ORIENTATIONS)) == 48
    for letters in ORIENTATIONS:
        wanted = nib.orientations.axcodes2ornt(letters)
        stored = original.as_reoriented(nib.orientations.ornt_transform(axes, wanted))
        assert "".join(nib.aff2axcodes(stored.affine)) == letters
        path = tmp_path / "stored.nii"
        nib.save(stored, path)
        found = same_place(run(read_scan(path)).labels, reference.labels)
        assert min(found.values()) >= 0.99, letters


@pytest.mark.parametrize("shift", [(1000.0, -700.0, 450.0), (-333.3, 0.0, -2000.0)])
def test_the_world_origin_does_not_matter(sample, reference, shift):
    moved = sitk.Image(sample)
    moved.SetOrigin([o + s for o, s in zip(sample.GetOrigin(), shift, strict=True)])
    labels = run(moved).labels
    for side in WHOLE:
        assert dice(mask(labels, side), mask(reference.labels, side)) >= 0.99


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "angles", [(30, 0, 0), (-30, 0, 0), (0, 30, 0), (0, 0, -30), (30, -30, 30), (-30, -30, -30)]
)
@pytest.mark.parametrize("how", ["oblique", "resampled"])
def test_a_turned_head(sample, reference, angles, how):
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    middle = sample.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in sample.GetSize()])
    if how == "oblique":  # the same voxels, stored with a turned direction: the head is turned in the world
        image = sitk.Image(sample)
        image.SetDirection((rotation @ np.array(sample.GetDirection()).reshape(3, 3)).ravel().tolist())
        labels = run(image).labels
        found = {side: dice(mask(labels, side), mask(reference.labels, side)) for side in WHOLE}
    else:
        turn = sitk.Euler3DTransform()
        turn.SetCenter(middle)
        turn.SetMatrix(rotation.ravel().tolist())
        image = sitk.Resample(sample, sample, turn, sitk.sitkLinear)
        labels = run(image).labels
        back = sitk.Resample(labels, sample, turn.GetInverse(), sitk.sitkNearestNeighbor)
        found = {side: dice(mask(back, side), mask(reference.labels, side)) for side in WHOLE}
    assert min(found.values()) > 0.88, found


@pytest.mark.no_cover
@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (3.0, 1.0, 1.0), (1.0, 3.0, 1.0), (1.0, 1.0, 3.0)])
def test_other_spacings(sample, reference, spacing):
    size = [
        round(n * s / new) for n, s, new in zip(sample.GetSize(), sample.GetSpacing(), spacing, strict=True)
    ]
    image = sitk.Resample(
        sample, size, sitk.Transform(), sitk.sitkLinear, sample.GetOrigin(), spacing, sample.GetDirection()
    )
    result = run(image)
    assert result.labels.GetSize() == image.GetSize()
    found = same_place(result.labels, reference.labels)
    assert min(found.values()) > (0.88 if max(spacing) < 1 else 0.72), found
    for side, volume in reference.measurements.whole.items():
        assert result.measurements.whole[side] == pytest.approx(volume, rel=0.15)


def _crop(image: sitk.Image, lower, upper) -> sitk.Image:
    """Keep the voxels between two continuous fractions of the size."""
    start = [int(a * n) for a, n in zip(lower, image.GetSize(), strict=True)]
    stop = [int(b * n) for b, n in zip(upper, image.GetSize(), strict=True)]
    return sitk.RegionOfInterest(image, [b - a for a, b in zip(start, stop, strict=True)], start)


@pytest.fixture(scope="module")
def stored_las(sample):
    """The sample with x running to the left, so that fractions of x have a meaning."""
    return sitk.DICOMOrient(sample, "LPS")


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_side_outside_the_field_of_view_is_said(stored_las, reference, side):
    half = [(0.0, 0, 0), (0.55, 1, 1)] if side == "left" else [(0.45, 0, 0), (1.0, 1, 1)]
    result = run(_crop(stored_las, *half))
    kept = "right" if side == "left" else "left"
    assert set(result.measurements.whole) == {kept}
    assert any(f.code == "not_found" and f.side == side for f in result.flags)
    assert result.measurements.asymmetry is None
    assert same_place(result.labels, reference.labels)[kept] > 0.85


def test_a_field_of_view_without_hippocampi_is_an_error(stored_las):
    with pytest.raises(NotFoundError):
        run(_crop(stored_las, (0, 0, 0.66), (1, 1, 1)))


def test_a_hippocampus_cut_by_the_field_of_view_is_flagged(stored_las, reference):
    middle = stored_las.TransformPhysicalPointToContinuousIndex(centre(reference.labels, "left").tolist())
    fraction = middle[1] / stored_las.GetSize()[1]
    result = run(_crop(stored_las, (0, 0, 0), (1, fraction, 1)))
    assert {f.side for f in result.flags if f.code == "cut"} == {"left", "right"}


def test_points_and_boxes_lead_to_the_same_place(sample, reference):
    points = {side: tuple(centre(reference.labels, side) + [3, -4, 2]) for side in WHOLE}
    found = same_place(run(sample, points=points).labels, reference.labels)
    assert min(found.values()) > 0.93
    boxes = {"left": [np.array(points["left"]) - 15, np.array(points["left"]) + 15]}
    assert same_place(run(sample, boxes=boxes).labels, reference.labels)["left"] > 0.93


def test_points_rescue_an_image_without_a_recognisable_head(sample, reference):
    around = {side: centre(reference.labels, side) for side in WHOLE}
    index = np.array([sample.TransformPhysicalPointToIndex(c.tolist()) for c in around.values()])
    start = (index.min(axis=0) - 32).tolist()
    size = (index.max(axis=0) + 32 - start).tolist()
    slab = sitk.RegionOfInterest(sample, size, start)
    result = run(slab, points={side: tuple(c) for side, c in around.items()})
    assert min(same_place(result.labels, reference.labels).values()) > 0.8


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: {"left": p["right"], "right": p["left"]}, "seem swapped"),
        (lambda p: {"left": (5000.0, 0.0, 0.0)}, "outside the image"),
        (lambda p: {"left": p["left"], "right": p["left"]}, "less than 10 mm"),
    ],
)
def test_points_that_cannot_be_are_refused(sample, reference, change, sentence):
    points = change({side: tuple(centre(reference.labels, side)) for side in WHOLE})
    with pytest.raises(InputError, match=sentence):
        run(sample, points=points)


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_crop_of_one_hippocampus(sample, reference, side):
    index = sample.TransformPhysicalPointToIndex(centre(reference.labels, side).tolist())
    size = [36, 50, 36]
    crop = sitk.RegionOfInterest(sample, size, [i - n // 2 for i, n in zip(index, size, strict=True)])
    result = run(crop, region_side=side)
    assert set(result.measurements.whole) == {side}
    assert result.labels.GetSize() == tuple(size)
    assert same_place(result.labels, sitk.Resample(reference.labels, crop))[side] > 0.85


def test_parts_make_up_the_whole_and_anterior_is_anterior(sample, reference):
    array = sitk.GetArrayFromImage(run(sample, parts=True).labels)
    for side in WHOLE:
        anterior, posterior = (array == PART[side][part] for part in ("anterior", "posterior"))
        assert np.array_equal(anterior | posterior, mask(reference.labels, side))
        points = [np.argwhere(part).mean(axis=0)[::-1] for part in (anterior, posterior)]
        head, tail = (sample.TransformContinuousIndexToPhysicalPoint(p.tolist()) for p in points)
        assert head[1] < tail[1] - 8  # LPS: y runs backwards


def test_probabilities_agree_with_the_labels(sample, reference):
    result = run(sample, probabilities=True)
    for side, volume in result.probabilities.items():
        assert volume.GetSize() == sample.GetSize()
        array = sitk.GetArrayFromImage(volume)
        assert array.min() >= 0 and array.max() <= 1.0001
        assert np.array_equal(array > 0.5, mask(reference.labels, side))


def test_changed_preprocessing_is_a_warning(sample):
    result = run(sample, preprocessing={"sce_dwt_3d": {"factor": 1.5}}, model="hipposeg_clahe_sce")
    (flag,) = (f for f in result.flags if f.code == "preprocessing")
    assert "SCE-3DWT factor 1.5 instead of 0.8" in flag.message


def test_the_methods_preprocessing_is_one_switch_away(sample, reference):
    """The model trained with it finds much the same; of the other, a step is refused with the way out."""
    result = run(sample, model="hipposeg_clahe_sce")
    for side, dice in same_place(result.labels, reference.labels).items():
        assert 0.9 < dice < 1, side
    assert not [flag for flag in result.flags if flag.code == "preprocessing"]
    assert result.provenance["model"]["name"] == "hipposeg_clahe_sce"
    with pytest.raises(InputError, match="trained with it"):
        run(sample, preprocessing={"sce_dwt_3d": {"factor": 1.5}})


def test_what_the_network_sees_is_the_head_at_its_place(sample, reference):
    seen = network_input(sample, device="cpu", threads=1)
    for side, channels in seen.items():
        back = sitk.Resample(channels[0], sample, sitk.Transform(), sitk.sitkLinear, -1.0)
        values, original = sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(sample).astype(float)
        inside = (values > 0.02) & (values < 0.98)
        assert np.corrcoef(values[inside], original[inside])[0, 1] > 0.97
        assert inside[mask(reference.labels, side)].mean() > 0.9


def test_progress_rises_and_cancel_is_heard(sample):
    told = []
    run(sample, progress=lambda words, fraction: told.append(fraction))
    assert told == sorted(told) and told[-1] == 1.0
    for stop_after in range(4):
        count = itertools.count()
        with pytest.raises(Cancelled):
            run(sample, cancel=lambda limit=stop_after, n=count: next(n) >= limit)


def test_the_command_line_gives_the_same_voxels(sample_path, sample, reference, tmp_path, capsys):
    words = [
        "segment",
        str(sample_path),
        "-o",
        str(tmp_path),
        "--device",
        "cpu",
        "--threads",
        "1",
        "--no-picture",
    ]
    assert cli.main(words) == 0
    written = sitk.ReadImage(str(tmp_path / "hipposeg_sample_T1_hippocampus.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(reference.labels))
    assert "left" in capsys.readouterr().out


def test_preprocess_command_writes_the_channels(sample_path, sample, tmp_path):
    words = ["preprocess", str(sample_path), "-o", str(tmp_path), "--device", "cpu", "--threads", "1"]
    assert cli.main(words) == 0
    seen = network_input(sample, device="cpu", threads=1)
    for side, channels in seen.items():
        for number, channel in enumerate(channels, start=1):
            stored = nib.load(tmp_path / f"hipposeg_sample_T1_{side}_channel{number}.nii.gz")
            assert np.allclose(stored.get_fdata().T, sitk.GetArrayFromImage(channel), atol=1e-6)
            assert (np.linalg.det(stored.affine[:3, :3]) < 0) == (side == "right")  # mirrored


@pytest.fixture(scope="module")
def two_readers(tmp_path_factory):
    """The default model with the other bundled one as its second reader."""
    import json
    import shutil

    from HippoSegLib.models.store import model_folder

    parent = tmp_path_factory.mktemp("models")
    for name in ("hipposeg", "hipposeg_clahe_sce"):
        shutil.copytree(model_folder(name), parent / name)
    card = json.loads((parent / "hipposeg" / "card.json").read_text(encoding="utf-8"))
    card["second_reader"] = "hipposeg_clahe_sce"
    (parent / "hipposeg" / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return parent / "hipposeg"


def test_two_readers_make_one_outline_and_are_in_the_record(sample, two_readers):
    one = segment(sample, model="hipposeg", second_reader=False, threads=1)
    other = segment(sample, model="hipposeg_clahe_sce", second_reader=False, threads=1)
    both = segment(sample, model=str(two_readers), threads=1)
    assert both.provenance["settings"]["second_reader"]["name"] == "hipposeg_clahe_sce"
    assert one.provenance["settings"]["second_reader"] is None and "agreement" not in one.provenance
    for side, value in (("left", 17), ("right", 53)):
        a, b, mean = (sitk.GetArrayFromImage(r.labels) == value for r in (one, other, both))
        dice = 2 * (a & b).sum() / (a.sum() + b.sum())
        assert both.provenance["agreement"][side] == pytest.approx(dice, abs=0.02)
        assert ((a & b) & ~mean).sum() <= 2 and (mean & ~(a | b)).sum() <= 2
        # The readers' agreement is a feature of the score; of a good scan it changes little.
        scores = both.measurements.quality[side], one.measurements.quality[side]
        assert 0 < abs(scores[0] - scores[1]) < 0.05
    assert "disagreement" not in {flag.code for flag in both.flags}


def test_readers_that_disagree_are_told(sample, two_readers, monkeypatch):
    monkeypatch.setattr("HippoSegLib.results.assessment.LEAST_AGREEMENT", 0.999)
    result = segment(sample, model=str(two_readers), threads=1)
    flags = [flag for flag in result.flags if flag.code == "disagreement"]
    assert {flag.side for flag in flags} == {"left", "right"} and result.status == "review"


def test_a_missing_second_reader_is_named(sample, two_readers, tmp_path):
    import shutil

    from HippoSegLib.errors import ModelError

    shutil.copytree(two_readers, tmp_path / "alone")
    with pytest.raises(ModelError, match="hipposeg_clahe_sce"):
        segment(sample, model=str(tmp_path / "alone"), threads=1)
    assert segment(sample, model=str(tmp_path / "alone"), second_reader=False, threads=1).measurements.whole
