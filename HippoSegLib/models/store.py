"""Models on disk: a folder with `card.json`, the segmenter's weights and, for whole heads, those of the
localiser's two networks; and loaded, from where an engine makes its networks.

Weights are read without executing code, and only if their SHA-256 is the card's. Models that come together
may share a file: the card of one then says from which folder beside its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ModelError
from .card import CARD, ROLES, ModelCard, Role, read_card
from .engines import Engine, Network, TorchNetwork, choose
from .network import build
from .numpy_engine import NumpyUNet
from .weights import RESTORE, read_weights

if TYPE_CHECKING:
    from .unet3d import UNet3D

DEFAULT = "hipposeg"


@dataclass(frozen=True)
class Networks:
    """A model's networks on an engine, with the card that says what they take.

    `localizer` is None in a model for crops alone, `refiner` also in models older than it.
    """

    card: ModelCard
    segmenter: Network
    localizer: Network | None = None
    refiner: Network | None = None


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model: its card, and by network the weights, name -> array; of a second reader the segmenter's
    alone."""

    name: str
    folder: Path
    card: ModelCard
    weights: Mapping[Role, Mapping[str, np.ndarray]]

    def networks(self, engine: Engine | None = None) -> Networks:
        """The networks on an engine, by default the fastest for a single scan.

        Raises:
            DependencyError: The engine is not there.
        """
        engine = engine or choose()
        built = {role: _built(self, role, engine.name, engine.device) for role in self.weights}
        return Networks(self.card, **{role: net.with_threads(engine.threads) for role, net in built.items()})

    def module(self, role: Role = "segmenter", device: str = "cpu") -> UNet3D:
        """A new PyTorch module of a network, in evaluation mode, for training code.

        Raises:
            DependencyError: PyTorch is missing or does not load.
        """
        shape = self.card.network(role)
        assert shape is not None  # asked of a model that has this network
        return build(shape, self.weights[role]).requires_grad_(False).to(device)

    def file(self, role: Role) -> Path | None:
        """Where the weights of one of its networks lie; None where it has none of that role."""
        return weight_file(self.folder, self.card, role)

    def second(self) -> Model | None:
        """The model that reads the same scans a second time; None where the card names none.

        Raises:
            ModelError: It is missing, damaged, altered, or of a later format version.
        """
        name = self.card.second_reader
        return None if name is None else load_model(str(self.folder.parent / name), ("segmenter",))

    @property
    def sha256(self) -> str:
        """SHA-256 over the weights' own sums: one value that names this model's weights."""
        return self.card.weights_sha256

    @property
    def file_sums(self) -> dict[str, str]:
        """Weight file -> its SHA-256."""
        return {name: file.sha256 for name, file in self.card.files.items()}


def bundled_folder() -> Path:
    """Folder of the models that came with HippoSeg.

    A wheel has it inside the package; the source tree and Slicer's package have it beside the package.
    """
    package = Path(__file__).resolve().parents[1]
    inside = package / "resources" / "Models"
    return inside if inside.is_dir() else package.parent / "Resources" / "Models"


def bundled_models() -> list[str]:
    """Names of the models that came with HippoSeg, as far as they are there as a whole."""
    return [folder.name for folder in whole_models(bundled_folder())]


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
        card = read_card(folder)
        for role in ROLES:
            path = weight_file(folder, card, role)
            if path is None:
                continue
            stated = card.files[path.name].bytes
            if path.stat().st_size != stated and stated is not None:
                return False
        return True
    except (ModelError, OSError):
        return False


def model_folder(model: str | Path | None) -> Path:
    """Folder of a model given by bundled name or path; None means the default one.

    Raises:
        ModelError: There is no such model.
    """
    named = bundled_folder() / str(model or DEFAULT)
    folder = Path(model).expanduser() if model and Path(model).is_dir() else named
    if not (folder / CARD).is_file():
        raise ModelError(
            f"There is no model '{model or DEFAULT}'.",
            f"Give a model folder (with {CARD}) or one of: {', '.join(bundled_models()) or 'none bundled'}.",
        )
    return folder


def weight_file(folder: Path, card: ModelCard, role: Role) -> Path | None:
    """Where a network's weights lie: in the model's own folder, or in the one beside it that shares them."""
    name = card.file_of(role)
    if name is None:
        return None
    owner = card.files[name].shared_from
    return folder / name if owner is None else folder.parent / owner / name


def _read_network(folder: Path, card: ModelCard, role: Role) -> dict[str, np.ndarray] | None:
    path, shape = weight_file(folder, card, role), card.network(role)
    if path is None or shape is None:
        return None
    weights = read_weights(path, card.files[path.name].sha256, folder.name)
    if {name: value.shape for name, value in weights.items()} != shape.arrays:
        raise ModelError(
            f"The weights '{path.name}' of model '{folder.name}' are not those of the network that its card "
            "describes.",
            RESTORE,
        )
    return weights


@lru_cache(maxsize=4)
def _load(folder: Path, roles: tuple[Role, ...], _stamp: tuple[tuple[int, int], ...]) -> Model:
    card = read_card(folder)
    read = {role: _read_network(folder, card, role) for role in roles}
    weights = {role: arrays for role, arrays in read.items() if arrays is not None}
    return Model(card.name or folder.name, folder, card, weights)


@lru_cache(maxsize=12)
def _built(model: Model, role: Role, engine: str, device: str) -> NumpyUNet | TorchNetwork:
    return TorchNetwork(model.module(role, device)) if engine == "torch" else NumpyUNet(model.weights[role])


def load_model(model: str | Path | None = None, roles: tuple[Role, ...] = ROLES) -> Model:
    """Load a model; a second call for the same files returns the same object.

    Args:
        model: Bundled name, folder, or None for the default model.
        roles: Which of its networks.

    Raises:
        ModelError: Missing, damaged, altered, or of a later format version.
        DependencyError: Its weights are a PyTorch file, and PyTorch is missing.
    """
    folder = model_folder(model).resolve()
    card = read_card(folder)
    files = [folder / CARD, *(path for role in roles if (path := weight_file(folder, card, role)))]
    stamp = tuple((p.stat().st_mtime_ns, p.stat().st_size) for p in files if p.exists())
    return _load(folder, roles, stamp)
