"""Good inputs of every kind that is read, as bytes in memory: what the malformed ones are made of."""

from __future__ import annotations

import gzip
import io
import sys
import tempfile
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from pydicom.uid import generate_uid

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "Testing" / "core" / "io"))

from dicom_cases import BASES  # noqa: E402
from dicomwriter import dataset  # noqa: E402
from handmade import meta_fields, nrrd_fields, write_meta, write_nrrd  # noqa: E402

SAMPLE = ROOT / "Resources" / "SampleData" / "hipposeg_sample_T1.nii.gz"


@dataclass(frozen=True)
class Good:
    """One good input.

    Attributes:
        kind: Its name.
        files: Name -> content.
        entry: What is given to the reader: a file, or "" for the folder.
        header: The file whose header is changed, and how it is built: "text" or "binary".
        packed: The whole header file is gzip.
        region: It is read as the crop of one hippocampus.
    """

    kind: str
    files: dict[str, bytes]
    entry: str
    header: tuple[str, str]
    packed: bool = False
    region: bool = False


def real_head() -> sitk.Image:
    """The sample that ships, 2.5 mm, int16: small, and the whole pipeline runs on it."""
    sample = sitk.ReadImage(str(SAMPLE))
    size = [round(n * s / 2.5) for n, s in zip(sample.GetSize(), sample.GetSpacing(), strict=True)]
    image = sitk.Resample(
        sitk.SmoothingRecursiveGaussian(sitk.Cast(sample, sitk.sitkFloat32), 1.0),
        size,
        sitk.Transform(),
        sitk.sitkLinear,
        sample.GetOrigin(),
        (2.5, 2.5, 2.5),
        sample.GetDirection(),
    )
    return sitk.Cast(image, sitk.sitkInt16)


def small_head() -> sitk.Image:
    """A bright noisy ellipsoid, int16, 20 × 22 × 24 voxels of 8 % of a head's width: only reading is fast."""
    rng = np.random.default_rng(0)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (24, 22, 20)), indexing="ij")
    inside = x**2 + y**2 + z**2 < 0.7
    image = sitk.GetImageFromArray(np.where(inside, rng.normal(600, 80, x.shape), 20).astype(np.int16))
    image.SetSpacing((5.5, 5.6, 5.7))
    image.SetOrigin((-50.0, -60.0, -55.0))
    return image


@cache
def good_inputs(base: str) -> tuple[Good, ...]:
    """All of them, made of the head `base`: "real" or "small"."""
    image = real_head() if base == "real" else small_head()
    return (*_text_headers(image), *_binary_headers(image), *_dicom(image))


def packed(content: bytes) -> bytes:
    """gzip without the time of day: the same bytes whenever it is made."""
    return gzip.compress(content, 1, mtime=0)


def _written(write) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder) / "file").read_bytes()


def _text_headers(image: sitk.Image) -> list[Good]:
    array = sitk.GetArrayFromImage(image)
    data, gzipped = array.tobytes(), packed(array.tobytes())
    nrrd, meta = nrrd_fields(array, image), meta_fields(array, image)
    words = " ".join(map(str, array.ravel())).encode()
    zipped = zlib.compress(data, 1)
    zip_fields = {"CompressedData": "True", "CompressedDataSize": str(len(zipped))}

    def nrrd_file(more, content):
        return _written(lambda path: write_nrrd(path, nrrd | more, content))

    def meta_file(more, content, target="LOCAL"):
        return _written(lambda path: write_meta(path, meta | more, content, target))

    header = ("scan.nrrd", "text"), ("scan.mha", "text")
    return [
        Good("nrrd", {"scan.nrrd": nrrd_file({}, data)}, "scan.nrrd", header[0]),
        Good("nrrd-gzip", {"scan.nrrd": nrrd_file({"encoding": "gzip"}, gzipped)}, "scan.nrrd", header[0]),
        Good("nrrd-text", {"scan.nrrd": nrrd_file({"encoding": "ascii"}, words)}, "scan.nrrd", header[0]),
        Good(
            "nhdr",
            {"scan.nhdr": nrrd_file({"data file": "scan.raw"}, b""), "scan.raw": data},
            "scan.nhdr",
            ("scan.nhdr", "text"),
        ),
        Good("mha", {"scan.mha": meta_file({}, data)}, "scan.mha", header[1]),
        Good("mha-zlib", {"scan.mha": meta_file(zip_fields, zipped)}, "scan.mha", header[1]),
        Good(
            "mhd",
            {"scan.mhd": meta_file({}, b"", "scan.raw"), "scan.raw": data},
            "scan.mhd",
            ("scan.mhd", "text"),
        ),
    ]


def _binary_headers(image: sitk.Image) -> list[Good]:
    array = sitk.GetArrayFromImage(image).T
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine

    def nifti(kind) -> nib.Nifti1Image:
        made = kind(array, affine)
        made.header.set_qform(affine, 1)
        made.header.set_sform(affine, 1)
        return made

    one, two = nifti(nib.Nifti1Image).to_bytes(), nifti(nib.Nifti2Image).to_bytes()
    swapped = nifti(nib.Nifti1Image)
    big = nib.Nifti1Image(array.astype(">i2"), affine, swapped.header.as_byteswapped(">")).to_bytes()
    mgh = nib.MGHImage(array, affine).to_bytes()
    pair = _pair(nifti(nib.Nifti1Pair))
    analyze = _pair(nib.AnalyzeImage(array, None))
    return [
        Good("nii", {"scan.nii": one}, "scan.nii", ("scan.nii", "binary")),
        Good("nii-big", {"scan.nii": big}, "scan.nii", ("scan.nii", "binary")),
        Good("nii.gz", {"scan.nii.gz": packed(one)}, "scan.nii.gz", ("scan.nii.gz", "binary"), True),
        Good("nii2.gz", {"scan.nii.gz": packed(two)}, "scan.nii.gz", ("scan.nii.gz", "binary"), True),
        Good("mgh", {"scan.mgh": mgh}, "scan.mgh", ("scan.mgh", "binary")),
        Good("mgz", {"scan.mgz": packed(mgh)}, "scan.mgz", ("scan.mgz", "binary"), True),
        Good("pair", pair, "scan.hdr", ("scan.hdr", "binary")),
        Good("analyze", analyze, "scan.hdr", ("scan.hdr", "binary"), region=True),
    ]


def _pair(image) -> dict[str, bytes]:
    files = {key: nib.FileHolder(fileobj=io.BytesIO()) for key in ("header", "image")}
    image.to_file_map(files)
    return {"scan.hdr": files["header"].fileobj.getvalue(), "scan.img": files["image"].fileobj.getvalue()}


def _dicom(image: sitk.Image) -> list[Good]:
    """The head as a series, and the small series of every kind that `dicom_cases` makes."""
    files = {}
    for index, pixels in enumerate(sitk.GetArrayFromImage(image)):
        data = dataset(pixels.astype("<u2"), image.TransformIndexToPhysicalPoint((0, 0, index)))
        data.InstanceNumber = index + 1
        uid = generate_uid(entropy_srcs=[f"slice {index}"])  # the same in every process
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = uid
        data.PixelSpacing = [f"{v:g}" for v in image.GetSpacing()[:2]][::-1]
        data.ImageOrientationPatient = [
            f"{v:g}" for v in np.reshape(image.GetDirection(), (3, 3))[:, :2].T.ravel()
        ]
        buffer = io.BytesIO()
        data.save_as(buffer, enforce_file_format=True)
        files[f"{index:03d}.dcm"] = buffer.getvalue()
    head = Good("dicom", files, "", ("", "dicom"))
    return [head, *(Good(f"dicom-{name}", make(), "", ("", "dicom")) for name, make in BASES.items())]
