"""The DICOM series of a folder that look like a T1 of a head, and why the others do not.

What is looked at are numbers and codes of the headers (echo time, contrast, type of image, slices), never the
free text that describes a series. Where a header does not say, the series is taken: the pipeline judges the
image itself.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

from ...errors import HippoSegError
from ...io.dicom_elements import Elements, HeaderError, read_elements
from ...io.dicom_files import MIN_SLICES, look_at, look_into
from ...io.dicom_series import Series, all_series
from ..source import Source
from .found import Found, LeftOut

_IMAGE_TYPE, _ECHO, _ANGIO, _ACQUISITION = 0x00080008, 0x00180081, 0x00180025, 0x00089209
_SHARED, _FRAME_TYPE, _ECHOES, _EFFECTIVE_ECHO = 0x52009229, 0x00189226, 0x00189114, 0x00189082
_WANTED = [_IMAGE_TYPE, _ECHO, _ANGIO, _ACQUISITION, _SHARED]
#: Longest echo time of a T1, ms; widest distance of slices, mm.
_LONGEST_ECHO, _WIDEST = 20.0, 4.0
_NO_VOLUME = "too few images for a volume"


@dataclass(frozen=True)
class _Judged:
    series: Series
    code: str = ""
    reason: str = ""
    derived: bool = False


def find_series(folder: Path) -> Found:
    """The series that lie in a folder itself; nothing where it holds no DICOM image."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, which may quote a header
            return _of(folder, all_series(look_at(os.fspath(folder)).slices))
    except ImportError:  # without pydicom the scan fails with a sentence that says what to install
        return Found((Source(folder),))
    except HippoSegError as error:
        return Found((), (LeftOut(folder.as_posix(), error.code, str(error)),))
    except OSError:
        return Found((), (LeftOut(folder.as_posix(), "unreadable", "cannot be read"),))


def find_spread_series(folder: Path) -> Found:
    """Series whose images lie in several folders below this one, fewer than a volume's in each."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            contents = look_into(os.fspath(folder))
            many = contents.deep and len(contents.slices) >= MIN_SLICES
            return _of(folder, all_series(contents.slices)) if many else Found()
    except (ImportError, HippoSegError, OSError):
        return Found()


def _of(folder: Path, series: list[Series]) -> Found:
    judged = _without_derived([_judge(one) for one in series])
    named = len(series) > 1
    return Found(
        tuple(Source(folder, one.series.name if named else None) for one in judged if not one.code),
        tuple(
            LeftOut(folder.as_posix(), one.code, one.reason, one.series.name) for one in judged if one.code
        ),
    )


def _without_derived(judged: list[_Judged]) -> list[_Judged]:
    """Series that were computed from others are left out where the folder has an original T1 of the study."""
    studies = {one.series.slices[0].identity.study for one in judged if not one.code and not one.derived}
    return [
        _Judged(one.series, "derived", "computed from another series of the examination")
        if not one.code and one.derived and one.series.slices[0].identity.study in studies
        else one
        for one in judged
    ]


def _judge(series: Series) -> _Judged:
    if series.modality not in ("MR", ""):
        return _Judged(series, "not_mr", "no MRI")
    if not series.may_be_a_volume:
        return _Judged(series, "few_images", _NO_VOLUME)
    try:
        elements = read_elements(series.slices[0].entry.path, _WANTED)[0]
        shared = next(iter(elements.items(_SHARED)), Elements({}))
        echoes = next(iter(shared.items(_ECHOES)), Elements({}))
        kind = next(iter(shared.items(_FRAME_TYPE)), Elements({}))
    except (HeaderError, OSError):
        return _Judged(series)
    image_type = elements.text(_IMAGE_TYPE).upper()
    contrast = elements.text(_ACQUISITION) or kind.text(_ACQUISITION)
    echo = elements.number(_ECHO) or echoes.number(_EFFECTIVE_ECHO)
    code, reason = "", ""
    if "LOCALIZER" in image_type or _widest_step(series) > _WIDEST:
        code, reason = "thick", "slices far apart, as in a localiser"
    elif elements.text(_ANGIO).upper() == "Y":
        code, reason = "angiography", "angiography"
    elif (contrast and contrast.upper() not in ("T1", "UNKNOWN", "MIXED")) or (echo or 0) > _LONGEST_ECHO:
        code, reason = "not_t1", "another contrast than T1"
    return _Judged(series, code, reason, image_type.startswith("DERIVED"))


def _widest_step(series: Series) -> float:
    """Median distance of neighbouring slices along their normal, mm; 0 where the headers do not say."""
    first = series.slices[0]
    if first.orientation is None:
        return 0.0
    a, b = first.orientation[:3], first.orientation[3:]
    normal = (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
    at = {
        round(sum(n * p for n, p in zip(normal, one.position, strict=True)), 2)
        for one in series.slices
        if one.position is not None
    }
    places = sorted(at)
    steps = sorted(later - earlier for earlier, later in zip(places, places[1:], strict=False))
    return steps[len(steps) // 2] if steps else 0.0
