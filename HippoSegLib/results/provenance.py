"""How a result came about: model, versions, settings, seconds, input geometry. No patient data."""

from __future__ import annotations

import importlib.metadata
import math
import platform

from .. import __version__
from ..io.images import geometry_dict

PACKAGES = ("torch", "numpy", "scipy", "SimpleITK", "scikit-image", "PyWavelets", "Pillow")


def versions() -> dict[str, str]:
    """Versions of HippoSeg, Python and the packages that shape a result.

    Taken from the installed metadata: PyWavelets 1.9.0 calls itself 1.8.0.
    """
    found = {"HippoSeg": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def record(model, settings: dict, image, seconds: dict[str, float], found) -> dict:
    """The provenance of one segmentation, as plain JSON values.

    Args:
        model: The `checkpoint.Model` used.
        settings: Device, threads, preprocessing and what else was chosen.
        image: The input; only its geometry is recorded.
        seconds: Stage in words -> seconds.
        found: The `localization.Localization`, or None in region mode.
    """
    entry = {
        "model": {
            "name": model.name,
            "sha256": model.sha256,
            "files": {name: file["sha256"] for name, file in model.card["files"].items()},
        },
        "versions": versions(),
        "settings": settings,
        "seconds": dict(seconds),
        "input_geometry": geometry_dict(image),
    }
    if found is not None:
        entry["localization"] = {
            "misfit_mm": None if math.isnan(found.misfit_mm) else round(found.misfit_mm, 2),
            "centres_lps_mm": {side: [round(float(v), 2) for v in c] for side, c in found.centres.items()},
            "axes_right_anterior_superior_lps": found.frame.axes.round(5).tolist(),
        }
    return entry
