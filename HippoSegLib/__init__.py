"""HippoSeg: left and right hippocampus from a T1 MRI of the head.

The public entry is :func:`segment`. Importing this package imports neither torch, scikit-image
nor PyWavelets: they are imported where they are used.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["SegmentationResult", "__version__", "segment"]


def __getattr__(name: str):
    # Lazy, so that `import HippoSegLib` stays cheap inside Slicer.
    if name in ("segment", "SegmentationResult"):
        from . import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
