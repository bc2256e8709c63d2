"""HippoSeg: left and right hippocampus from a T1 MRI of the head.

Public are :func:`segment`, :func:`read_scan`, :func:`fine_tune` and :func:`train_3d_unet`. Importing this
package imports neither torch, scikit-image nor PyWavelets: they are imported where they are used.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"
#: Public name -> the module that has it.
_PUBLIC = {
    "SegmentOptions": "options",
    "SegmentationResult": "pipeline",
    "fine_tune": "finetuning",
    "read_image": "io.images",
    "read_scan": "io.images",
    "segment": "pipeline",
    "train_3d_unet": "training",
}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str):
    # Lazy, so that `import HippoSegLib` stays cheap inside Slicer.
    if name in _PUBLIC:
        return getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
