"""Cases, their subjects and their split."""

import numpy as np
import pytest
import SimpleITK as sitk
from crops import crop, write_folder

from HippoSegLib.errors import InputError, TrainingError
from HippoSegLib.training.cases import fit, hold_out, load_cases, make_case, split_by_subject, subject_of


def test_two_sides_are_one_subject():
    assert subject_of("hippocampus_001") == subject_of("hippocampus_002") == "subject_001"
    assert subject_of("hippocampus_003") == subject_of("hippocampus_004") != subject_of("hippocampus_002")
    assert subject_of("anna_left") == subject_of("anna-R") == "anna"
    assert subject_of("head") == "head" and subject_of("bell") == "bell"


@pytest.mark.parametrize("folds", [2, 5])
def test_folds_keep_subjects_together(folds):
    names = [f"hippocampus_{n:03d}" for n in range(1, 60) if n % 7]
    subjects = [subject_of(name) for name in names]
    parts = split_by_subject(subjects, folds, seed=3)
    assert sorted(i for part in parts for i in part) == list(range(len(names)))
    of_part = [{subjects[i] for i in part} for part in parts]
    assert sum(map(len, of_part)) == len(set(subjects))  # no subject in two folds
    assert max(map(len, of_part)) - min(map(len, of_part)) <= 1
    # The same subjects whatever the order of the cases; others with another seed.
    turned = split_by_subject(subjects[::-1], folds, seed=3)
    assert [{subjects[::-1][i] for i in part} for part in turned] == of_part
    assert [{subjects[i] for i in part} for part in split_by_subject(subjects, folds, seed=4)] != of_part


def test_hold_out():
    subjects = [f"s{i // 2}" for i in range(20)]
    train, held = hold_out(subjects, 0.2, seed=1)
    assert sorted(train + held) == list(range(20)) and len(held) == 4
    assert not {subjects[i] for i in train} & {subjects[i] for i in held}
    assert hold_out(["a", "b"], 0.01)[1] and hold_out(["a", "b"], 0.99)[0]
    for subjects, fraction in ((["a", "a"], 0.5), (["a", "b"], 0.0), (["a", "b"], 1.0)):
        with pytest.raises(TrainingError):
            hold_out(subjects, fraction)
    with pytest.raises(TrainingError):
        split_by_subject(["a", "a", "b"], 3)


def test_images_are_stored_anew_with_x_to_the_right():
    image, label = crop(0, (10, 12, 14))
    right = [sitk.GetImageFromArray(a) for a in (image, label)]
    for volume in right:
        volume.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    turned = [sitk.DICOMOrient(volume, "PIL") for volume in right]
    assert turned[0].GetSize() != right[0].GetSize()
    for pair in (right, turned):
        case = make_case("a", "a", *pair)
        np.testing.assert_array_equal(case.label, label)
        np.testing.assert_allclose(case.image, image - image.min())
    mirrored = sitk.GetImageFromArray(image)  # x to the left, y posterior
    case = make_case("a", "a", mirrored, sitk.GetImageFromArray(label))
    np.testing.assert_array_equal(case.label, label[:, ::-1, ::-1])


def _scaled(array, spacing):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    return image


IMAGE, LABEL = crop(1, (8, 8, 8))


@pytest.mark.parametrize(
    "image, label",
    [
        (IMAGE, LABEL[:, :, 1:]),
        (IMAGE[0], LABEL[0]),
        (np.full_like(IMAGE, 3), LABEL),
        (np.where(LABEL, np.nan, IMAGE), LABEL),
        (IMAGE, np.zeros_like(LABEL)),
        (IMAGE, LABEL * 17),
        (_scaled(IMAGE, (1, 1, 3)), _scaled(LABEL, (1, 1, 3))),
    ],
)
def test_impossible_pairs_are_refused(image, label):
    with pytest.raises(TrainingError) as error:
        make_case("case_7", "a", image, label)
    assert "case_7" in str(error.value) and error.value.remedy


def test_load_cases(tmp_path):
    write_folder(tmp_path, [3, 1, 2])
    cases = load_cases(tmp_path)
    assert [(c.name, c.subject) for c in cases] == [
        ("hippocampus_001", "subject_001"),
        ("hippocampus_002", "subject_001"),
        ("hippocampus_003", "subject_002"),
    ]
    np.testing.assert_array_equal(cases[2].label, crop(3)[1])
    (tmp_path / "labels" / "hippocampus_002.nii.gz").unlink()
    with pytest.raises(InputError, match=r"hippocampus_002.*no label"):
        load_cases(tmp_path)
    (tmp_path / "labels" / "hippocampus_002.nii.gz").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be read"):
        load_cases(tmp_path)
    with pytest.raises(InputError, match="no images"):
        load_cases(tmp_path / "nothing")


def test_fit_pads_and_cuts_about_the_centre():
    array = np.arange(5 * 4 * 3).reshape(5, 4, 3)
    small = fit(array, (3, 4, 7), value=-1)
    assert small.shape == (3, 4, 7)
    np.testing.assert_array_equal(small[:, :, 2:5], array[1:4])
    assert (small[:, :, [0, 1, 5, 6]] == -1).all()
    for shape in ((9, 9, 9), (8, 5, 4)):
        np.testing.assert_array_equal(fit(fit(array, shape), array.shape), array)


@pytest.mark.no_cover
def test_decathlon_crops_look_like_left_hippocampi(data_dir):
    """The crops bend, as x runs to the right, like left and unlike right hippocampi of whole heads."""
    cases = load_cases(data_dir / "msd_hippocampus")
    assert len(cases) == 221 and len({c.subject for c in cases}) > 110

    def slope(mask):
        z, y, x = np.argwhere(mask).T
        return np.polyfit(y, x, 1)[0]

    crops = np.mean([slope(case.label > 0) for case in cases])
    left, right = [], []
    for number in (2, 3, 4, 5, 8, 9):
        head = sitk.ReadImage(str(data_dir / "head_label_maps" / f"training_seg_{number:02d}.nii.gz"))
        array = sitk.GetArrayFromImage(sitk.DICOMOrient(head, "RAS"))
        left.append(slope(array == 17))
        right.append(slope(array == 53))
    assert abs(crops - np.mean(left)) < abs(crops - np.mean(right))
    parts = [np.argwhere(case.label == k)[:, 1].mean() for case in cases for k in (1, 2)]
    assert (np.array(parts[::2]) > np.array(parts[1::2])).all()  # anterior lies at higher y
