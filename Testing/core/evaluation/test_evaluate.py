"""`hipposeg evaluate` on made-up heads whose figures are known by hand."""

import csv
import json
import re
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.cli import main
from HippoSegLib.evaluation import run as evaluation_run
from HippoSegLib.evaluation.output import FILES
from HippoSegLib.flags import Flag
from HippoSegLib.pipeline import SegmentationResult
from HippoSegLib.results.volumes import Measurements

#: Two boxes of 4 × 8 × 5 voxels (z, y, x) of 2 × 1 × 1.5 mm: 160 voxels of 3 mm³.
SPACING = (1.5, 1.0, 2.0)
BOXES = {17: (slice(6, 10), slice(10, 18), slice(24, 29)), 53: (slice(6, 10), slice(10, 18), slice(5, 10))}


def labels(shifts=(0, 0), values=(17, 53), origin=(0, 0, 0), shape=(16, 28, 36)) -> sitk.Image:
    """Left and right box, each moved by so many voxels along y; None leaves a side out."""
    array = np.zeros(shape, np.int16)
    for shift, value, box in zip(shifts, values, BOXES.values(), strict=True):
        if shift is not None:
            array[box[0], slice(box[1].start + shift, box[1].stop + shift), box[2]] = value
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    image.SetOrigin(origin)
    return image


def write(folder, **images):
    folder.mkdir(exist_ok=True)
    for name, image in images.items():
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    return folder


@pytest.fixture
def folders(tmp_path):
    """Reference labels (48 left, 47 right) of three heads, and results for them as `segment` names them."""
    truth = write(tmp_path / "truth", **{f"h{i}_man": labels(values=(48, 47)) for i in (1, 2, 3)})
    found = write(
        tmp_path / "found",
        h1_hippocampus=labels((0, 2)),
        h2_hippocampus=labels((4, 1)),
        h3_hippocampus=labels((0, 8)),
        h1_left_probability=labels(),
    )
    return truth, found


def evaluate(*arguments) -> int:
    return main(["evaluate", *(str(a) for a in arguments)])


def table(out, name="cases.csv") -> list[dict]:
    return list(csv.DictReader((out / name).read_text(encoding="utf-8").splitlines()))


def test_figures_by_hand(folders, tmp_path, capsys):
    truth, found = folders
    out = tmp_path / "out"
    code = evaluate(
        "--results", found / "*_hippocampus.nii.gz", "--labels", truth / "*_man.nii.gz", "-o", out,
        "--label-map", "neuromorphometrics",
    )  # fmt: skip
    assert code == 0
    rows = table(out)
    assert [(r["case"], r["structure"]) for r in rows] == [
        (f"h{i}", side) for i in (1, 2, 3) for side in ("left", "right")
    ]
    # A box of eight rows moved by k rows shares 8 - k of them.
    assert [float(r["dice"]) for r in rows] == [1, 0.75, 0.5, 0.875, 1, 0]
    assert [float(r["jaccard"]) for r in rows] == pytest.approx([1, 6 / 10, 4 / 12, 7 / 9, 1, 0], abs=1e-4)
    assert [float(r["hd95_mm"]) for r in rows] == [0, 2, 4, 1, 0, 8]
    assert {r["volume_mm3"] for r in rows} == {r["reference_mm3"] for r in rows} == {"480.0"}
    assert {r["status"] for r in rows} == {"ok"}
    summary = {(r["structure"], r["metric"]): r for r in table(out, "summary.csv")}
    left = summary["left", "dice"]
    expected = {"n": 3, "mean": 2.5 / 3, "sd": np.std([1, 0.5, 1], ddof=1), "median": 1, "min": 0.5, "max": 1}
    assert {name: float(left[name]) for name in expected} == pytest.approx(expected, abs=1e-4)
    assert float(summary["both", "dice"]["mean"]) == pytest.approx(4.125 / 6, abs=1e-4)
    assert summary["left", "volume_correlation"]["value"] == ""  # the volumes do not vary
    assert "left (3 cases)" in capsys.readouterr().out
    record = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert record["settings"]["label_map"]["values"] == {"left": [48], "right": [47]}
    assert record["cases"] == ["h1", "h2", "h3"] and record["model"] is None
    assert record["summary"]["right"]["dice"]["min"] == 0
    for file in out.iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()
    assert sorted(p.name for p in out.iterdir()) == sorted(FILES)


def test_missing_exchanged_unlabelled_and_failed_are_told_apart(folders, tmp_path, capsys):
    truth, found = folders
    write(found, h1_hippocampus=labels((None, 0)), h3_hippocampus=labels((0, 0), values=(53, 17)))
    write(truth, h2_man=labels((0, None), values=(48, 47)), h4_man=labels(values=(48, 47)))
    (found / "h4_hippocampus.nii.gz").write_bytes(b"\x1f\x8b and then nothing")
    out = tmp_path / "out"
    code = evaluate(
        "--results", found, "--labels", truth / "*_man.nii.gz", "-o", out,
        "--label-map", "left=48,right=47", "--no-pictures",
    )  # fmt: skip
    assert code == 10
    rows = {(r["case"], r["structure"]): r for r in table(out)}
    missing = rows["h1", "left"]
    assert missing["status"] == "missing: no left hippocampus was found; counted as Dice 0"
    assert float(missing["dice"]) == float(missing["volume_mm3"]) == 0
    assert missing["hd95_mm"] == missing["precision"] == "" and missing["bias_mm3"] == "-480.0"
    assert rows["h2", "right"]["status"].startswith("not labelled: ") and rows["h2", "right"]["dice"] == ""
    assert all(rows["h3", side]["status"].startswith("exchanged: ") for side in ("left", "right"))
    assert rows["h4", ""]["status"].startswith("failed: 'h4_hippocampus.nii.gz' is ")
    summary = {(r["structure"], r["metric"]): r for r in table(out, "summary.csv")}
    assert summary["left", "dice"]["n"] == "3"  # h1 missing, h2 0.5, h3 exchanged
    assert float(summary["left", "dice"]["mean"]) == pytest.approx(0.5 / 3, abs=1e-4)
    assert summary["left", "hd95_mm"]["n"] == "2"
    assert [summary["left", f]["value"] for f in ("missing", "exchanged", "not_labelled")] == ["1", "1", "0"]
    assert summary["right", "not_labelled"]["value"] == "1"
    printed = capsys.readouterr().out
    assert "1 of them not found, counted as Dice 0" in printed
    assert "1 case failed and is in no figure" in printed


def test_results_are_not_replaced_unasked_and_none_is_left_from_before(folders, tmp_path, capsys):
    truth, found = folders
    out = tmp_path / "out"
    options = ("--results", found / "*_hippocampus.nii.gz", "--labels", truth / "*_man.nii.gz", "-o", out)
    options += ("--label-map", "neuromorphometrics", "-q")
    assert evaluate(*options) == 0
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    assert evaluate(*options) == 6
    assert "--overwrite" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    write(found, h1_hippocampus=labels((8, 8)))
    assert evaluate(*options, "--overwrite", "--no-pictures") == 0
    assert sorted(p.name for p in out.iterdir()) == ["cases.csv", "evaluation.json", "summary.csv"]
    assert float(table(out)[0]["dice"]) == 0


@pytest.mark.parametrize("name", ["cases.csv", "summary.csv", "evaluation.json", "boxplots.png"])
def test_a_users_file_of_the_same_name_is_neither_replaced_nor_removed(folders, tmp_path, capsys, name):
    truth, found = folders
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text('{"cases": "mine"}')
    options = ("--results", found / "*_hippocampus.nii.gz", "--labels", truth / "*_man.nii.gz", "-o", out)
    words = ("--label-map", "neuromorphometrics", "--overwrite", "--no-pictures")
    assert evaluate(*options, *words) == 6
    assert f"'{name}' that is not of an evaluation" in capsys.readouterr().err
    assert {p.name: p.read_text() for p in out.iterdir()} == {name: '{"cases": "mine"}'}


def test_nothing_is_written_where_every_case_fails(folders, tmp_path, capsys):
    truth, found = folders
    for path in found.iterdir():
        path.write_bytes(b"")
    out = tmp_path / "out"
    options = ("--results", found / "*_hippocampus.nii.gz", "--labels", truth / "*_man.nii.gz", "-o", out)
    assert evaluate(*options, "--label-map", "neuromorphometrics") == 3
    assert not out.exists()
    assert "nothing was written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("freesurfer", r"No reference has the value 17 .* 'left'; the values there are: 47, 48"),
        ("left=48,right=99", r"No reference has the value 99 .* 'right'; the values there are: 47, 48"),
        ("left=48,right=48", r"gives the value 48 to both 'left' and 'right'"),
        ("msd", r"side must be stated"),
        ("nonsense", r"no label map 'nonsense'.*freesurfer"),
        ("links=48", r"names 'links'.*left-anterior"),
        ("left=x", r"not a positive integer"),
        ("left=48,left=47", r"names 'left' twice"),
    ],
)
def test_label_maps_that_cannot_be_are_refused(folders, tmp_path, capsys, option, sentence):
    truth, found = folders
    code = evaluate(
        "--results", found / "*_hippocampus.nii.gz", "--labels", truth / "*_man.nii.gz",
        "-o", tmp_path / "out", "--label-map", option,
    )  # fmt: skip
    words = capsys.readouterr().err
    assert code == 3 and words.count("\n") == 1
    assert re.search(sentence, words), words
    assert not (tmp_path / "out").exists()


def test_results_of_another_tool_with_parts_and_subfields(tmp_path):
    """Parts: the reference's anterior part is two values, the result's one; on a grid twice as fine."""
    truth = labels((0, None), values=(4, 0))
    array = sitk.GetArrayFromImage(truth)
    array[:, 14:][array[:, 14:] == 4] = 5
    array[:8, :14][array[:8, :14] == 4] = 6
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(truth)
    fine = sitk.GetImageFromArray(
        np.select([np.isin(array, (4, 6)), array == 5], [171, 172]).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    )
    fine.SetSpacing([s / 2 for s in SPACING])
    fine.SetOrigin([-s / 4 for s in SPACING])
    write(tmp_path / "truth", a=image)
    write(tmp_path / "found", a_hippocampus=sitk.Cast(fine, sitk.sitkUInt16))
    out = tmp_path / "out"
    code = evaluate(
        "--results", tmp_path / "found", "--labels", tmp_path / "truth", "-o", out, "--no-pictures",
        "--label-map", "left-anterior=4+6,left-posterior=5",
    )  # fmt: skip
    assert code == 0
    rows = {r["structure"]: r for r in table(out)}
    assert list(rows) == ["left", "left-anterior", "left-posterior"]
    assert {float(r["dice"]) for r in rows.values()} == {1}
    assert [float(r["reference_mm3"]) for r in rows.values()] == [480, 240, 240]


def test_labels_of_another_place_are_refused_in_one_sentence(tmp_path, capsys):
    write(tmp_path / "found", a=labels(), b=labels(), c=labels())
    far = labels(origin=(0, 0, 500), shape=(16, 28, 37))
    write(tmp_path / "truth", a=labels(), b=labels(origin=(-20, 0, 10)), c=far)
    out = tmp_path / "out"
    words = ("--results", tmp_path / "found", "--labels", tmp_path / "truth", "-o", out, "--no-pictures")
    assert evaluate(*words) == 10
    rows = table(out)
    assert [r["status"] for r in rows[:2]] == ["ok", "ok"]
    assert rows[2]["status"].startswith(
        "failed: 'b.nii.gz' has the result's voxels but lies 22 mm away from it in world space. Give"
    )
    assert "'c.nii.gz' lies outside the result in world space" in rows[3]["status"]
    assert capsys.readouterr().err.count("hipposeg: ") == 2


# The pipeline itself has its own tests; here a segmentation that is known stands in its place.


def stand_in(monkeypatch, masks):
    """Let `segment` return soft boxes on the scan's grid: side -> (z, y, x) probabilities."""
    calls = []

    def segment(scan, options, progress=None, parts=False, probabilities=False):
        calls.append({"parts": parts, "probabilities": probabilities, "options": options})
        image = scan.image
        array = np.zeros(image.GetSize()[::-1], np.uint16)
        maps = {}
        for side, value in (("left", 17), ("right", 53)):
            if side in masks:
                array[masks[side] > 0.5] = value
                maps[side] = sitk.GetImageFromArray(masks[side].astype(np.float32))
                maps[side].CopyInformation(image)
        found = sitk.GetImageFromArray(array)
        found.CopyInformation(image)
        flags = [Flag("volume", "The left hippocampus is unusually small.", "left")]
        record = {"settings": {"device": "cpu"}}
        return SegmentationResult(found, maps if probabilities else None, Measurements({}), flags, record)

    monkeypatch.setattr(evaluation_run, "segment", segment)
    return calls


def scan_like(image: sitk.Image, seed: int = 0) -> sitk.Image:
    noise = np.random.default_rng(seed).normal(500, 60, image.GetSize()[::-1]).astype(np.float32)
    scan = sitk.GetImageFromArray(noise)
    scan.CopyInformation(image)
    return scan


def test_a_resliced_scan_is_judged_on_the_labels_grid(tmp_path, monkeypatch):
    """Probabilities on an oblique, coarser grid; the truth by scipy's interpolation."""
    from scipy import ndimage

    reference = labels((0, None), shape=(30, 44, 36))
    coarse = sitk.Image([22, 24, 18], sitk.sitkFloat32)
    coarse.SetSpacing((2.4, 2.0, 3.3))
    turn = sitk.VersorTransform((0.06, -0.04, 0.08, 0.99))
    coarse.SetDirection(turn.GetMatrix())
    matrix = np.array(coarse.GetDirection()).reshape(3, 3) * np.array(coarse.GetSpacing())
    # The soft box's middle lies a little off the reference's, (39, 13.5, 15) mm.
    coarse.SetOrigin((np.array([38.2, 14.5, 14.6]) - matrix @ [15, 9, 8]).tolist())
    soft = np.zeros((18, 24, 22))
    soft[7:10, 7:12, 14:17] = 1
    soft = ndimage.gaussian_filter(soft, 0.7) * 1.2
    calls = stand_in(monkeypatch, {"left": soft})
    write(tmp_path / "truth", a=reference)
    write(tmp_path / "scan", a=scan_like(coarse))
    out = tmp_path / "out"
    code = evaluate(
        "--scans", tmp_path / "scan", "--labels", tmp_path / "truth", "-o", out, "--label-map", "left=17",
        "--no-pictures", "--threads", 1,
    )  # fmt: skip
    assert code == 0
    assert calls[0]["probabilities"] and calls[0]["options"].threads == 1
    index = np.indices((30, 44, 36))[::-1].reshape(3, -1)
    world = np.array(SPACING)[:, None] * index
    there = np.linalg.inv(matrix) @ (world - np.array(coarse.GetOrigin())[:, None])
    p = ndimage.map_coordinates(soft, there[::-1], order=1, mode="constant").reshape(30, 44, 36)
    truth = sitk.GetArrayFromImage(reference) == 17
    expected = 2 * ((p > 0.5) & truth).sum() / ((p > 0.5).sum() + truth.sum())
    assert 0.3 < expected < 0.95
    row = table(out)[0]
    assert float(row["dice"]) == pytest.approx(expected, abs=2e-3)
    assert float(row["volume_mm3"]) == pytest.approx(3 * (p > 0.5).sum(), rel=0.01)
    assert row["flags"].endswith("The left hippocampus is unusually small.")


def test_on_the_same_grid_labels_are_taken_as_they_are(tmp_path, monkeypatch):
    reference = labels(shape=(26, 44, 36))
    array = sitk.GetArrayFromImage(reference)
    calls = stand_in(monkeypatch, {"left": array == 17, "right": np.roll(array == 53, 4, axis=1)})
    write(tmp_path / "truth", a_man=reference)
    write(tmp_path / "scan", a=scan_like(reference))
    out = tmp_path / "out"
    words = ("--scans", tmp_path / "scan" / "a.nii.gz", "--labels", tmp_path / "truth" / "a_man.nii.gz")
    assert evaluate(*words, "-o", out, "--no-pictures") == 0
    assert [float(r["dice"]) for r in table(out)] == [1, 0.5]
    assert not calls[0]["probabilities"] and not calls[0]["parts"]
    record = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert record["model"]["name"] == "hipposeg" and len(record["model"]["sha256"]) == 64


def test_a_head_in_which_nothing_is_found_counts_as_zero(tmp_path, monkeypatch):
    from HippoSegLib.errors import NotFoundError

    def segment(*_arguments, **_options):
        raise NotFoundError("No head with a brain was recognised in this image.")

    monkeypatch.setattr(evaluation_run, "segment", segment)
    reference = labels(shape=(26, 44, 36))
    write(tmp_path / "truth", a=reference)
    write(tmp_path / "scan", a=scan_like(reference))
    out = tmp_path / "out"
    assert evaluate("--scans", tmp_path / "scan", "--labels", tmp_path / "truth", "-o", out) == 0
    rows = table(out)
    assert [r["dice"] for r in rows] == ["0.0000"] * 2
    assert all(r["status"].startswith("missing") and "No head" in r["flags"] for r in rows)


def test_training_cases_are_pointed_out():
    from HippoSegLib.evaluation.output import trained_on
    from HippoSegLib.models.training_card import TrainingCard

    earlier = TrainingCard(train_cases=("hippocampus_001", "hippocampus_003"))
    assert trained_on(["hippocampus_002", "hippocampus_003"], earlier) == ["hippocampus_003"]
    assert trained_on(["hippocampus_003"], TrainingCard()) == []
    # The weights that a training began with had learned from other cases.
    later = TrainingCard(train_cases=("hippocampus_002",), earlier=(earlier,))
    assert trained_on(["hippocampus_001", "hippocampus_002", "hippocampus_004"], later) == [
        "hippocampus_001",
        "hippocampus_002",
    ]


def test_pictures_show_both_sides(folders, tmp_path):
    from PIL import Image

    truth, found = folders
    out = tmp_path / "out"
    evaluate(
        "--results", found / "*_hippocampus.nii.gz", "--labels", truth / "*_man.nii.gz", "-o", out,
        "--label-map", "neuromorphometrics", "-q",
    )  # fmt: skip
    for name in ("bland_altman.png", "boxplots.png"):
        colours = np.asarray(Image.open(out / name).convert("RGB")).reshape(-1, 3).astype(int)
        for rgb in ((230, 159, 0), (86, 180, 233)):  # Okabe and Ito's orange and sky blue
            assert (np.abs(colours - rgb).max(axis=1) < 30).sum() > 30


def test_without_matplotlib_it_says_so_before_any_work(folders, tmp_path, capsys, monkeypatch):
    truth, found = folders
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    options = ("--results", found / "*_hippocampus.nii.gz", "--labels", truth / "*_man.nii.gz")
    options += ("-o", tmp_path / "out", "--label-map", "neuromorphometrics", "-q")
    assert evaluate(*options) == 9
    assert "--no-pictures" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert evaluate(*options, "--no-pictures") == 0


@pytest.mark.slow
def test_crops_of_the_decathlon(data_dir, tmp_path):
    """The whole command with the bundled model; Dice against SimpleITK's, from labels that `segment` wrote.

    These crops may have trained the model: it is the command that is tested, not the model.
    """
    data = data_dir / "msd_hippocampus"
    scans = [data / "images" / f"hippocampus_{n:03d}.nii.gz" for n in (1, 3)]
    region = ("--region", "--side", "left", "--threads", 1)
    out = tmp_path / "out"
    code = evaluate(
        "--scans", *scans, "--labels", data / "labels", "--label-map", "msd", "-o", out, "--no-pictures",
        *region,
    )  # fmt: skip
    assert code == 0
    rows = table(out)
    assert [r["structure"] for r in rows] == ["left", "left-anterior", "left-posterior"] * 2
    main(
        [
            "segment",
            *map(str, scans),
            "-o",
            str(tmp_path / "seg"),
            "--parts",
            "--no-picture",
            "-q",
            *map(str, region),
        ]
    )
    for i, scan in enumerate(scans):
        found = sitk.ReadImage(str(tmp_path / "seg" / scan.name.replace(".nii", "_hippocampus.nii")))
        truth = sitk.ReadImage(str(data / "labels" / scan.name))
        found.CopyInformation(truth)
        for row, values, wanted in zip(
            rows[3 * i : 3 * i + 3], ((171, 172), (171,), (172,)), ((1, 2), (1,), (2,)), strict=True
        ):
            masks = []
            for image, members in ((found, values), (truth, wanted)):
                change = {v: int(v in members) for v in (1, 2, 171, 172)}
                masks.append(sitk.ChangeLabel(sitk.Cast(image, sitk.sitkUInt8), change))
            overlap = sitk.LabelOverlapMeasuresImageFilter()
            overlap.Execute(*masks)
            assert float(row["dice"]) == pytest.approx(overlap.GetDiceCoefficient(), abs=1e-4)
            assert float(row["dice"]) > 0.7


def test_an_output_that_is_no_folder_is_refused_before_any_work(folders, tmp_path, capsys):
    truth, found = folders
    (tmp_path / "out").write_text("mine")
    options = ("--results", found / "*_hippocampus.nii.gz", "--labels", truth / "*_man.nii.gz", "-q")
    assert evaluate(*options, "--label-map", "neuromorphometrics", "-o", tmp_path / "out") == 6
    assert "'out' cannot be written" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "mine"
