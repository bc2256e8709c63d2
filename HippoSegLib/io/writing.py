"""Writing images: voxels and geometry alone, under a temporary name first."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import SimpleITK as sitk

from ..errors import OutputError
from .atomic import replacing
from .names import shown
from .staging import staging_folder

#: Bytes before the voxels in a NIfTI file as ITK writes it.
_NIFTI_HEADER = 352


def write_image(image: sitk.Image, path: str | Path, overwrite: bool = False) -> Path:
    """Write an image under a temporary name in the same folder, then rename it.

    Nothing but voxels and geometry is written: no text fields. NIfTI files carry the geometry as
    qform and as sform (code 1 both).

    Args:
        image: 3D image.
        path: Target; its suffix decides the format (NIfTI, NRRD, MetaImage ``.mha``).
        overwrite: Replace an existing file.

    Raises:
        OutputError: The file exists, or cannot be written.
    """
    path = Path(path)
    suffix = next((s for s in (".nii.gz", ".nii", ".nrrd", ".mha") if path.name.lower().endswith(s)), None)
    if suffix is None:
        raise OutputError(
            f"'{shown(path)}' has no suffix that is written here.", "Use .nii.gz, .nii, .nrrd or .mha."
        )
    if path.exists() and not overwrite:
        raise OutputError(
            f"'{shown(path)}' exists already.",
            "Choose another output folder, or allow overwriting.",
            "exists",
        )
    if image.GetMetaDataKeys():
        # A new image: the text fields of `sitk.Image(image)` would be shared with the caller's.
        clean = sitk.GetImageFromArray(sitk.GetArrayViewFromImage(image))
        clean.CopyInformation(image)
        image = clean
    with replacing(path, overwrite, suffix) as temporary, _name_for_itk(temporary, suffix) as name:
        writer = sitk.ImageFileWriter()
        writer.SetFileName(name)
        writer.SetUseCompression(True)
        writer.SetCompressionLevel(1)
        writer.Execute(image)
        if not _written_whole(Path(name), suffix, image):
            raise OSError  # ITK does not notice a full disk when it writes NIfTI, nor, before 5.4, MetaImage
    return path


def _written_whole(path: Path, suffix: str, image: sitk.Image) -> bool:
    """Whether the file is as long as it says."""
    if suffix in (".nii", ".nii.gz"):
        return _nifti_length(path) == (_NIFTI_HEADER + _bytes_of(image)) % 2**32
    if suffix == ".mha":
        with open(path, "rb") as file:
            head = file.read(4096)
        size = re.search(rb"CompressedDataSize = (\d+)", head)
        start = re.search(rb"ElementDataFile = LOCAL\r?\n", head)
        voxels = int(size[1]) if size else _bytes_of(image)
        return start is not None and path.stat().st_size == start.end() + voxels
    return True


@contextmanager
def _name_for_itk(path: Path, suffix: str) -> Iterator[str]:
    """A name that ITK can write to: ``path``, or one elsewhere where that is no UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with staging_folder(tempfile.gettempdir()) as folder:
            other = folder / f"image{suffix}"
            yield str(other)
            shutil.copyfile(other, path)
    else:
        yield str(path)


def _bytes_of(image: sitk.Image) -> int:
    return image.GetNumberOfPixels() * image.GetSizeOfPixelComponent() * image.GetNumberOfComponentsPerPixel()


def _nifti_length(path: Path) -> int:
    """Bytes of a file, unpacked; for gzip what its last four bytes state (modulo 2**32)."""
    if path.suffix != ".gz":
        return path.stat().st_size
    with open(path, "rb") as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(4), "little")
