"""The part of a model's card that says how well a volume is measured again: for changes between visits."""

from __future__ import annotations

from dataclasses import dataclass

from .fields import Extra, Fields, kept_as_is


@dataclass(frozen=True)
class RepeatabilityCard:
    """How volumes of one head differ when it is, as it were, scanned again; `Testing/benchmarks/rescans.py`.

    Attributes:
        side_sd_percent: Standard deviation of the error of a side's volume, % of it.
        side_degrees: Degrees of freedom of that.
        total_sd_percent, total_degrees: The same of the sum of both sides.
        heads: How many were measured.
        protocol: Of the outlines, see `models.protocols`.
        readers: How many read the scans.
        how: In words, for people.
    """

    side_sd_percent: float
    side_degrees: int
    total_sd_percent: float
    total_degrees: int
    heads: int
    protocol: str
    readers: int
    how: str = ""
    extra: Extra = kept_as_is()

    @classmethod
    def read(cls, values: object, place: str = "repeatability") -> RepeatabilityCard:
        """Read from JSON values; raises FieldError."""
        fields = Fields(values, place)
        return cls(
            side_sd_percent=fields.number("side_sd_percent", 1e-6, 100),
            side_degrees=fields.whole("side_degrees", 1, 10**6),
            total_sd_percent=fields.number("total_sd_percent", 1e-6, 100),
            total_degrees=fields.whole("total_degrees", 1, 10**6),
            heads=fields.whole("heads", 1, 10**6),
            protocol=fields.text("protocol"),
            readers=fields.whole("readers", 1, 100),
            how=fields.text("how", ""),
            extra=fields.rest(),
        )
