"""nibabel, where it is installed: it knows the headers of FreeSurfer's and Analyze's files."""

from __future__ import annotations

import importlib
from types import ModuleType

from ..errors import DependencyError


def nibabel_for(name: str, what: str) -> ModuleType:
    """Import nibabel.

    Args:
        name: Of the file, as it is shown.
        what: What the file is, in words.

    Raises:
        DependencyError: It is not installed, or does not load.
    """
    try:
        return importlib.import_module("nibabel")
    except (ImportError, OSError):
        raise DependencyError(
            f"'{name}' is {what}, which is read only where the package nibabel is installed.",
            "Install it (pip install nibabel), or convert the scan with FreeSurfer's mri_convert to .nii.gz.",
            "needs_nibabel",
        ) from None
