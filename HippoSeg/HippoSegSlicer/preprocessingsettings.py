"""What the preprocessing part of the panel sets, and the description of channels that follows.

Plain functions over the descriptions of :class:`HippoSegLib.preprocessing.chain.Preprocessing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from HippoSegLib.preprocessing.chain import Preprocessing
from HippoSegLib.preprocessing.steps import step

CLAHE, WAVELET = "clahe_3d", "sce_dwt_3d"


@dataclass(frozen=True)
class PreprocessingSettings:
    """Both steps, on or off, with their parameters.

    Attributes:
        clahe: CLAHE is on.
        clipLimit: Its clip limit.
        kernel: Its tile (z, y, x) in voxels.
        waveletOn: SCE-3DWT is on.
        wavelet, levels, factor, threshold: Its parameters; a factor per sub-band, which a card can
            have, is kept as it is.
    """

    clahe: bool
    clipLimit: float
    kernel: tuple[int, int, int]
    waveletOn: bool
    wavelet: str
    levels: int
    factor: float | Mapping
    threshold: float

    @classmethod
    def of(cls, description: Mapping) -> PreprocessingSettings:
        """Read the settings off a description; a step it does not have is off, with its defaults."""
        steps = [one for channel in Preprocessing.from_dict(description).channels for one in channel]
        clahe = next((one for one in steps if one["step"] == CLAHE), None)
        wavelet = next((one for one in steps if one["step"] == WAVELET), None)
        c, w = clahe or step(CLAHE), wavelet or step(WAVELET)
        return cls(
            clahe is not None,
            c["clip_limit"],
            tuple(c["kernel_size"] or step(CLAHE)["kernel_size"]),
            wavelet is not None,
            w["wavelet"],
            w["levels"],
            w["factor"],
            w["threshold"],
        )

    def applied(self, card: Mapping) -> dict:
        """Return the card's description with these settings.

        Steps change in the channels that have them; one that no channel has is added to every channel.
        """
        channels = Preprocessing.from_dict(card).channels
        for name, isOn, parameters in (
            (CLAHE, self.clahe, {"clip_limit": self.clipLimit, "kernel_size": list(self.kernel)}),
            (
                WAVELET,
                self.waveletOn,
                {
                    "wavelet": self.wavelet,
                    "levels": self.levels,
                    "factor": self.factor,
                    "threshold": self.threshold,
                },
            ),
        ):
            isThere = any(one["step"] == name for channel in channels for one in channel)
            if isOn and not isThere:
                channels = tuple((*channel, step(name, **parameters)) for channel in channels)
            else:
                channels = tuple(
                    tuple(
                        {**one, **parameters} if one["step"] == name else one
                        for one in channel
                        if isOn or one["step"] != name
                    )
                    for channel in channels
                )
        return Preprocessing(channels).to_dict()

    def but(self, **changes) -> PreprocessingSettings:
        """Return these settings with changes."""
        return replace(self, **changes)


def steps(description: Mapping) -> set[str]:
    """Return which of both steps a description has, in whatever channel."""
    channels = Preprocessing.from_dict(description).channels
    return {one["step"] for channel in channels for one in channel} & {CLAHE, WAVELET}


def differences(description: Mapping, card: Mapping) -> list[str]:
    """In words, how a description differs from the card's; empty where it does not."""
    return Preprocessing.from_dict(description).differs_from(Preprocessing.from_dict(card))
