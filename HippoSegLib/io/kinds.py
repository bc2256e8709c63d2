"""What a file is that is not read here: told by its first bytes or its name, with a remedy that fits."""

from __future__ import annotations

import zlib
from pathlib import Path

from ..errors import InputError
from .names import shown
from .stream import open_regular

READ = "Give NIfTI (.nii, .nii.gz), NRRD, MetaImage (.mha, .mhd), .mgz or a folder with a DICOM series."
#: So many bytes tell the kind.
_HEAD = 560
_DICOM = "a DICOM file"
_PICTURE, _ARCHIVE = "a picture", "an archive"
#: Bytes at the start -> what it is.
_MAGIC = (
    (b"\x08\x00\x00\x00", _DICOM),  # DICOM without the preamble of the standard starts with group 8 or 2
    (b"\x08\x00\x05\x00", _DICOM),
    (b"\x08\x00\x08\x00", _DICOM),
    (b"\x02\x00\x00\x00", _DICOM),
    (b"NRRD0", "NRRD"),
    (b"ObjectType", "MetaImage"),
    (b"\x89PNG", _PICTURE),
    (b"\xff\xd8\xff", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"II*\0", _PICTURE),
    (b"MM\0*", _PICTURE),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", _ARCHIVE),
    (b"7z\xbc\xaf", _ARCHIVE),
    (b"Rar!", _ARCHIVE),
    (b"BZh", _ARCHIVE),
    (b"\xfd7zXZ", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", _ARCHIVE),
    (b"\x89HDF\r\n", "MINC or another HDF5 file"),
    (b"CDF\x01", "MINC"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself"),
)
_NIFTI = "NIfTI"
_REMEDIES = {
    _DICOM: "Give the folder that holds the series.",
    _PICTURE: "Give the scan itself, as NIfTI or DICOM.",
    _ARCHIVE: "Unpack it, and give the scan that is in it.",
    "MINC": "Convert it with mnc2nii.",
    "MINC or another HDF5 file": "Convert it to NIfTI (a MINC file with mnc2nii).",
    "a web page": "Download the scan again: what was saved is an answer of the server.",
    "a pointer of Git LFS, not the file itself": "Fetch the file itself (git lfs pull, or datalad get).",
    "NRRD": "Rename it so that it ends in .nrrd.",
    "MetaImage": "Rename it so that it ends in .mha (.mhd, if its voxels lie in another file).",
    _NIFTI: "Rename it so that it ends in .nii (.nii.gz, if it is compressed).",
}
#: Suffix -> what it is, and what converts it.
_BY_NAME = {
    ".brik": ("an AFNI data set", "Convert it with 3dAFNItoNIFTI."),
    ".brik.gz": ("an AFNI data set", "Convert it with 3dAFNItoNIFTI."),
    ".head": ("an AFNI data set", "Convert it with 3dAFNItoNIFTI."),
    ".par": ("a Philips PAR/REC pair", "Convert it with dcm2niix."),
    ".rec": ("a Philips PAR/REC pair", "Convert it with dcm2niix."),
    ".mnc": ("MINC", "Convert it with mnc2nii."),
    ".json": ("a text beside a scan", "Give the scan itself."),
    ".bval": ("a text beside a scan", "Give the scan itself."),
    ".bvec": ("a text beside a scan", "Give the scan itself."),
    ".csv": ("a table", "Give the scans themselves."),
    ".tsv": ("a table", "Give the scans themselves."),
}


def kind_in_words(head: bytes) -> str:
    """What a file is by its first bytes (132 at least for DICOM); empty where they do not tell."""
    if head[128:132] == b"DICM":
        return _DICOM
    if head[257:262] == b"ustar":
        return _ARCHIVE
    if head[344:347] in (b"n+1", b"ni1") or head[4:7] in (b"n+2", b"ni2"):
        return _NIFTI
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def not_read(path: Path) -> InputError:
    """The error for a file whose name is not that of a kind that is read.

    Raises:
        InputError: It is no regular file, or empty. OSError: It cannot be opened.
    """
    name, lower = shown(path), path.name.lower()
    with open_regular(path) as file:
        head = file.read(_HEAD)
    packed = head[:2] == b"\x1f\x8b"
    kind = kind_in_words(_unpacked(head) if packed else head)
    remedy = _REMEDIES.get(kind, READ)
    if kind == _DICOM and not packed:
        return InputError(f"'{name}' is one DICOM file.", remedy, "one_dicom_file")
    if kind == _NIFTI:
        return InputError(f"'{name}' holds NIfTI, but its name does not say so.", remedy, "not_read")
    if not kind:
        by_name = next((v for suffix, v in _BY_NAME.items() if lower.endswith(suffix)), None)
        kind, remedy = by_name or ("", READ)
    if packed:
        what = f"is a compressed file that holds {kind or 'no NIfTI image'}"
        return InputError(
            f"'{name}' {what}.", remedy if kind else "Unpack it, and give what is in it.", "not_read"
        )
    if kind:
        return InputError(f"'{name}' is {kind}, which is not read here.", remedy, "not_read")
    return InputError(f"'{name}' is not of a kind that is read here.", READ, "not_read")


def _unpacked(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(head, _HEAD)
    except zlib.error:
        return b""
