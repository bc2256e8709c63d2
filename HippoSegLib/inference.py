"""Regions in, labels out: the network's forward pass and its result on the head's own grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from .labels import PART, WHOLE
from .regions import Region, lay_back

#: A region whose hippocampus lies further than this from its middle is cut again about it, once.
RECENTRE_MM = 3.0


def predict(network, device: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Class probabilities (2, z, y, x) float32 (anterior, posterior) per side, its largest piece only."""
    import torch

    sides = list(inputs)
    same = len({inputs[s].shape for s in sides}) == 1
    results = {}
    with torch.inference_mode():
        for batch in [sides] if same else [[s] for s in sides]:
            x = torch.from_numpy(np.stack([inputs[s] for s in batch])).to(device)
            p = network(x).float().softmax(1)[:, 1:].cpu().numpy()
            results |= {side: _largest_piece(p[i]) for i, side in enumerate(batch)}
    return results


def _largest_piece(p: np.ndarray) -> np.ndarray:
    """Keep the probabilities of the largest connected hippocampus (and its soft rim)."""
    pieces, n = ndimage.label(p.sum(axis=0) > 0.5)
    if n < 2:
        return p
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    others = (pieces > 0) & (pieces != sizes.argmax())
    return np.where(ndimage.binary_dilation(others, iterations=2) & (pieces != sizes.argmax()), 0, p)


def recentred(regions: Mapping[str, Region], maps: Mapping[str, np.ndarray]) -> dict[str, Region]:
    """Regions to be cut anew, about their hippocampus, because it lies off their middle."""
    moved = {}
    for side, region in regions.items():
        mask = maps[side].sum(axis=0) > 0.5
        if not mask.any():
            continue
        offset = ndimage.center_of_mass(mask)[::-1] - (np.array(region.size) - 1) / 2
        if np.linalg.norm(offset * region.spacing) > RECENTRE_MM:
            origin = np.array(region.origin) + region.matrix @ offset
            moved[side] = replace(region, origin=tuple(origin.tolist()))
    return moved


def native_labels(
    head: sitk.Image,
    regions: Mapping[str, Region],
    maps: Mapping[str, np.ndarray],
    parts: bool,
    keep_maps: bool,
):
    """Labels (and probabilities of the whole) on the head's grid; the more probable side wins a voxel."""
    labels = np.zeros(head.GetSize()[::-1], np.uint16)
    best = np.zeros_like(labels, dtype=np.float32) if len(regions) > 1 else None
    kept = {}
    for side, region in regions.items():
        laid = lay_back(maps[side], region, head)
        full = np.zeros(labels.shape, np.float32) if keep_maps else None
        if laid is not None:
            where, (anterior, posterior) = laid
            whole = anterior + posterior
            mask = whole > 0.5
            if best is not None:
                mask &= whole > best[where]
                best[where] = np.maximum(best[where], whole)
            if parts:
                value = np.where(anterior >= posterior, PART[side]["anterior"], PART[side]["posterior"])
            else:
                value = WHOLE[side]
            labels[where] = np.where(mask, value, labels[where])
            if keep_maps:
                full[where] = whole
        if keep_maps:
            kept[side] = sitk.GetImageFromArray(full)
            kept[side].CopyInformation(head)
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(head)
    return image, kept
