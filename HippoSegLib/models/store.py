"""Models on disk: a folder with `card.json`, `segmenter.pt` and, for whole heads, `localizer.pt` and
`refiner.pt` (the closer look).

The card is readable, and inference follows it: preprocessing and channels, region size and
spacing, network widths. Weights are half-precision state dictionaries, read without executing code
(`torch.load(weights_only=True)`) and only if their SHA-256 is the card's. Models that come together may
share a file: the card of one then says from which folder beside its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import ModelError, OutputError
from ..io.staging import staging_folder

FORMAT_VERSION = 1
BUNDLED = Path(__file__).resolve().parents[2] / "Resources" / "Models"
DEFAULT = "hipposeg"
CARD = "card.json"
SEGMENTER, LOCALIZER, REFINER = "segmenter.pt", "localizer.pt", "refiner.pt"
_RESTORE = "Reinstall HippoSeg, or choose another model."


@dataclass(frozen=True)
class Model:
    """A loaded model: its card and networks (`localizer` is None in a model for crops only; `refiner`, the
    closer look, also in older ones)."""

    name: str
    folder: Path
    card: dict
    segmenter: object
    localizer: object | None
    refiner: object | None = None

    def file(self, name: str) -> Path | None:
        """Where one of its weight files lies; None where the model has none of that name."""
        return _weight_file(self.folder, self.card, name) if name in self.card["files"] else None

    @property
    def sha256(self) -> str:
        """SHA-256 over the weights' own sums: one value that names this model's weights."""
        sums = "".join(self.card["files"][name]["sha256"] for name in sorted(self.card["files"]))
        return hashlib.sha256(sums.encode()).hexdigest()


def bundled_models() -> list[str]:
    """Names of the models that came with HippoSeg, as far as they are there as a whole."""
    return [folder.name for folder in whole_models(BUNDLED)]


def whole_models(parent: Path) -> list[Path]:
    """The model folders in a folder, by name; temporary ones and those with parts missing are left out.

    A part is missing where its size is not the card's, as after a copy that was broken off: only loading
    the model reads it all.
    """
    return sorted(card.parent for card in parent.glob(f"*/{CARD}") if _is_whole(card.parent))


def _is_whole(folder: Path) -> bool:
    if folder.name.startswith("."):
        return False
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        for name, file in card["files"].items():
            size = _weight_file(folder, card, name).stat().st_size
            if size != file.get("bytes", size):
                return False
        return True
    except (ModelError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


def model_folder(model: str | Path | None) -> Path:
    """Folder of a model given by bundled name or path; None means the default one.

    Raises:
        ModelError: There is no such model.
    """
    named = BUNDLED / str(model or DEFAULT)
    folder = Path(model).expanduser() if model is not None and Path(model).is_dir() else named
    if not (folder / CARD).is_file():
        raise ModelError(
            f"There is no model '{model or DEFAULT}'.",
            f"Give a model folder (with {CARD}) or one of: {', '.join(bundled_models()) or 'none bundled'}.",
        )
    return folder


def read_card(folder: Path) -> dict:
    """Read and check a model's card.

    Raises:
        ModelError: The card is damaged or of another format version.
    """
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        version, files = card["format_version"], card["files"]
        files[SEGMENTER]["sha256"], card["segmenter"]["preprocessing"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The card of model '{folder.name}' is damaged.", _RESTORE) from error
    if version != FORMAT_VERSION:
        raise ModelError(
            f"Model '{folder.name}' has format version {version}, this HippoSeg reads {FORMAT_VERSION}.",
            "Update HippoSeg, or choose another model.",
        )
    return card


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _weight_file(folder: Path, card: dict, name: str) -> Path:
    """A weight file's place: the model's own folder, or the one beside it that shares the file."""
    owner = card["files"][name].get("from", folder.name)
    # A card names a folder beside its own, never a path.
    if not isinstance(owner, str) or owner in ("", "..") or Path(owner).name != owner:
        raise ModelError(f"The card of model '{folder.name}' is damaged.", _RESTORE)
    return folder.parent / owner / name


def _load_network(
    folder: Path, card: dict, file_name: str, in_channels: int, out_channels: int, widths, device: str
):
    from .devices import import_torch

    torch = import_torch()
    from .unet3d import UNet3D

    path = _weight_file(folder, card, file_name)
    if not path.is_file():
        beside = f", those of model '{path.parent.name}' beside it" if path.parent != folder else ""
        raise ModelError(f"Model '{folder.name}' lacks its weights '{file_name}'{beside}.", _RESTORE)
    if file_sha256(path) != card["files"][file_name]["sha256"]:
        raise ModelError(
            f"The weights '{file_name}' of model '{folder.name}' are not those its card names (SHA-256): "
            "they were altered or damaged.",
            _RESTORE,
        )
    try:
        network = UNet3D(in_channels, out_channels, tuple(widths), dropout=0.0)
        state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict({k: v.float() for k, v in state.items()})
    except Exception as error:  # torch raises many kinds for a file that is not what it should be
        raise ModelError(
            f"The weights '{file_name}' of model '{folder.name}' cannot be read.", _RESTORE
        ) from error
    return network.eval().requires_grad_(False).to(device)


@lru_cache(maxsize=4)
def _load(folder: Path, device: str, _stamp: tuple) -> Model:
    card = read_card(folder)
    part = card["segmenter"]
    channels = len(part["preprocessing"]["channels"])
    segmenter = _load_network(folder, card, SEGMENTER, channels, len(part["classes"]), part["widths"], device)
    localizer = refiner = None
    if LOCALIZER in card["files"]:
        widths = card["localizer"]["widths"]
        localizer = _load_network(folder, card, LOCALIZER, 1, 7, widths, device)
    if REFINER in card["files"]:
        refiner = _load_network(folder, card, REFINER, 1, 1, card["refiner"]["widths"], device)
    return Model(card.get("name", folder.name), folder, card, segmenter, localizer, refiner)


def load_model(model: str | Path | None = None, device: str = "cpu") -> Model:
    """Load a model onto a device; a second call for the same files returns the same object.

    Args:
        model: Bundled name, folder, or None for the default model.
        device: PyTorch device name, as `devices.resolve` returns it.

    Raises:
        ModelError: Missing, damaged, altered, or of another format version.
    """
    folder = model_folder(model).resolve()
    card = read_card(folder)
    files = (folder / CARD, *(_weight_file(folder, card, name) for name in card["files"]))
    stamp = tuple((p.stat().st_mtime_ns, p.stat().st_size) for p in files if p.exists())
    return _load(folder, device, stamp)


def _is_alike(path: Path, sha256: str) -> bool:
    return path.is_file() and file_sha256(path) == sha256


def save_model(
    folder: Path,
    card: dict,
    segmenter: Path,
    localizer: Path | None = None,
    refiner: Path | None = None,
    share: str | None = None,
) -> Path:
    """Write a model folder from weight files and a card; the sums are computed here.

    Args:
        folder: The new model's folder; must not exist.
        card: The card without `format_version` and `files`.
        segmenter, localizer, refiner: Weight files to copy in.
        share: Name of a model folder beside the new one: files that it holds alike are not copied, and
            the two models must stay together.

    Raises:
        OutputError: The folder exists or cannot be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise OutputError(
            f"Model folder '{folder.name}' exists.", "Give another name: a model is never overwritten."
        )
    sources = {SEGMENTER: segmenter, LOCALIZER: localizer, REFINER: refiner}
    sources = {name: source for name, source in sources.items() if source is not None}
    try:
        with staging_folder(folder.parent, "model") as staging:
            temporary = staging / folder.name
            temporary.mkdir()
            files = {}
            for name, source in sources.items():
                files[name] = {"sha256": file_sha256(source), "bytes": source.stat().st_size}
                if share is not None and _is_alike(folder.parent / share / name, files[name]["sha256"]):
                    files[name]["from"] = share
                else:
                    shutil.copyfile(source, temporary / name)
            card = {"format_version": FORMAT_VERSION, **card, "files": files}
            (temporary / CARD).write_text(
                json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )
            os.replace(temporary, folder)
    except OSError as error:
        raise OutputError(
            f"The model folder '{folder.name}' cannot be written.",
            "Check the folder's permissions and free space.",
        ) from error
    return folder
