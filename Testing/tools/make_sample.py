"""Make the sample scan that ships: a real head, face removed, compact.

    HIPPOSEG_DATA=... python Testing/tools/make_sample.py [--render FILE.png]

From ``sample_heads/myconnectome_T1.nii.gz`` (OpenfMRI ds000031, public domain) and its
intracranial mask in ``heads_unlabelled/weak_labels``. Kept is what lies within 15 mm of the
intracranial mask, and within 4 mm in front of and below it, where the face is; the rest is 0.
Resampled to 1 mm, stored as 8-bit integers. ``--render`` draws the surface from five directions,
to be looked at: no nose, no eyes, no mouth.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from HippoSegLib.io.images import canonical_axes, read_scan, write_image  # noqa: E402

TARGET = ROOT / "Resources" / "SampleData" / "hipposeg_sample_T1.nii.gz"
SHELL_MM, FACE_SHELL_MM = 15.0, 4.0
SPACING_MM = 1.0
#: The 99.9th percentile inside the skull becomes this grey value; brighter fat is clipped at 255.
WHITE = 170


def make(data: Path) -> sitk.Image:
    """The sample as a uint8 image, 1 mm, in the axes of the original (left, anterior, superior)."""
    scan = read_scan(data / "sample_heads" / "myconnectome_T1.nii.gz").image
    mask = sitk.ReadImage(str(data / "heads_unlabelled" / "weak_labels" / "myconnectome_T1_brain.nii.gz")) > 0
    mask.CopyInformation(scan)
    head = _resample(sitk.Cast(scan, sitk.sitkFloat32), sitk.sitkLinear)
    inside = sitk.BinaryThreshold(_resample(sitk.Cast(mask, sitk.sitkFloat32), sitk.sitkLinear), 0.5, 2.0)
    keep = kept_region(inside)
    array = sitk.GetArrayFromImage(head)
    scale = WHITE / np.percentile(array[sitk.GetArrayViewFromImage(inside) > 0], 99.9)
    array = np.clip(np.rint(array * scale), 0, 255) * keep
    box = tuple(
        slice(max(0, s.start - 2), s.stop + 2) for s in ndimage.find_objects(keep.astype(np.uint8))[0]
    )
    sample = sitk.GetImageFromArray(array.astype(np.uint8))
    sample.CopyInformation(head)
    return sample[box[2], box[1], box[0]]


def _resample(image: sitk.Image, interpolator: int) -> sitk.Image:
    size = [int(n * s / SPACING_MM) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    return sitk.Resample(
        image,
        size,
        sitk.Transform(),
        interpolator,
        image.GetOrigin(),
        [SPACING_MM] * 3,
        image.GetDirection(),
        0.0,
    )


def kept_region(inside: sitk.Image) -> np.ndarray:
    """Bool array (z, y, x) on the grid of ``inside`` (the intracranial mask, uint8)."""
    turned, restore = canonical_axes(inside)
    mask = sitk.GetArrayViewFromImage(turned) > 0
    distance, nearest = ndimage.distance_transform_edt(~mask, return_indices=True)
    z, y, _ = np.indices(mask.shape, sparse=True)
    # Direction from the nearest point of the mask: the face lies in front and below.
    forward, up = y - nearest[1], z - nearest[0]
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    front_half = y > (box[1].start + box[1].stop) / 2
    face = front_half & (up < 0.5 * np.maximum(forward, 0)) & ((forward > 0) | (up < 0))
    keep = distance <= np.where(face, FACE_SHELL_MM, SHELL_MM)
    keep = ndimage.binary_opening(keep, iterations=2) | mask
    image = sitk.GetImageFromArray(keep.astype(np.uint8))
    image.CopyInformation(turned)
    return sitk.GetArrayFromImage(restore(image)) > 0


def render(image: sitk.Image, path: str) -> None:
    """Shaded first-hit views of the head's surface: front, half, side, from below, half from below."""
    from PIL import Image

    turned, _ = canonical_axes(image)
    volume = sitk.GetArrayFromImage(turned).astype(np.float32)
    volume = ndimage.gaussian_filter(volume, 0.7)
    level = 0.15 * np.percentile(volume[volume > 0], 90)
    pad = max(volume.shape)
    cube = np.zeros((pad, pad, pad), np.float32)
    start = [(pad - n) // 2 for n in volume.shape]
    cube[tuple(slice(a, a + n) for a, n in zip(start, volume.shape, strict=True))] = volume
    views = []
    for about_z, about_x in ((0, 0), (45, 0), (90, 0), (0, -40), (30, -30)):
        seen = ndimage.rotate(cube, about_z, axes=(1, 2), reshape=False, order=1)
        seen = ndimage.rotate(seen, about_x, axes=(0, 1), reshape=False, order=1)
        solid = seen[:, ::-1, :] > level  # the viewer stands in front: first hit from anterior
        depth = np.where(solid.any(axis=1), solid.argmax(axis=1), pad).astype(np.float32)
        depth = ndimage.gaussian_filter(depth, 0.8)
        dz, dx = np.gradient(depth)
        shade = (
            1 / np.sqrt(1 + dz**2 + dx**2) * (0.55 + 0.45 * np.clip(1 - (depth - depth.min()) / pad, 0, 1))
        )
        shade[~solid.any(axis=1)] = 0
        views.append(shade[::-1, ::-1])
    picture = Image.fromarray((255 * np.clip(np.hstack(views), 0, 1)).astype(np.uint8))
    picture.resize((picture.width * 2, picture.height * 2)).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    parser.add_argument("--render", help="PNG of the surface, for looking at")
    args = parser.parse_args()
    sample = make(Path(os.environ["HIPPOSEG_DATA"]))
    write_image(sample, args.output, overwrite=True)
    content = args.output.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    print(f"{args.output.name}: {len(content)} bytes, size {sample.GetSize()}, SHA-256 {digest}")
    if args.render:
        render(sample, args.render)


if __name__ == "__main__":
    main()
