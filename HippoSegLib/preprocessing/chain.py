"""The chain of steps that turns the crop of a ROI into the channels the network sees.

The steps are those of the method (Khan et al., IEEE Access 2025, doi 10.1109/access.2025.3577266;
parameters as in Mathematics 2025, 13(20), 3309): min-max normalisation, contrast-limited adaptive
histogram equalisation in 3D (CLAHE) and selective coefficient enhancement in a 3D wavelet
transform (SCE-3DWT). They work on the ROI of one hippocampus, not on the head, after it has been
brought to canonical axes and, for a right side, mirrored: CLAHE is not flip-invariant.

All arrays are (z, y, x); background is the value 0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..errors import InputError
from .steps import STEPS, step
from .volume import as_volume


@dataclass(frozen=True)
class Preprocessing:
    """What turns the crop of a ROI into network channels: a list of steps per channel.

    Attributes:
        channels: For each channel its steps in order, each ``{"step": name, parameter: value, …}``;
            without steps, a channel is the image as it is.
    """

    channels: tuple[tuple[dict, ...], ...] = field(
        default_factory=lambda: (
            (step("min_max"),),
            (step("min_max"), step("clahe_3d"), step("sce_dwt_3d")),
        )
    )

    def __post_init__(self):
        if not self.channels:
            raise InputError("Preprocessing without channels.", "Give at least one channel.")
        filled = tuple(
            tuple(step(one["step"], **{k: v for k, v in one.items() if k != "step"}) for one in steps)
            for steps in self.channels
        )
        object.__setattr__(self, "channels", filled)

    @classmethod
    def named(cls, name: str) -> Preprocessing:
        """Return ``plain`` (min-max), ``method`` (min-max, CLAHE, SCE-3DWT) or ``both`` as two channels."""
        both = cls().channels
        choices = {"plain": both[:1], "method": both[1:], "both": both}
        if name not in choices:
            raise InputError(f"Preprocessing {name!r} is not known.", "Use 'plain', 'method' or 'both'.")
        return cls(choices[name])

    @classmethod
    def from_dict(cls, card: Mapping) -> Preprocessing:
        """Read the form :meth:`to_dict` writes; raises InputError where it cannot be read."""
        try:
            channels = card["channels"]
            # An empty text or group would pass for a channel without steps.
            if not all(isinstance(steps, list | tuple) for steps in (channels, *channels)):
                raise TypeError("channels and steps are lists")
            return cls(tuple(tuple(dict(one) for one in steps) for steps in channels))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "The preprocessing description cannot be read.", "Use the form of a model's card."
            ) from error

    def to_dict(self) -> dict:
        """Return the description as plain JSON values, for a model's card."""
        return {"channels": [[dict(one) for one in steps] for steps in self.channels]}

    @property
    def packages(self) -> set[str]:
        """Modules that its steps import beyond the core's; see `dependencies.PACKAGES`."""
        return {name for steps in self.channels for one in steps for name in STEPS[one["step"]].packages}

    def changed(self, changes: Preprocessing | Mapping) -> Preprocessing:
        """Return this with a caller's changes.

        Args:
            changes: Another description or its form on a card, which replaces this one; or
                ``{step: False}`` to leave a step out of every channel and ``{step: {parameter: value}}``
                to set its parameters wherever it occurs.

        Raises:
            InputError: Unknown step or parameter, or a step that no channel has.
        """
        if isinstance(changes, Preprocessing):
            return changes
        if "channels" in changes:
            return Preprocessing.from_dict(changes)
        present = {one["step"] for steps in self.channels for one in steps}
        for name, change in changes.items():
            if name not in STEPS or not (change is False or isinstance(change, Mapping)):
                raise InputError(
                    f"Preprocessing change {name!r} cannot be understood.",
                    f"Name one of {', '.join(STEPS)}, with false or new parameters.",
                )
            if name not in present and change is not False:
                raise InputError(
                    f"This preprocessing has no step {name!r} to change.",
                    "Choose a model trained with it, or give the channels in full.",
                    "no_step",
                )
        return Preprocessing(
            tuple(
                tuple(
                    {**one, **changes.get(one["step"], {})}
                    for one in steps
                    if changes.get(one["step"]) is not False
                )
                for steps in self.channels
            )
        )

    def without_effect(self, changes: Preprocessing | Mapping | None) -> list[str]:
        """The steps, in words, that changes as in :meth:`changed` leave out though no channel has them."""
        if changes is None or isinstance(changes, Preprocessing) or "channels" in changes:
            return []
        present = {one["step"] for steps in self.channels for one in steps}
        return [
            STEPS[name].title for name, change in changes.items() if change is False and name not in present
        ]

    def differs_from(self, other: Preprocessing) -> list[str]:
        """Say in words how this differs from ``other`` (a model's own); empty where it does not."""
        words = []
        if len(self.channels) != len(other.channels):
            words.append(f"{len(self.channels)} instead of {len(other.channels)} images for the network")
        for mine, theirs in zip(self.channels, other.channels, strict=False):
            names, wanted = ([STEPS[one["step"]].title for one in steps] for steps in (mine, theirs))
            if names != wanted:
                added = [f"{name} was added" for name in names if name not in wanted]
                left_out = [f"{name} was left out" for name in wanted if name not in names]
                words += added + left_out or ["the steps are in another order"]
                continue
            for name, a, b in zip(names, mine, theirs, strict=True):
                words += [
                    f"{name} {key.replace('_', ' ')} {a[key]} instead of {b[key]}"
                    for key in a
                    if a[key] != b[key]
                ]
        return list(dict.fromkeys(words))  # a change of both channels is said once


def channels(array: np.ndarray, preprocessing: Preprocessing | Mapping | None = None) -> np.ndarray:
    """Compute the network's input from the crop of one hippocampus.

    Args:
        array: (z, y, x) crop at the model's spacing, canonical axes, right sides mirrored.
        preprocessing: A description or its form on a card; ``None`` is the default.

    Returns:
        float32 (c, z, y, x).

    Raises:
        InputError: The crop is not a finite 3D image, or a parameter is impossible.
    """
    if preprocessing is None:
        preprocessing = Preprocessing()
    elif not isinstance(preprocessing, Preprocessing):
        preprocessing = Preprocessing.from_dict(preprocessing)
    done: dict[str, np.ndarray] = {}  # channels share their first steps
    result = []
    for steps in preprocessing.channels:
        current = as_volume(array)
        for count, one in enumerate(steps, start=1):
            key = json.dumps(steps[:count], sort_keys=True)
            if key not in done:
                parameters = {k: v for k, v in one.items() if k != "step"}
                done[key] = STEPS[one["step"]].function(current, **parameters)
            current = done[key]
        result.append(current)
    return np.stack(result)
