"""Run with few packages: segments a scan, measures it, draws its QC figure, says what is missing for more.

    python few_packages.py SCAN OUTPUT LABELS

The core and the plain model need numpy, scipy, SimpleITK and Pillow, and pydicom for DICOM: every other
package that HippoSeg can use is made to fail on import here. `LABELS` is the label map that PyTorch's engine
makes of the scan.
"""

import sys
from pathlib import Path

MISSING = ("torch", "skimage", "pywt", "matplotlib", "nibabel", "monai", "optuna", "tensorboard")


class Missing:
    """A finder for packages that are not there."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)


sys.meta_path.insert(0, Missing())

from HippoSegLib import read_scan, segment  # noqa: E402
from HippoSegLib.cli import main  # noqa: E402
from HippoSegLib.errors import DependencyError  # noqa: E402


def refused(**options) -> str:
    """The sentence with which options are refused that need another package."""
    try:
        segment(read_scan(SCAN), **options)
    except DependencyError as error:
        return str(error)
    raise SystemExit(f"{options} needed no package")


SCAN, OUTPUT, LABELS = (Path(argument) for argument in sys.argv[1:])
plain = ["--single-reader", "--threads", "1"]
assert main(["segment", str(SCAN), "-o", str(OUTPUT), "-q", *plain, "--uncertainty"]) == 0
assert main(["info"]) == 0

import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402

(found,) = (path for path in OUTPUT.rglob("*_hippocampus.nii.gz"))
mine, theirs = (sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in (found, LABELS))
assert (mine > 0).sum() > 5000 and (mine != theirs).sum() <= 5, (mine != theirs).sum()
assert len(list(OUTPUT.rglob("*.png"))) == 1 and len(list(OUTPUT.rglob("*uncertainty*"))) == 2

# A part of the head: its intracranial volume is unknown, which a flag says.
head = read_scan(SCAN).image
lower = sitk.RegionOfInterest(head, [*head.GetSize()[:2], 2 * head.GetSize()[2] // 3], [0, 0, 0])
codes = [flag.code for flag in segment(lower, threads=1, second_reader=False).flags]
assert "intracranial_cut" in codes, codes

for sentence, package in (
    (refused(model="hipposeg_clahe_sce"), "scikit-image"),
    (refused(), "own reader"),
    (refused(engine="torch"), "torch"),
    (refused(device="cuda"), "torch"),
):
    assert package in sentence and "not installed" in sentence, sentence
    print(sentence)
imported = set(MISSING) & set(sys.modules)
assert not imported, imported
print("numpy", np.__version__, "Python", sys.version.split()[0], "well")
