"""A model's card: one typed value, the same whoever wrote the model, checked field by field when it is read.

Inference follows the card: preprocessing and channels, ROI size and spacing, network widths, classes. Fields
that this version does not know are kept, for display and for rewriting.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from ..errors import ModelError
from .card_parts import FileCard, LocalizerCard, RefinerCard, SegmenterCard
from .fields import Extra, FieldError, Fields, folder_name, kept_as_is, left_out_if_empty, plain, whole
from .network_shape import NetworkShape
from .quality_card import QualityCard
from .repeatability_card import RepeatabilityCard
from .weights import FORMATS, RESTORE

#: Version that is written. Version 1 has no `format` of a file and no `second_reader`, and is read alike.
FORMAT_VERSION = 2
CARD = "card.json"
MAX_BYTES = 50_000_000

#: The networks of a model; a weight file's name is its network's and a suffix.
Role = Literal["segmenter", "localizer", "refiner"]
ROLES: tuple[Role, ...] = ("segmenter", "localizer", "refiner")


@dataclass(frozen=True)
class ModelCard:
    """What a model is and what it learned from.

    Attributes:
        name, title, licence, intended_use: For people.
        parameters: Learned values of all networks.
        segmenter: The network that segments.
        localizer: The coarse network; None in a model for crops alone.
        refiner: The refinement network; None also in models older than it.
        files: Name of each weight file -> what it is.
        quality: What the quality score is made of.
        figures: Measured on the model, for display.
        repeatability: How well a volume is measured again; None where it was not measured.
        second_reader: Name of the model folder beside the own one that reads the same scans a second time.
    """

    segmenter: SegmenterCard
    name: str = ""
    title: str = ""
    licence: str = ""
    intended_use: str = ""
    parameters: int | None = None
    localizer: LocalizerCard | None = None
    refiner: RefinerCard | None = None
    figures: Extra = left_out_if_empty()
    files: Mapping[str, FileCard] = field(default_factory=dict)
    quality: QualityCard | None = None
    second_reader: str | None = None
    repeatability: RepeatabilityCard | None = None
    extra: Extra = kept_as_is()

    @classmethod
    def read(cls, values: object) -> ModelCard:
        """Read from the JSON values of a card, of whatever version.

        Raises:
            FieldError: A field is missing or impossible. VersionError: The version is a later one.
        """
        fields = Fields(_as_version_1(values))
        version = fields.value("format_version", _version)
        if version > FORMAT_VERSION:
            raise VersionError(version)
        card = cls(
            name=fields.text("name", ""),
            title=fields.text("title", ""),
            licence=fields.text("licence", ""),
            intended_use=fields.text("intended_use", ""),
            parameters=fields.optional("parameters", whole(1, 10**12)),
            segmenter=fields.value("segmenter", SegmenterCard.read),
            localizer=fields.optional("localizer", LocalizerCard.read),
            refiner=fields.optional("refiner", RefinerCard.read),
            figures=fields.free("figures"),
            files=_files(fields.group("files")),
            quality=fields.optional("quality", QualityCard.read),
            second_reader=fields.optional("second_reader", folder_name),
            repeatability=fields.optional("repeatability", RepeatabilityCard.read),
            extra=fields.rest(),
        )
        for role in ROLES:
            count = sum(role_of(name) == role for name in card.files)
            if count != (getattr(card, role) is not None):
                raise FieldError("files", f"does not name one file for the {role}, as the card has it")
        return card

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file: plain JSON values; a field without a value is left out."""
        quality = {} if self.quality is None else {"quality": self.quality.to_dict()}
        rest = plain(replace(self, quality=None))
        return {"format_version": FORMAT_VERSION, **rest, **quality}

    @property
    def weights_sha256(self) -> str:
        """SHA-256 over the weights' own sums: one value that names the weights."""
        sums = "".join(self.files[name].sha256 for name in sorted(self.files))
        return hashlib.sha256(sums.encode()).hexdigest()

    def network(self, role: Role) -> NetworkShape | None:
        """What network has this role; None where the model has none."""
        part = getattr(self, role)
        return None if part is None else part.network

    def file_of(self, role: Role) -> str | None:
        """Name of the weight file of a network; None where the model has none."""
        return next((name for name in self.files if role_of(name) == role), None)


class VersionError(ValueError):
    """The card has a later format version, `args[0]`, than this HippoSeg reads."""


def role_of(file_name: str) -> str:
    """The network that a weight file belongs to: its name without suffixes."""
    return file_name.split(".")[0]


def read_card(folder: Path) -> ModelCard:
    """Read and check the card of a model folder.

    Raises:
        ModelError: The card is damaged, or of a later format version.
    """
    try:
        if (folder / CARD).stat().st_size > MAX_BYTES:
            raise FieldError("", "is far too large")
        return _card_of((folder / CARD).read_text(encoding="utf-8"))
    except VersionError as error:
        raise ModelError(
            f"Model '{folder.name}' has format version {error.args[0]}, "
            f"this HippoSeg reads {FORMAT_VERSION}.",
            "Update HippoSeg, or choose another model.",
        ) from error
    except FieldError as error:
        raise ModelError(f"The card of model '{folder.name}' is damaged: {error}.", RESTORE) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"The card of model '{folder.name}' is damaged.", RESTORE) from error


@lru_cache(maxsize=8)
def _card_of(text: str) -> ModelCard:
    return ModelCard.read(json.loads(text))


def printable_name(folder: Path) -> str:
    """A folder's name as the name of a model; "" where it cannot be shown."""
    return folder.name if folder.name.isprintable() else ""


def card_text(card: ModelCard) -> str:
    """The text of a card's file.

    Raises:
        ValueError: It would be none that can be read again.
    """
    text = json.dumps(card.to_dict(), indent=2, ensure_ascii=False) + "\n"
    ModelCard.read(json.loads(text))
    return text


def _as_version_1(values: object) -> object:
    """In the form of version 1, where it is a segmenter's alone, as `hipposeg train` once wrote it."""
    if not isinstance(values, dict) or "format_version" in values or "widths" not in values:
        return values
    segmenter = {name: value for name, value in values.items() if name != "sha256"}
    sums = values.get("sha256")
    files = {name: {"sha256": one} for name, one in sums.items()} if isinstance(sums, dict) else sums
    return {"format_version": 1, "segmenter": segmenter, "files": files}


def _version(value: object, place: str) -> int:
    return whole(1, 10**6)(value, place)


def _files(fields: Fields) -> dict[str, FileCard]:
    known = [role + suffix for role in ROLES for suffix in FORMATS]
    for name in fields.names():
        if name not in known:
            raise FieldError(fields.place(name), f"is none of: {', '.join(known)}")
    return {name: fields.value(name, FileCard.read) for name in fields.names()}
