"""Files of weights: name -> array. Reading one executes no code, and only the file the card names is read.

`.npz` (numpy's own, without pickled objects) needs nothing but numpy; `.pt`, a PyTorch state dictionary
as models had it before, needs PyTorch.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DependencyError, ModelError
from ..io.atomic import replacing
from .devices import import_torch

RESTORE = "Reinstall HippoSeg, or choose another model."
#: Suffix of a weight file -> its format, as a card names it.
FORMATS = {".pt": "torch", ".npz": "numpy"}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_weights(path: Path, state: Mapping[str, np.ndarray]) -> None:
    """Write half-precision weights to a new `.npz` file: the same values give the same bytes.

    Args:
        path: The file; must not exist.
        state: Name -> array, as `UNet3D.state_dict()` names them; tensors on the CPU will do.

    Raises:
        OutputError: The file exists or cannot be written.
    """
    halves: dict[str, Any] = {name: np.asarray(value).astype(np.float16) for name, value in state.items()}
    with replacing(path) as temporary, open(temporary, "xb") as file:
        np.savez(file, **halves)


def read_weights(path: Path, sha256: str | None = None, model: str = "") -> dict[str, np.ndarray]:
    """Read a model's weights: name -> array, float16 or float32 as they were written.

    Args:
        path: A `.npz` or `.pt` file in the model's folder.
        sha256: What the card says of it, hexadecimal; None where nothing is known.
        model: Name of the model, where the file may lie in the folder of another one that shares it.

    Raises:
        ModelError: The file is missing, is not the one with this sum, cannot be read, or holds something
            else than finite numbers.
        DependencyError: It is a `.pt` file and PyTorch is missing.
    """
    owner = path.parent.name
    named = f"weights '{path.name}' of model '{model or owner}'"
    if model and model != owner:
        named += f" (shared with model '{owner}' beside it)"
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"The {named} are missing.", RESTORE) from error
    except OSError as error:
        raise ModelError(f"The {named} cannot be read.", RESTORE) from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise ModelError(
            f"The {named} are not those its card names (SHA-256): they were altered or damaged.", RESTORE
        )
    state = _parse_torch(content, named) if path.suffix == ".pt" else _parse_npz(content, named)
    if not all(value.dtype.kind == "f" and _is_finite(value) for value in state.values()):
        raise ModelError(f"The {named} hold something else than finite numbers.", RESTORE)
    return state


def _is_finite(value: np.ndarray) -> bool:
    with np.errstate(over="ignore"):  # a double may be too large for the network's single precision
        return bool(np.isfinite(value.astype(np.float32)).all())


def _parse_npz(content: bytes, named: str) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ModelError(f"The {named} cannot be read.", RESTORE) from error


def _parse_torch(content: bytes, named: str) -> dict[str, np.ndarray]:
    try:
        torch = import_torch()
    except DependencyError as error:
        raise DependencyError(
            f"The {named} are in PyTorch's own format, and PyTorch is not installed or does not load.",
            "Install PyTorch, or choose another model.",
            error.code,
        ) from error
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return {name: value.numpy() for name, value in state.items()}
    except Exception as error:  # torch raises many kinds for a file that is not what it should be
        raise ModelError(f"The {named} cannot be read.", RESTORE) from error
