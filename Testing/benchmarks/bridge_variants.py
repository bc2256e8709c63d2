"""What the variants of ``bridges.py`` are made of: losses, samples, teachers, shifted copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage
from synthetic_heads import CUTS, SIDES, draw, draw_labels, plan_head, read_label_map
from torch import nn
from torch.nn import functional

from HippoSegLib.geometry.pose import WORLD_RAS
from HippoSegLib.geometry.roi import cut, region_about
from HippoSegLib.models.inference import predict
from HippoSegLib.models.unet3d import UNet3D
from HippoSegLib.preprocessing.chain import Preprocessing, channels
from HippoSegLib.training.cases import CLASSES, WHOLE_ONLY, Case, fit
from HippoSegLib.training.hosts import HOST_SHAPE, Host
from HippoSegLib.training.loop import Loop
from HippoSegLib.training.losses import dice_and_cross_entropy
from HippoSegLib.training.roles import LABEL_MAPS, TRAIN_LABEL_MAPS
from HippoSegLib.training.settings import Settings
from HippoSegLib.training.trainer import native_bfloat16

#: What the augmentation draws with a probability each, to make samples worse.
DEGRADATIONS = ("gamma", "bias", "reslice", "blur", "noise", "window")
#: Weights of the losses at full, half and quarter resolution, before they are divided by their sum.
DEPTHS = (1.0, 0.5, 0.25)
#: Of the boundary term: its weight in the first epoch, and what every further one adds.
BOUNDARY = 0.01
#: Part of the loss that asks for the teacher's probabilities.
TAUGHT = 0.5
#: Voxels by which the copies of the test-time augmentation are shifted.
SHIFT = 2
#: Share of the samples in which the plain channel is hidden.
HIDDEN = 0.3
#: Of the synthesised heads.
SEED = 5


class DeeplySupervised(Loop):
    """Two coarser levels of the decoder are asked for the labels too, by heads that are then dropped."""

    def __init__(self, model: UNet3D, *rest):
        model.side_heads = nn.ModuleList(
            nn.Conv3d(width, CLASSES, 1) for width in model.widths[1 : len(DEPTHS)]
        )
        super().__init__(model, *rest)
        self.features: dict[int, torch.Tensor] = {}
        for level in range(1, len(DEPTHS)):
            self.model.up[level].register_forward_hook(partial(self._keep, level))

    def _keep(self, level: int, block, inputs, output: torch.Tensor) -> None:
        self.features[level] = output

    def _loss(self, network, inputs, target):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits = [network(inputs)]
            logits += [
                head(self.features[level]) for level, head in enumerate(self.model.side_heads, start=1)
            ]
        losses = [dice_and_cross_entropy(one, coarser(target, level)) for level, one in enumerate(logits)]
        return sum(w * loss for w, loss in zip(DEPTHS, losses, strict=True)) / sum(DEPTHS)

    def finished(self, keep: str) -> UNet3D:
        model = UNet3D(self.model.in_channels, CLASSES, self.model.widths, self.settings.dropout)
        weights = self.ema.state_dict().items()
        model.load_state_dict({k: v for k, v in weights if not k.startswith("side_heads")})
        return model.eval()


def coarser(target: torch.Tensor, level: int) -> torch.Tensor:
    """Labels (n, z, y, x) at half the resolution per level: the commonest of a block, the lowest of a tie."""
    if not level:
        return target
    share = functional.one_hot(target, CLASSES).movedim(-1, 1).float()
    return functional.avg_pool3d(share, 2**level).argmax(dim=1)


class BoundaryAware(Loop):
    """The usual loss and a boundary loss (Kervadec et al., MIDL 2019) that weighs more with every epoch."""

    def _loss(self, network, inputs, target):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            logits = network(inputs)
        # As in the paper's schedule: the regions must be found before their outline can be moved.
        weight = BOUNDARY * (self.epoch + 1)
        return dice_and_cross_entropy(logits, target) + weight * boundary_loss(logits, target)


def boundary_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean over the voxels of the hippocampus's probability times its signed distance.

    Args:
        logits: (n, 3, z, y, x).
        target: (n, z, y, x) int64, anterior and posterior alike hippocampus.
    """
    distance = torch.from_numpy(np.stack([signed_distance(one > 0) for one in target.cpu().numpy()]))
    return (logits.float().softmax(dim=1)[:, 1:].sum(dim=1) * distance.to(logits.device)).mean()


def signed_distance(mask: np.ndarray) -> np.ndarray:
    """Distance to the outline of ``mask`` bool (z, y, x) in voxels of 1 mm: float32, negative inside.

    As in the paper's code, the outermost voxels inside have 0. Without an outline it is 0 everywhere.
    """
    if mask.all() or not mask.any():
        return np.zeros(mask.shape, np.float32)
    outside, inside = ndimage.distance_transform_edt(~mask), ndimage.distance_transform_edt(mask)
    return np.where(mask, 1 - inside, outside).astype(np.float32)


class PlainHidden(Loop):
    """In some samples the plain channel shows what the preprocessed one does, so that both teach."""

    def _loss(self, network, inputs, target):
        return super()._loss(network, hidden(inputs, torch.rand(len(inputs)) < HIDDEN), target)


def hidden(inputs: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Samples (n, 2, z, y, x) with the second channel in place of the first one ``where`` (n,) is true."""
    return torch.where(where.to(inputs.device).view(-1, 1, 1, 1, 1), inputs[:, 1:2], inputs)


class Mirrored(Loop):
    """Half of the samples are mirrored, left for right."""

    def _loss(self, network, inputs, target):
        where = torch.rand(len(inputs)) < 0.5
        return super()._loss(network, mirrored(inputs, where), mirrored(target, where))


def mirrored(volumes: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Samples (n, …, z, y, x) with x turned round ``where`` (n,) is true."""
    where = where.to(volumes.device).view(-1, *[1] * (volumes.ndim - 1))
    return torch.where(where, volumes.flip(-1), volumes)


class WithOthers(Loop):
    """In every epoch as many crops as there are ``extra`` cases make room for these, in their turn."""

    def __init__(self, model: UNet3D, train: Sequence[Case], *rest, extra: Sequence[Case]):
        super().__init__(model, train, *rest)
        self.crops, self.extra = list(train), list(extra)

    def _epoch(self, progress, cancel):
        self.train = in_turn(self.crops, self.extra, self.settings.seed, self.epoch)
        return super()._epoch(progress, cancel)


def in_turn(crops: Sequence[Case], extra: Sequence[Case], seed: int, epoch: int) -> list[Case]:
    """As many cases as crops: all the extra ones, and the crops whose turn to be left out it is not."""
    order = np.random.default_rng(seed).permutation(len(crops))
    out = {int(order[(epoch * len(extra) + k) % len(crops)]) for k in range(len(extra))}
    return [crop for i, crop in enumerate(crops) if i not in out] + list(extra)


def pseudo_cases(model: nn.Module, settings: Settings, hosts: Sequence[Host]) -> list[Case]:
    """Regions of unlabelled heads with the labels a network gives them, where it finds a hippocampus.

    The network sees the middle of a region, as large as its own; the case is the whole region, so that
    all surroundings of its samples are the head's.
    """
    cases, mixed = [], native_bfloat16(torch.device("cpu"))
    for host in hosts:
        inputs = channels(fit(host.image, settings.region_shape), settings.preprocessing)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            label = likeliest_piece(predict(model, "cpu", {"left": inputs})["left"])
        if label.any():
            image = host.image - host.image.min()
            cases.append(Case(f"pseudo_{host.name}", host.name, image, fit(label, image.shape)))
    return cases


def likeliest_piece(probability: np.ndarray) -> np.ndarray:
    """Labels uint8 (z, y, x) of probabilities (2, z, y, x): the likeliest class, its largest piece alone."""
    label = np.concatenate((1 - probability.sum(axis=0, keepdims=True), probability)).argmax(axis=0)
    pieces, count = ndimage.label(label > 0)
    if count > 1:
        label = np.where(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1, label, 0)
    return label.astype(np.uint8)


def synthesised_cases(data: Path) -> list[Case]:
    """Both hippocampi of a head in T1 drawn from each label map that may train, parts unknown."""
    cases = []
    for name in TRAIN_LABEL_MAPS:
        source = read_label_map(data / LABEL_MAPS / f"training_seg_{name}.nii.gz")
        rng = np.random.default_rng([SEED, int(name)])
        plan = plan_head(source, rng, "T1", spacing=np.ones(3), cut=CUTS[0])
        image = sitk.Cast(draw(source, plan, rng).image, sitk.sitkFloat32)
        labels = draw_labels(source, plan)
        for side, value in SIDES.items():
            cases.append(whole_case(f"map{name}_{side}", image, labels == value, side))
    return cases


def whole_case(name: str, image: sitk.Image, label: sitk.Image, side: str) -> Case:
    """A region of a head as large as the surroundings are, of which only the whole is known."""
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(label)
    region = region_about(shape.GetCentroid(1), WORLD_RAS, side, HOST_SHAPE)
    truth = cut(sitk.Cast(label, sitk.sitkFloat32), region) > 0.5
    array = cut(image, region)
    return Case(name, name, array - array.min(), np.where(truth, WHOLE_ONLY, 0).astype(np.uint8))


class Ensemble(nn.Module):
    """Mean of the class probabilities of several networks, each with its own channels of one input.

    Args:
        networks: Each with its preprocessing. ``preprocessing`` computes all their channels, the first
            network's first.

    Shapes: (n, all channels, z, y, x) -> logarithm of the mean probability (n, 3, z, y, x).
    """

    def __init__(self, networks: Sequence[tuple[UNet3D, Preprocessing]]):
        super().__init__()
        union: list = []
        for _, preprocessing in networks:
            union += [steps for steps in preprocessing.channels if steps not in union]
        self.preprocessing = Preprocessing(tuple(union))
        self.picks = [[union.index(steps) for steps in own.channels] for _, own in networks]
        self.networks = nn.ModuleList(network for network, _ in networks).eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [
            network(x[:, pick]).float().softmax(dim=1)
            for network, pick in zip(self.networks, self.picks, strict=True)
        ]
        return logarithm(torch.stack(found).mean(dim=0))


def logarithm(probability: torch.Tensor) -> torch.Tensor:
    """Logits whose softmax is ``probability``."""
    return probability.clamp_min(1e-12).log()


class Distilled(Loop):
    """A teacher's probabilities of the same sample are asked for beside the labels.

    The samples carry all channels of the teacher, of which the student sees its own, the first ones.
    """

    def __init__(self, model: UNet3D, train, held, hosts, settings: Settings, *rest, teacher: Ensemble):
        settings = replace(settings, preprocessing=teacher.preprocessing)
        super().__init__(model, train, held, hosts, settings, *rest)
        self.teacher = teacher

    def _loss(self, network, inputs, target):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed):
            with torch.no_grad():
                wanted = self.teacher(inputs).softmax(dim=1)
            logits = network(inputs[:, : self.model.in_channels])
        taught = functional.cross_entropy(logits.float(), wanted)
        return (1 - TAUGHT) * dice_and_cross_entropy(logits, target) + TAUGHT * taught


class Shifted(nn.Module):
    """Mean of a network's class probabilities over an input and its copies shifted along each axis.

    Channels are shifted after the preprocessing, with 0 for what comes in from outside; probabilities are
    moved back, and a voxel's mean is over those copies in which it was seen.

    Shapes: (n, c, z, y, x) -> logarithm of the mean probability (n, 3, z, y, x).
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total, seen = self.network(x).float().softmax(dim=1), torch.ones_like(x[:, :1], dtype=torch.float32)
        for axis in (2, 3, 4):
            for by in (-SHIFT, SHIFT):
                found = self.network(moved(x, axis, by)).float().softmax(dim=1)
                total = total + moved(found, axis, -by)
                seen = seen + moved(torch.ones_like(seen), axis, -by)
        return logarithm(total / seen)


def moved(x: torch.Tensor, axis: int, by: int) -> torch.Tensor:
    """``x`` shifted by ``by`` voxels along ``axis``, 0 coming in."""
    result = x.roll(by, dims=axis)
    result.narrow(axis, 0 if by > 0 else x.shape[axis] + by, abs(by)).zero_()
    return result
