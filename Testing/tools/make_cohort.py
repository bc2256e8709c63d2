"""Folders of scans to try a batch on: six made from the sample, or any number made from real heads.

    python Testing/tools/make_cohort.py FOLDER                     # moved, noisy, coarse, inverted, broken
    HIPPOSEG_DATA=... python Testing/tools/make_cohort.py FOLDER --count 60

The second one lies as a tree: a folder per subject and session, links to the heads as far as they are used as
they are; some are damaged, some of another contrast, one subject came twice.
"""

from __future__ import annotations

import argparse
import gzip
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "Resources" / "SampleData" / "hipposeg_sample_T1.nii.gz"


def _changed(image: sitk.Image, change: Callable[[np.ndarray], np.ndarray]) -> sitk.Image:
    values = change(sitk.GetArrayFromImage(image).astype(np.float32))
    result = sitk.GetImageFromArray(values.clip(0, 32000).astype(np.int16))
    result.CopyInformation(image)
    return result


def moved(image: sitk.Image) -> sitk.Image:
    """The head turned by 15 degrees about two axes and moved by 12 mm, on the same grid."""
    centre = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    turn = sitk.Euler3DTransform(centre, 0.15, -0.1, 0.26, (12.0, -8.0, 5.0))
    return sitk.Resample(image, image, turn, sitk.sitkLinear, 0, sitk.sitkInt16)


def noisy(image: sitk.Image) -> sitk.Image:
    """With noise, as of a bad coil."""
    rng = np.random.default_rng(0)

    def change(values: np.ndarray) -> np.ndarray:
        sigma = 0.12 * float(np.percentile(values, 99))
        parts = (rng.normal(0, sigma, values.shape) for _ in range(2))
        return np.hypot(values + next(parts), next(parts))

    return _changed(image, change)


def coarse(image: sitk.Image) -> sitk.Image:
    """At 2 mm."""
    size = [int(n * s / 2) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    grid = (sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), [2.0] * 3, image.GetDirection())
    return sitk.Resample(image, size, *grid, 0, sitk.sitkInt16)


def inverted(image: sitk.Image) -> sitk.Image:
    """White matter dark and fluid bright, as in a T2."""
    return _changed(image, lambda values: np.where(values > 15, 255 - values.clip(0, 255), 0))


def truncated(source: Path, target: Path) -> None:
    """The first half of a file's bytes, as of a copy that was broken off."""
    target.write_bytes(source.read_bytes()[: source.stat().st_size // 2])


def make_demo(folder: Path) -> list[Path]:
    """Six scans made from the sample."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = sitk.ReadImage(str(SAMPLE))
    link(SAMPLE, folder / "as_it_is.nii.gz")
    for change in (moved, noisy, coarse, inverted):
        sitk.WriteImage(change(sample), str(folder / f"{change.__name__}.nii.gz"), True, 1)
    truncated(SAMPLE, folder / "broken.nii.gz")
    return sorted(folder.iterdir())


def link(source: Path, target: Path) -> None:
    """A link where the system can, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.exists():
        return
    try:
        os.symlink(source.resolve(), target)
    except OSError:
        target.write_bytes(source.read_bytes())


def make_cohort(folder: Path, count: int, heads: list[Path]) -> list[Path]:
    """Scans of `count` visits: of every ten one is damaged, one of another contrast; one subject came twice.

    Args:
        folder: Made where it is not there.
        count: Scans.
        heads: Taken one after the other, and again from the first.
    """
    paths = []
    for number in range(count):
        head, subject = heads[number % len(heads)], max(number, 1)
        session = "ses-2" if number == 1 else "ses-1"
        target = folder / f"s{subject:03d}" / session / "T1.nii.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        paths.append(target)
        if target.is_symlink() or target.exists():
            continue
        if number % 10 == 4:
            _damage(head, target, number // 10)
        elif number % 10 == 7:
            image = sitk.ReadImage(str(head))
            high = float(np.percentile(sitk.GetArrayViewFromImage(image), 99.5)) or 1.0
            scaled = _changed(image, lambda values, high=high: values / high * 200)  # type: ignore[misc]
            sitk.WriteImage(inverted(scaled), str(target), True, 1)
        else:
            link(head, target)
    return paths


def _damage(head: Path, target: Path, kind: int) -> None:
    """Cut off, empty, of another kind, or with zeros for an image."""
    if kind % 4 == 0:
        truncated(head, target)
    elif kind % 4 == 1:
        target.write_bytes(b"")
    elif kind % 4 == 2:
        target.write_bytes(gzip.compress(b"no image at all", mtime=0))
    else:
        sitk.WriteImage(sitk.ReadImage(str(head)) * 0, str(target), True, 1)


def real_heads(data: Path) -> list[Path]:
    """The unlabelled heads of the data folder."""
    places = ("heads_unlabelled/ds000011", "heads_unlabelled/ds002748_stripped", "sample_heads")
    return [path for place in places for path in sorted((data / place).glob("*.nii.gz"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, help="so many, from the heads of HIPPOSEG_DATA")
    args = parser.parse_args()
    if args.count is None:
        print(f"{len(make_demo(args.folder))} scans in {args.folder}")
        return
    heads = real_heads(Path(os.environ.get("HIPPOSEG_DATA", "")))
    if not heads:
        sys.exit("HIPPOSEG_DATA does not name the folder with real scans.")
    print(f"{len(make_cohort(args.folder, args.count, heads))} scans in {args.folder}")


if __name__ == "__main__":
    main()
