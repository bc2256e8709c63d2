"""The steps there are, by the name they have on a model's card.

A new step is a function of a volume (z, y, x) in a file of its own, and an entry here (or a call of
:func:`register`, from outside): cards, options and the panel know it by its name then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .clahe import CLAHE_KERNEL, check_clahe, clahe_3d
from .min_max import check_min_max, min_max
from .sce_dwt import check_sce_dwt, sce_dwt_3d


@dataclass(frozen=True)
class StepKind:
    """A kind of preprocessing step.

    Attributes:
        function: Called with a volume (z, y, x) float32 and its parameters; returns one of the same shape.
        defaults: Every parameter with its default value, as JSON has them.
        title: Its name for people.
        check: Called with the parameters when a step is described; raises InputError for impossible ones.
        packages: Modules that it imports beyond the core's; see `dependencies.PACKAGES`.
    """

    function: Callable[..., np.ndarray]
    defaults: Mapping[str, object]
    title: str
    check: Callable[..., None] = lambda **_parameters: None
    packages: tuple[str, ...] = ()


STEPS: dict[str, StepKind] = {
    "min_max": StepKind(min_max, {"lower": 0.5, "upper": 99.5}, "min-max", check_min_max),
    "clahe_3d": StepKind(
        clahe_3d,
        {"clip_limit": 0.03, "kernel_size": list(CLAHE_KERNEL)},
        "CLAHE",
        check_clahe,
        ("skimage",),
    ),
    "sce_dwt_3d": StepKind(
        sce_dwt_3d,
        {"wavelet": "coif5", "levels": 2, "factor": 0.8, "threshold": 0.1, "mode": "symmetric"},
        "SCE-3DWT",
        check_sce_dwt,
        ("pywt",),
    ),
}


def register(name: str, kind: StepKind) -> None:
    """Make a further kind of step known.

    Raises:
        ValueError: There is one of that name.
    """
    if name in STEPS:
        raise ValueError(f"there is a preprocessing step {name!r} already")
    STEPS[name] = kind


def step(name: str, **parameters) -> dict:
    """Return one step for a `Preprocessing`, its defaults filled in.

    Raises:
        InputError: Unknown step or parameter, or an impossible value.
    """
    if name not in STEPS:
        raise InputError(f"Preprocessing step {name!r} is not known.", f"Use one of {', '.join(STEPS)}.")
    defaults = STEPS[name].defaults
    unknown = set(parameters) - set(defaults)
    if unknown:
        raise InputError(
            f"Preprocessing step {name!r} has no parameter {sorted(unknown)[0]!r}.",
            f"It has {', '.join(defaults)}.",
        )
    # Through JSON, so that a step made in code equals the one read from a card.
    filled = json.loads(json.dumps({**defaults, **parameters}))
    STEPS[name].check(**filled)
    return {"step": name, **filled}
