"""Learning: the segmenter from labelled crops, the localiser from synthesised heads.

:func:`train_3d_unet` is the interface of the method. Importing this package imports no torch.
"""

from __future__ import annotations

__all__ = ["train_3d_unet"]


def __getattr__(name: str):
    if name == "train_3d_unet":
        from .trainer import train_3d_unet

        return train_3d_unet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
