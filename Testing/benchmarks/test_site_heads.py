"""The benchmark of fine-tuning on labelled heads: who trains, who is unseen, which labels are written."""

import numpy as np
import SimpleITK as sitk
import site_heads
from real_heads import MANUAL

from HippoSegLib.labels import WHOLE


def test_each_head_trains_once_and_is_unseen_once():
    names = [f"{n}" for n in (5, 3, 9, 1, 7, 0, 2, 4, 8, 6)]
    ways = site_heads.halves(names)
    assert set(ways[1][0]) == set(ways[2][1]) == set("01234") and ways[1][1] == ways[2][0]


def test_a_site_of_five_sides_has_the_labels_of_five_sides(tmp_path):
    for name in ("a", "b", "c", "d"):
        labels = np.zeros((6, 6, 6), np.int32)
        labels[1, 1, 1:3], labels[1, 1, 4], labels[3] = MANUAL["left"], MANUAL["right"], 40
        sitk.WriteImage(sitk.GetImageFromArray(labels), str(tmp_path / f"{name}_glm.nii.gz"))
    place = tmp_path / "site"
    place.mkdir()
    site = site_heads.site_of(tmp_path, ["a", "b", "c", "d"], 5, place)
    assert [source.subject for source in site.cases] == ["a", "b", "c"]
    counts = {}
    for source in site.cases:
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(source.label)))
        counts[source.name] = tuple(int((array == WHOLE[side]).sum()) for side in ("left", "right"))
        assert source.image.name == f"{source.name}_SS.nii.gz"
    assert counts == {"a": (2, 1), "b": (2, 1), "c": (2, 0)}
