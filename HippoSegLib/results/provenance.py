"""How a result came about: model, versions, settings, seconds, input geometry. No patient data."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import SimpleITK as sitk

from .. import __version__
from ..flags import Flag
from ..io.images import geometry_dict
from ..localization.placement import Placement
from ..models.store import Model
from .assessment import Assessment

PACKAGES = ("torch", "numpy", "scipy", "SimpleITK", "scikit-image", "PyWavelets", "Pillow")


def versions() -> dict[str, str]:
    """Versions of HippoSeg, Python and the packages that shape a result.

    Taken from the installed metadata: PyWavelets 1.9.0 calls itself 1.8.0.
    """
    found = {"HippoSeg": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = _version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@lru_cache
def _version(package: str) -> str:
    # Its line is looked for: to parse the whole, with the project's description, takes tens of milliseconds.
    text = importlib.metadata.distribution(package).read_text("METADATA") or ""
    found = re.search(r"^Version: *(\S+)", text, re.MULTILINE)
    return found[1] if found else importlib.metadata.version(package)


@dataclass(frozen=True)
class Provenance:
    """How one segmentation came about.

    Attributes:
        model: The model used.
        settings: Device, threads, preprocessing and what else was chosen.
        image: The input; only its geometry is recorded.
        seconds: Stage in words -> seconds.
        placement: What the localiser found, or None for the crop of one hippocampus.
        assessment: Quality scores and distances.
        flags: All flags of the result.
    """

    model: Model
    settings: Mapping
    image: sitk.Image
    seconds: Mapping[str, float]
    placement: Placement | None
    assessment: Assessment
    flags: Sequence[Flag]

    def to_dict(self) -> dict:
        """Plain JSON values."""
        entry = {
            "model": {
                "name": self.model.name,
                "sha256": self.model.sha256,
                "files": self.model.file_sums,
            },
            "versions": versions(),
            "settings": dict(self.settings),
            "seconds": dict(self.seconds),
            "input_geometry": geometry_dict(self.image),
        }
        if self.placement is not None:
            entry["localization"] = self._localization(self.placement)
        if self.assessment.scores:
            entry["quality"] = dict(self.assessment.scores)
        if self.assessment.agreement:
            entry["agreement"] = dict(self.assessment.agreement)
        entry["flags"] = [flag.message for flag in self.flags]
        return entry

    def _localization(self, placement: Placement) -> dict:
        found = placement.localization
        entry = {
            "misfit_mm": None if math.isnan(found.residual_mm) else round(found.residual_mm, 2),
            "centres_lps_mm": {side: [round(float(v), 2) for v in c] for side, c in found.centres.items()},
            "axes_right_anterior_superior_lps": found.pose.axes.round(5).tolist(),
        }
        if self.assessment.distances:
            entry["outline_distance_mm"] = dict(self.assessment.distances)
        return entry
