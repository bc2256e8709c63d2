"""What is said about a folder that holds no DICOM image, or other scans as well: what it is, what to give."""

from __future__ import annotations

import os
from collections import Counter

from ..errors import InputError
from .dicom_files import Contents

#: Kinds of files that a scan may be in or be packed in, by suffix.
_KINDS = {
    "NIfTI": (".nii", ".nii.gz"),
    "NRRD": (".nrrd", ".nhdr"),
    "MetaImage": (".mha", ".mhd"),
    "FreeSurfer": (".mgz", ".mgh"),
    "Analyze": (".hdr", ".img"),
    "archive": (".zip", ".tar", ".tgz", ".tar.gz", ".7z", ".rar"),
}
_GIVE_FILES = "Give the T1 scans themselves; several can be given at once."


def no_image(contents: Contents) -> InputError:
    """The error for a folder without a DICOM image. Names of files and folders are not repeated in it."""
    names = [os.path.basename(entry.path).lower() for entry in contents.others]
    subjects = sum(name.startswith("sub-") for name in contents.folders)
    if subjects and ("dataset_description.json" in names or any(n.startswith("sub-") for n in names)):
        return InputError(
            f"The folder is a BIDS data set ({subjects} subject{'s' if subjects > 1 else ''}), not a scan.",
            "Give its T1w files (sub-*/anat/*_T1w.nii.gz); several can be given at once.",
            "bids_folder",
        )
    if contents.damaged:
        count = len(contents.damaged)
        return InputError(
            f"The folder holds {count} damaged DICOM file{'s' if count > 1 else ''} and no other.",
            "Copy or export the series again.",
            "damaged",
        )
    where = "The folder and its subfolders hold" if contents.deep else "The folder holds"
    kinds = _kinds(contents)
    if kinds:
        packed = set(kinds) == {"archive"}
        listing = _listing(kinds)
        remedy = "Unpack it and give the folder with the slices." if packed else _GIVE_FILES
        return InputError(f"{where} {listing}, but no DICOM image.", remedy, "no_dicom_image")
    return InputError(
        f"{where} no DICOM image.", "Give the folder that holds the slices themselves.", "no_dicom_image"
    )


def check_no_other_scans(contents: Contents) -> None:
    """Refuse to take the DICOM series of a subfolder for the scan where scans of other kinds lie below, too.

    Raises:
        InputError: As said.
    """
    kinds = _kinds(contents)
    del kinds["archive"]
    if contents.deep and kinds:
        raise InputError(
            f"The folder and its subfolders hold DICOM images and {_listing(kinds)}.",
            "Give the folder with the slices of one series, or the T1 scans themselves; several can be given "
            "at once.",
            "mixed_folder",
        )


def _kinds(contents: Contents) -> Counter[str]:
    names = (os.path.basename(entry.path).lower() for entry in contents.others)
    return Counter(kind for name in names if (kind := _kind(name)))


def _listing(kinds: Counter[str]) -> str:
    return " and ".join(_many(count, kind) for kind, count in kinds.most_common())


def _kind(name: str) -> str:
    return next((kind for kind, suffixes in _KINDS.items() if name.endswith(suffixes)), "")


def _many(count: int, kind: str) -> str:
    if kind == "archive":
        return f"{count} packed archive{'s' if count > 1 else ''}"
    return f"{count} {kind} file{'s' if count > 1 else ''}"
