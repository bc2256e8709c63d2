"""What was asked for, as the record keeps it: a later run can tell whether a result is the one wanted."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..options import SegmentOptions
from .layout import FLAT, Layout

if TYPE_CHECKING:
    from ..reference.comparison import Comparison

#: Options that say where to work, not what to make.
_WHERE = ("engine", "device", "threads")


@dataclass(frozen=True)
class BatchOptions:
    """Options of a batch beside those of each segmentation.

    Attributes:
        picture: Also write the quality-control figure.
        overwrite: Replace results that exist.
        series: As in `io.images.read_scan`.
        layout: Where the files of a scan lie in the output folder.
        dicom_seg: Also write a DICOM segmentation; the scans must be DICOM series.
        dicom_sr: Also write a DICOM report of the volumes, and the segmentation, to which it refers.
        retry_failed: Try again what failed before. Off, a scan that failed with these settings is skipped.
        workers: Processes that segment side by side. 1: this one alone, which a crash in native code ends;
            None: as many as the machine can take, apart from this one.
        shard: (k, n): only the k-th of n parts of the scans, 1 <= k <= n. Which part a scan belongs to
            depends on its path as it was given alone.
        timeout: Seconds after which a worker process that is at one scan is ended.
        dask: Address of the scheduler of a cluster, in place of workers on this machine.
        comparison: Compare each result with a reference; the judgement stands in the record.
    """

    picture: bool = True
    overwrite: bool = False
    series: str | int | None = None
    layout: Layout = FLAT
    dicom_seg: bool = False
    dicom_sr: bool = False
    retry_failed: bool = True
    workers: int | None = 1
    shard: tuple[int, int] | None = None
    timeout: float = 3600.0
    dask: str | None = None
    comparison: Comparison | None = None

    def __post_init__(self):
        if self.workers is not None and self.workers < 1:
            raise InputError("The number of workers is below 1.", "Give 1 or more.", "workers")
        if self.shard is not None and not 1 <= self.shard[0] <= self.shard[1]:
            raise InputError(
                "There is no such part of the scans.", "Give k/n with k from 1 to n, as 1/8.", "shard"
            )


def split_changes(
    options: SegmentOptions | None, batch: BatchOptions | None, changes: Mapping[str, Any]
) -> tuple[SegmentOptions, BatchOptions]:
    """Both kinds of options with some fields changed, each in the one that has it.

    Raises:
        TypeError: Neither has a field of that name.
    """
    own = {field.name for field in dataclasses.fields(BatchOptions)}
    batch = dataclasses.replace(batch or BatchOptions(), **{k: v for k, v in changes.items() if k in own})
    others = {k: v for k, v in changes.items() if k not in own}
    return dataclasses.replace(options or SegmentOptions(), **others), batch


def request_of(options: SegmentOptions, batch: BatchOptions) -> dict[str, Any]:
    """Plain values of all that shapes a result's files; a model by its name."""
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    request = {name: _plain(value) for name, value in values.items() if name not in _WHERE}
    # What is off by default and came later is named only where it is on: earlier records compare as equal.
    objects = {"dicom_seg": batch.dicom_seg or batch.dicom_sr, "dicom_sr": batch.dicom_sr}
    return request | {"picture": batch.picture} | {name: True for name, asked in objects.items() if asked}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name
    if hasattr(value, "to_dict"):
        return _plain(value.to_dict())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(getattr(value, "name", value))  # a model that is loaded
