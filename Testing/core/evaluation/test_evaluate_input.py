"""Pairing of scans and labels, label maps, reading of label images."""

import numpy as np
import pytest
import SimpleITK as sitk

from HippoSegLib.errors import InputError
from HippoSegLib.evaluation.cases import pair_cases
from HippoSegLib.evaluation.grids import same_grid
from HippoSegLib.evaluation.labelmap import in_words, label_map, read_labels, values_in


@pytest.fixture
def files(tmp_path):
    """Make empty files; names only matter for pairing."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def pairs(scans, labels, results=None):
    """Case name -> names of label and result."""
    cases, unused = pair_cases(
        None if scans is None else [str(s) for s in scans],
        [str(s) for s in labels],
        None if results is None else [str(s) for s in results],
    )
    return {c.name: (c.label.name, c.result and c.result.name) for c in cases}, unused


def test_patterns_are_paired_by_what_the_star_stands_for(files):
    root = files("a/1000_SS.nii.gz", "a/1003_SS.nii.gz", "a/1003_glm.nii.gz", "a/1000_glm.nii.gz")
    found, unused = pairs([root / "a/*_SS.nii.gz"], [root / "a/*_glm.nii.gz"])
    assert found == {"1000_SS": ("1000_glm.nii.gz", None), "1003_SS": ("1003_glm.nii.gz", None)}
    assert unused == 0


def test_several_stars_and_brackets_in_names(files):
    root = files("s/p1/T1 [v2].nii", "s/p2/T1 [v2].nii", "m/p2-x.nrrd", "m/p1-x.nrrd", "m/p3-x.nrrd")
    found, unused = pairs([root / "s/*/T1 [v2].nii"], [root / "m/*-x.nrrd"])
    assert list(found.values()) == [("p1-x.nrrd", None), ("p2-x.nrrd", None)]
    assert list(found) == ["p1_T1 [v2]", "p2_T1 [v2]"] and unused == 1
    assert pairs([root / "s/*"], [root / "m/*-x.nrrd"])[0].keys() == {"p1", "p2"}  # folders of DICOM series


def test_a_star_at_the_end_does_not_take_the_suffix(files):
    root = files("s/a1.nii.gz", "s/a2.nii", "l/a2.mha", "l/a1.nrrd", "l/readme.txt")
    assert pairs([root / "s/*"], [root / "l/*"])[0] == {"a1": ("a1.nrrd", None), "a2": ("a2.mha", None)}


def test_folders_are_paired_by_file_names(files):
    root = files("i/x.nii.gz", "i/y.nii.gz", "i/._x.nii.gz", "l/y.nii.gz", "l/x.nii.gz", "l/z.nii.gz")
    assert pairs([root / "i"], [root / "l"]) == (
        {"x": ("x.nii.gz", None), "y": ("y.nii.gz", None)},
        1,
    )
    # Some of the scans, all the labels.
    assert pairs([root / "i/y.nii.gz"], [root / "l"]) == ({"y": ("y.nii.gz", None)}, 2)
    assert pairs([root / "i/*.nii.gz"], [root / "l"])[0].keys() == {"x", "y"}


def test_lists_are_paired_in_order(files):
    root = files("a_T1.nii", "b_T1.nii", "1.nii", "2.nii")
    found, _ = pairs([root / "a_T1.nii", root / "b_T1.nii"], [root / "2.nii", root / "1.nii"])
    assert found == {"a_T1": ("2.nii", None), "b_T1": ("1.nii", None)}


def test_results_are_found_by_the_scans_name(files):
    root = files("s/a_T1.nii", "s/b_T1.nii", "l/a_m.nii", "l/b_m.nii")
    files("r/a_T1_hippocampus.nii.gz", "r/b_T1_hippocampus.nii.gz", "r/a_T1_left_probability.nii.gz")
    expected = {
        "a_T1": ("a_m.nii", "a_T1_hippocampus.nii.gz"),
        "b_T1": ("b_m.nii", "b_T1_hippocampus.nii.gz"),
    }
    assert pairs([root / "s/*_T1.nii"], [root / "l/*_m.nii"], [root / "r"])[0] == expected
    assert pairs(None, [root / "l/*_m.nii"], [root / "r/*_T1_hippocampus.nii.gz"])[0] == expected
    files("m/a_T1.nii", "m/b_T1.nii")
    assert pairs(None, [root / "m"], [root / "r"])[0] == {
        "a_T1": ("a_T1.nii", "a_T1_hippocampus.nii.gz"),
        "b_T1": ("b_T1.nii", "b_T1_hippocampus.nii.gz"),
    }


@pytest.mark.parametrize(
    ("scans", "labels", "sentence"),
    [
        (["*_T1.nii"], ["*_x.nii"], "No label matches the pattern"),
        (["*_T1.nii"], ["1_m.nii", "2_m.nii"], "given in different ways"),
        (["*_T1.nii"], ["[12]*_m.nii"], "No label matches"),
        (["1_T1.nii", "2_T1.nii"], ["1_m.nii"], "2 scans and 1 labels were given"),
        (["1_T1.nii", "2_T1.nii"], ["2_m.nii", "1_m.nii"], "'1_T1.nii' stands beside the label '2_m.nii'"),
        (["1_T1.nii", "2_T1.nii", "3_T1.nii"], ["1_m.nii", "2_m.nii", "4_m.nii"], "'3_T1.nii' stands beside"),
        (["*_T1.nii"], ["*_m.nii"], "No label belongs to 3_T1. "),
        (["1_T1.nii", "1_T1.nii"], ["1_m.nii", "2_m.nii"], "scan was given twice"),
        (["a.nii", "b.nii"], ["1_m.nii", "1_m.nii"], "label was given twice"),
        (["9_T1.nii"], ["1_m.nii"], "'9_T1.nii' does not exist"),
        (["1_T1.nii", "*_T2.nii"], ["1_m.nii", "2_m.nii"], "one quoted pattern"),
        (["two"], ["*_m.nii"], "No label belongs to 5"),
        (["1_T1.nii"], ["two"], "No label belongs to 1_T1"),
        (["1_T1.nii"], ["none"], "holds no label images"),
    ],
)
def test_doubtful_pairs_are_refused(files, scans, labels, sentence):
    root = files("1_T1.nii", "2_T1.nii", "3_T1.nii", "1_m.nii", "2_m.nii", "4_m.nii", "a.nii", "b.nii")
    files("two/5.nii", "none/readme.txt")
    with pytest.raises(InputError) as error:
        pairs([root / s for s in scans], [root / s for s in labels])
    assert sentence in str(error.value)
    assert error.value.remedy and str(root) not in str(error.value)


def test_two_labels_of_one_name_are_refused(files):
    root = files("s/a.nii", "l/a.nii", "l/a.nrrd")
    with pytest.raises(InputError, match="two labels called 'a'"):
        pairs([root / "s"], [root / "l"])


# Label maps


def test_presets():
    assert label_map("FreeSurfer").values == {"left": (17,), "right": (53,)}
    assert label_map("neuromorphometrics").values == {"left": (48,), "right": (47,)}
    assert label_map("msd", "right").values == {
        "right-anterior": (1,),
        "right-posterior": (2,),
        "right": (1, 2),
    }
    own = label_map("hipposeg")
    assert own.values["left"] == (17, 171, 172) and own.values["right-posterior"] == (532,)
    assert own.structures == (
        "left", "right", "left-anterior", "left-posterior", "right-anterior", "right-posterior",
    )  # fmt: skip
    assert label_map("freesurfer", "left").values == {"left": (17,)}


def test_explicit_maps():
    mapped = label_map("left = 1+2, right=5,left-anterior=1")
    assert mapped.values == {"left": (1, 2), "right": (5,), "left-anterior": (1,)}
    assert mapped.required == ("left", "right", "left-anterior")
    # One part alone is not the whole.
    assert label_map("left-anterior=3").structures == ("left-anterior",)
    array = np.array([0, 1, 2, 5, 5, 9]).reshape(1, 2, 3)
    assert mapped.mask(array, "left").sum() == 2 and mapped.mask(array, "right").sum() == 2
    assert not mapped.mask(array, "right-anterior").any()
    assert mapped.present([2, 9]) == ("left",)


def test_a_map_without_the_stated_side_is_refused():
    with pytest.raises(InputError, match="no value for the right"):
        label_map("left=48", "right")


def test_values_in_words():
    assert in_words([]) == "none but 0"
    assert in_words([53, 17]) == "17, 53"
    assert in_words(range(1, 41)).endswith("11, 12 and 28 more")


# Label images


def write(path, array):
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(path))
    return path


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_labels_are_read_as_integers(tmp_path, suffix, dtype):
    array = np.zeros((6, 7, 8), dtype)
    array[2:4, 3:5, 1:6] = 17
    array[5, 6, 7] = 53
    image = read_labels(write(tmp_path / f"x{suffix}", array))
    assert image.GetPixelID() == sitk.sitkInt32
    assert np.array_equal(sitk.GetArrayFromImage(image), array)
    assert values_in(image) == [17, 53]


def test_what_is_no_label_image_is_refused(tmp_path):
    probabilities = np.linspace(0, 1, 8**3).reshape(8, 8, 8).astype(np.float32)
    cases = {
        write(tmp_path / "p.nii.gz", probabilities): "not whole numbers",
        write(tmp_path / "nan.nrrd", np.full((4, 4, 4), np.nan, np.float32)): "not whole numbers",
        write(tmp_path / "four.nii.gz", np.zeros((3, 4, 4, 4), np.uint8)): "4D",
        write(tmp_path / "four.nrrd", np.zeros((3, 4, 4, 4), np.uint8)): "several volumes or layers",
        tmp_path / "absent.nii.gz": "does not exist",
        tmp_path / "text.txt": "not of a kind",
        tmp_path / "cut.nrrd": "no space",
    }
    colours = sitk.Image([4, 4, 4], sitk.sitkVectorUInt8, 3)
    for name in ("colours.nii.gz", "colours.mha"):
        sitk.WriteImage(colours, str(tmp_path / name))
        cases[tmp_path / name] = "colours"
    (tmp_path / "text.txt").write_text("1")
    (tmp_path / "cut.nrrd").write_bytes(b"NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\n")
    for path, sentence in cases.items():
        with pytest.raises(InputError, match=sentence) as error:
            read_labels(path)
        assert error.value.remedy and "T1" not in str(error.value)


def test_same_grid():
    a = sitk.Image([10, 11, 12], sitk.sitkUInt8)
    a.SetDirection(sitk.VersorTransform((0.1, 0.2, 0.1, 0.9)).GetMatrix())
    b = sitk.Image(a)
    assert same_grid(a, b)
    b.SetOrigin((0.005, 0, 0))
    assert same_grid(a, b)
    b.SetOrigin((0.5, 0, 0))
    assert not same_grid(a, b)
    assert not same_grid(a, sitk.Flip(a, (True, False, False)))
    c = sitk.Image(a)
    c.SetSpacing((1, 1, 1.1))
    assert not same_grid(a, c)
