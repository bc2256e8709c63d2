"""How images travel between the panel and its worker: as ``.npy`` files in one folder that both know.

An image is an array (z, y, x), the fastest to write and read, beside a geometry of plain numbers:
``{"array": file name, "spacing": [x, y, z] mm, "origin": [x, y, z] mm LPS, "direction": 9 numbers,
row-major}``. File names never contain the name of a volume or patient, and never lead out of the folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import HippoSegError, InputError

#: What a file of the exchange folder may be called: no folder, drive or stream can be named.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,98}[A-Za-z0-9_]|[A-Za-z0-9_]")

#: Names of devices on Windows, also with a suffix.
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def exchange_path(folder: str, name: object) -> str:
    """Path of a file of the exchange folder.

    Raises:
        HippoSegError: The name is not a plain file name, or there is no folder.
    """
    if not (folder and isinstance(name, str) and _NAME.fullmatch(name)) or _DEVICE.fullmatch(name):
        raise HippoSegError(
            "A file that was to be exchanged with the worker has no valid name.",
            "Copy the report and send it to the developers.",
            "exchange_name",
        )
    return os.path.join(folder, name)


def write_array(array: np.ndarray, folder: str, name: str) -> str:
    """Write an array (z, y, x) as ``name`` in ``folder``; returns the name."""
    with open(exchange_path(folder, name), "wb") as file:
        np.save(file, array, allow_pickle=False)
    return name


def read_array(folder: str, name: str) -> np.ndarray:
    """Read an array written by :func:`write_array`."""
    with open(exchange_path(folder, name), "rb") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def take_array(folder: str, name: str) -> np.ndarray:
    """Read an array and remove its file."""
    array = read_array(folder, name)
    os.remove(exchange_path(folder, name))
    return array


def to_image(description: Mapping[str, Any], folder: str):
    """Return the SimpleITK image of a description (see the module's docstring).

    Raises:
        HippoSegError: The array's name leads out of the folder.
        InputError: The array or the geometry is not one of an image.
    """
    import SimpleITK as sitk

    try:
        array = read_array(folder, description["array"])
        if array.dtype == bool:
            array = array.astype(np.uint8)
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(description["spacing"])
        image.SetOrigin(description["origin"])
        image.SetDirection(description["direction"])
    except (RuntimeError, TypeError, ValueError, KeyError, NotImplementedError, EOFError) as error:
        raise InputError(
            "The volume's voxels or geometry are not valid.", "Check its spacing and axes in Volumes."
        ) from error
    return image


def from_image(image, folder: str, name: str) -> dict[str, Any]:
    """Write a SimpleITK image to ``folder`` and return its description."""
    import SimpleITK as sitk

    return {
        "array": write_array(sitk.GetArrayViewFromImage(image), folder, name),
        "spacing": image.GetSpacing(),
        "origin": image.GetOrigin(),
        "direction": image.GetDirection(),
    }
