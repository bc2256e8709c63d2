"""The parts of a model's card: its weight files, and what each network is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePath

from ..errors import InputError
from ..labels import NETWORK_CLASSES, OUTLINE_CLASSES
from ..preprocessing.chain import Preprocessing
from .fields import (
    Extra,
    FieldError,
    Fields,
    folder_name,
    kept_as_is,
    left_out_if_empty,
    sequence,
    text,
    whole,
)
from .network_shape import NetworkShape
from .training_card import FineTuningCard, TrainingCard
from .weights import FORMATS

#: What a segmenter may tell apart, in the order of its output.
CLASS_LISTS = (NETWORK_CLASSES, OUTLINE_CLASSES)
#: Channels of the coarse network's output: four classes and three coordinates.
COARSE_OUTPUTS = 7
MAX_CHANNELS = 16
#: No network is built beyond these: more than four times the learned values of the method's, or 400 MB for
#: a single layer's result.
MAX_PARAMETERS, MAX_FEATURES, MAX_LEVELS = 100_000_000, 100_000_000, 7


def _widths(fields: Fields) -> tuple[int, ...]:
    return fields.value("widths", sequence(whole(1, 4096), 1, MAX_LEVELS))


def _check_network(fields: Fields, name: str, shape: NetworkShape, size: tuple[int, ...]) -> None:
    if shape.parameters > MAX_PARAMETERS:
        raise FieldError(
            fields.place("widths"),
            f"would make {shape.parameters} learned values; {MAX_PARAMETERS} are allowed",
        )
    if not shape.takes(size):
        step = shape.divisor
        raise FieldError(fields.place(name), f"is not made of multiples of {step}, at least {2 * step}")
    if shape.features(size) > MAX_FEATURES:
        raise FieldError(fields.place(name), "would need too much memory")


@dataclass(frozen=True)
class FileCard:
    """A weight file.

    Attributes:
        sha256: Of the file, 64 hexadecimal digits.
        bytes: Its size.
        shared_from: Name of the model folder beside the own one that holds it; None: the own one does.
        format: Of the file, as its suffix tells; see `weights.FORMATS`.
        extra: Further fields, kept as they are; so in every part of a card.
    """

    sha256: str
    bytes: int | None = None
    shared_from: str | None = field(default=None, metadata={"key": "from"})
    format: str = "torch"
    extra: Extra = kept_as_is()

    @classmethod
    def read(cls, values: object, place: str) -> FileCard:
        """Read from JSON values, at a place that ends in the file's name; raises FieldError."""
        fields = Fields(values, place)
        sha256 = fields.text("sha256")
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise FieldError(fields.place("sha256"), "is not a SHA-256 in 64 hexadecimal digits")
        expected = FORMATS[PurePath(place).suffix]
        form = fields.text("format", expected)
        if form != expected:
            raise FieldError(fields.place("format"), "is not that of the file's name")
        size = fields.optional("bytes", whole(0, 10**12))
        return cls(sha256, size, fields.optional("from", folder_name), form, fields.rest())


@dataclass(frozen=True)
class SegmenterCard:
    """The network that segments a ROI.

    Attributes:
        widths: Feature channels per level.
        roi_size: (z, y, x) voxels of its ROI.
        spacing_mm: Of the ROI.
        preprocessing: What makes its input channels.
        classes: Of its output.
        parameters: Number of learned values.
        training: How it was trained.
        metrics: Scores on held-out cases, for display.
        versions: Of the packages that trained it, for display.
        fine_tuning: What a fine-tuning did to it.
    """

    widths: tuple[int, ...]
    roi_size: tuple[int, int, int] = field(metadata={"key": "region_size"})
    spacing_mm: float
    preprocessing: Preprocessing
    classes: tuple[str, ...] = NETWORK_CLASSES
    parameters: int | None = None
    training: TrainingCard = TrainingCard()
    metrics: Extra = left_out_if_empty()
    versions: Extra = left_out_if_empty()
    fine_tuning: FineTuningCard | None = None
    extra: Extra = kept_as_is()

    @classmethod
    def read(cls, values: object, place: str) -> SegmenterCard:
        """Read from JSON values; raises FieldError."""
        fields = Fields(values, place)
        classes = fields.value("classes", sequence(text))
        if classes not in CLASS_LISTS:
            raise FieldError(fields.place("classes"), "is none of the lists that this HippoSeg knows")
        card = cls(
            widths=_widths(fields),
            roi_size=fields.value("region_size", _size),
            spacing_mm=fields.number("spacing_mm", 0.1, 10),
            preprocessing=fields.value("preprocessing", _preprocessing),
            classes=classes,
            parameters=fields.optional("parameters", whole(1, 10**12)),
            training=fields.value("training", TrainingCard.read, TrainingCard()),
            metrics=fields.free("metrics"),
            versions=fields.free("versions"),
            fine_tuning=fields.optional("fine_tuning", FineTuningCard.read),
            extra=fields.rest(),
        )
        _check_network(fields, "region_size", card.network, card.roi_size)
        return card

    @property
    def network(self) -> NetworkShape:
        """What network it is."""
        return NetworkShape(len(self.preprocessing.channels), len(self.classes), self.widths)


@dataclass(frozen=True)
class LocalizerCard:
    """The coarse network, which sees a whole head.

    Attributes:
        widths: Feature channels per level.
        grid_size: Voxels of its input along each axis.
        grid_spacing_mm: Of its input.
        coordinate_unit_mm: Unit of the coordinates that it predicts.
    """

    widths: tuple[int, ...]
    grid_size: int
    grid_spacing_mm: float
    coordinate_unit_mm: float
    extra: Extra = kept_as_is()

    @classmethod
    def read(cls, values: object, place: str) -> LocalizerCard:
        """Read from JSON values; raises FieldError."""
        fields = Fields(values, place)
        card = cls(
            widths=_widths(fields),
            grid_size=fields.whole("grid_size", 1, 512),
            grid_spacing_mm=fields.number("grid_spacing_mm", 0.5, 50),
            coordinate_unit_mm=fields.number("coordinate_unit_mm", 1, 1000),
            extra=fields.rest(),
        )
        _check_network(fields, "grid_size", card.network, (card.grid_size,) * 3)
        return card

    @property
    def network(self) -> NetworkShape:
        """What network it is."""
        return NetworkShape(1, COARSE_OUTPUTS, self.widths)


@dataclass(frozen=True)
class RefinerCard:
    """The refinement network, which sees the surroundings of one hippocampus.

    Attributes:
        widths: Feature channels per level.
        roi_size: (z, y, x) voxels of its input.
        spacing_mm: Of its input.
    """

    widths: tuple[int, ...]
    roi_size: tuple[int, int, int] = field(metadata={"key": "region_size"})
    spacing_mm: float
    extra: Extra = kept_as_is()

    @classmethod
    def read(cls, values: object, place: str) -> RefinerCard:
        """Read from JSON values; raises FieldError."""
        fields = Fields(values, place)
        card = cls(
            widths=_widths(fields),
            roi_size=fields.value("region_size", _size),
            spacing_mm=fields.number("spacing_mm", 0.1, 20),
            extra=fields.rest(),
        )
        _check_network(fields, "region_size", card.network, card.roi_size)
        return card

    @property
    def network(self) -> NetworkShape:
        """What network it is."""
        return NetworkShape(1, 1, self.widths)


def _size(value: object, place: str) -> tuple[int, int, int]:
    z, y, x = sequence(whole(1, 1024), 3, 3)(value, place)
    return z, y, x


def _preprocessing(value: object, place: str) -> Preprocessing:
    if not isinstance(value, dict):
        raise FieldError(place, "is not a group of named fields")
    try:
        found = Preprocessing.from_dict(value)
    except InputError as error:
        raise FieldError(place, f"cannot be used: {error.cause}") from error
    if len(found.channels) > MAX_CHANNELS:
        raise FieldError(f"{place}.channels", f"is not a list of 1 to {MAX_CHANNELS} channels")
    return found
