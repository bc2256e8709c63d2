"""One file with one volume: the reader that its name asks for, and one sentence for all that can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import SimpleITK as sitk

from ..errors import InputError
from ..flags import Flag
from .freesurfer import read_mgh
from .kinds import not_read
from .metaimage import read_metaimage
from .names import register_suffix, shown, suffix_of
from .nifti import read_nifti
from .nrrd import read_nrrd
from .pairs import read_pair

Reader = Callable[[Path, bool], tuple[sitk.Image, list[Flag]]]
_READERS: dict[str, Reader] = {
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".nrrd": read_nrrd,
    ".nhdr": read_nrrd,
    ".mha": read_metaimage,
    ".mhd": read_metaimage,
    ".mgz": read_mgh,
    ".mgh": read_mgh,
    ".hdr": read_pair,
    ".hdr.gz": read_pair,
    ".img": read_pair,
    ".img.gz": read_pair,
}


def register_reader(suffix: str, reader: Reader) -> None:
    """Let files of a further suffix be read.

    Args:
        suffix: In lower case, with its dot.
        reader: Called with the path and whether the image is the crop of one hippocampus; returns a 3D image
            (LPS mm) and flags, and raises InputError where the file does not state what is needed.

    Raises:
        ValueError: There is a reader for it, or it is no suffix.
    """
    if suffix in _READERS or not suffix.startswith(".") or suffix != suffix.lower():
        raise ValueError(f"{suffix!r} is no suffix that a reader can be registered for")
    _READERS[suffix] = reader
    register_suffix(suffix)


def read_file(path: str | Path, region: bool = False) -> tuple[sitk.Image, list[Flag]]:
    """Read a file; what it holds is not judged as a scan.

    Args:
        path: NIfTI, NRRD, MetaImage, FreeSurfer file, or either file of a pair.
        region: The image is the crop of one hippocampus, whose side the user states: an orientation need not
            be stated.

    Returns:
        A 3D image (integers of at most 32 bits as stored, else float32), LPS mm, and flags.

    Raises:
        InputError: It cannot be read. DependencyError: A package is missing that its kind needs.
    """
    path = Path(path)
    with what_the_system_refuses(path):
        reader = _READERS.get(suffix_of(path))
        if reader is None:
            raise not_read(path)
        return reader(path, region)


@contextmanager
def what_the_system_refuses(path: Path) -> Iterator[None]:
    """Turn what the operating system says of a file or a folder into one sentence.

    Raises:
        InputError
    """
    name = shown(path)
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"'{name}' does not exist.", "Check the path.", "not_found_file") from None
    except PermissionError:
        raise InputError(f"'{name}' cannot be opened.", "Check its permissions.", "unreadable") from None
    except OSError as error:
        reason = error.strerror or "input/output error"
        raise InputError(
            f"'{name}' cannot be read ({reason}).", "Check the path and the drive.", "unreadable"
        ) from None
    except ValueError as error:
        if "null" not in str(error):  # a path with a null character
            raise
        raise InputError(f"'{name}' is not the name of a file.", "Check the path.", "unreadable") from None
    except MemoryError:
        raise InputError(
            f"'{name}' does not fit into memory.", "Close other programs, or crop it.", "out_of_memory"
        ) from None
