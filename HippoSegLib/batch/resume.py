"""Whether a result in the output folder is what a call asks for: of the same content, model and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..errors import OutputError
from ..models.card import read_card
from ..models.store import Model, model_folder
from ..options import SegmentOptions
from .record import ScanRecord
from .request import BatchOptions, request_of
from .source import Source

#: Codes of refusals: a result of something else stands under the scan's name.
OTHER_INPUT, OTHER_MODEL, OTHER_SETTINGS = "other_input", "other_model", "other_settings"
#: What a result may have beyond what is asked for.
_EXTRAS = ("picture", "probabilities", "uncertainty", "dicom_seg", "dicom_sr")
#: Told by the weights' hashes, not by name.
_NAMES = ("model",)


def model_identity(options: SegmentOptions) -> tuple[str, str | None]:
    """SHA-256 of the model's weights and of its second reader's, where that is to read too.

    Raises:
        ModelError: There is no such model.
    """
    model = options.model
    folder = model.folder if isinstance(model, Model) else model_folder(model)
    card = model.card if isinstance(model, Model) else read_card(folder)
    second = card.second_reader if options.second_reader else None
    return card.weights_sha256, None if second is None else read_card(folder.parent / second).weights_sha256


@dataclass(frozen=True)
class Wanted:
    """What a call asks for."""

    options: SegmentOptions
    batch: BatchOptions

    @cached_property
    def request(self) -> dict[str, Any]:
        """As records keep it."""
        return request_of(self.options, self.batch)

    @cached_property
    def identity(self) -> tuple[str, str | None]:
        """See `model_identity`."""
        return model_identity(self.options)

    def is_asked_for(self, record: ScanRecord, source: Source) -> bool:
        """Whether a failed scan's record is of the same content and settings."""
        return self._same_request(record.request) and _same_content(record, source, self.options.region)

    def refuse_another(self, record: ScanRecord, source: Source) -> None:
        """Refuse to take a result for what is asked for where it is of something else.

        Raises:
            OutputError: It is of other content, another model or other settings. ModelError: There is no
                such model.
        """
        scan, remedy = record.scan, "Choose another folder, or allow overwriting."
        model = record.provenance.get("model")
        found = str(model.get("sha256")) if isinstance(model, Mapping) else ""
        second, (own, own_second) = _second_of(record), self.identity
        # Whether there is a second reader is a setting; which one it is belongs to the model.
        if found != own or (second and own_second and second != own_second):
            cause = f"The result for '{scan}' in the output folder is of another model."
            raise OutputError(cause, remedy, OTHER_MODEL)
        if not self._same_request(record.request):
            cause = f"The result for '{scan}' in the output folder was made with other settings."
            raise OutputError(cause, remedy, OTHER_SETTINGS)
        if not _same_content(record, source, self.options.region):
            cause = f"The scan '{scan}' has changed since the result in the output folder was made."
            raise OutputError(cause, remedy, OTHER_INPUT)

    def _same_request(self, recorded: Mapping[str, Any]) -> bool:
        # A setting that came in a later version than the record had its default then.
        defaults = request_of(SegmentOptions(), BatchOptions())
        for name in {*self.request, *recorded} - set(_NAMES):
            there = recorded.get(name, defaults.get(name))
            wanted = self.request.get(name, defaults.get(name))
            if there != wanted and not (name in _EXTRAS and there and not wanted):
                return False
        return True


def _second_of(record: ScanRecord) -> str | None:
    settings = record.provenance.get("settings")
    second = settings.get("second_reader") if isinstance(settings, Mapping) else None
    return str(second.get("sha256")) if isinstance(second, Mapping) else None


def _same_content(record: ScanRecord, source: Source, region: bool) -> bool:
    """Whether the input is what it was: by size and time, else by the bytes or voxels themselves."""
    stamp = source.stamp()
    if stamp is not None and stamp == record.source.stamp:
        return True
    return record.source.sha256 is not None and record.source.sha256 == source.content_sha256(region)
