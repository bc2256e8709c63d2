"""Which series a folder holds, what they are called in a message, and which one is read.

Series are told apart by number, modality and count of images: nothing else of them is shown.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..flags import Flag
from .dicom_files import MIN_SLICES, Contents
from .dicom_headers import UID, is_registered
from .dicom_slice import Damaged, Entry, Slice

#: Series that a message lists at most.
_LISTED = 30
#: Modalities that are no scan.
_NO_SCANS = frozenset(("SEG", "RTDOSE", "RTIMAGE"))


@dataclass(frozen=True)
class Series:
    """One series.

    Attributes:
        uid: Its UID; the first of them where every slice has its own.
        name: What it is called: its number, with letters where several have it.
        slices: In the order they were found.
        own_uids: Every slice has a series UID of its own.
    """

    uid: str
    name: str
    slices: tuple[Slice, ...]
    own_uids: bool = False

    @property
    def images(self) -> int:
        return sum(1 if s.described else max(s.frames, 1) for s in self.slices)

    @property
    def modality(self) -> str:
        return self.slices[0].identity.modality

    @property
    def may_be_a_volume(self) -> bool:
        return self.images >= MIN_SLICES and self.modality not in _NO_SCANS

    def __str__(self) -> str:
        many = "" if self.images == 1 else "s"
        return f"{self.name} ({self.modality or 'unknown modality'}, {self.images} image{many})"


def all_series(slices: Iterable[Slice]) -> list[Series]:
    """The series of some slices, sorted by number, each with a name of its own."""
    groups: dict[str, list[Slice]] = defaultdict(list)
    for item in slices:
        groups[item.identity.series].append(item)
    by_number: dict[int, list[tuple[str, list[Slice], bool]]] = defaultdict(list)
    for uid, group, own_uids in _joined(groups):
        by_number[group[0].identity.number or 0].append((uid, group, own_uids))
    result = []
    for number in sorted(by_number):
        several = len(by_number[number]) > 1
        for index, (uid, group, own_uids) in enumerate(sorted(by_number[number], key=lambda g: g[0])):
            name = f"{number}{_letters(index)}" if several else str(number)
            result.append(Series(uid, name, tuple(group), own_uids))
    return result


def _joined(groups: dict[str, list[Slice]]) -> list[tuple[str, list[Slice], bool]]:
    """The groups, those of one slice each put together where they differ in nothing but their UID."""
    single: dict[tuple, list[str]] = defaultdict(list)
    result = []
    for uid, group in groups.items():
        if len(group) == 1 and group[0].frames == 1:
            single[_likeness(group[0])].append(uid)
        else:
            result.append((uid, group, False))
    for uids in single.values():
        result.append((min(uids), [groups[uid][0] for uid in uids], len(uids) > 1))
    return result


def _likeness(item: Slice) -> tuple:
    """What slices of one series have in common."""
    one, form = item.identity, item.format
    rounded = tuple(
        None if values is None else tuple(round(v, 3) + 0.0 for v in values)
        for values in (item.orientation, item.spacing)
    )
    return (
        *(one.patient, one.study, one.frame_of_reference, one.sop_class, one.number),
        *(one.description, one.modality, form.rows, form.columns, form.bits_allocated, *rounded),
    )


def _letters(index: int) -> str:
    """a to z, aa, ab, ..."""
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def choose(contents: Contents, wanted: str | int | None) -> tuple[Series, list[Flag]]:
    """The series that is read: the wanted one, or the only one that can be a volume.

    Raises:
        InputError: There are several, or the wanted one is not there.
    """
    series = all_series(contents.slices)
    listing = _listing(series)
    if wanted is not None:
        found = [one for one in series if one.name == str(wanted).strip().lower()]
        if not found:
            asked = str(wanted) if re.fullmatch(r"\w{1,12}", str(wanted)) else "of that name"
            raise InputError(
                f"The folder has no series {asked}.", f"It holds series {listing}.", "no_such_series"
            )
        return found[0], []
    volumes = [one for one in series if one.may_be_a_volume]
    if len(series) == 1:
        return series[0], []
    if len(volumes) == 1 and not any(_may_belong_to(one, volumes[0]) for one in series):
        return volumes[0], [_left_out(volumes[0], series)]
    patients = len({s.identity.patient for s in contents.slices})
    whose = f" of {patients} patients" if patients > 1 else ""
    where = "The folder and its subfolders hold" if contents.deep else "The folder holds"
    remedy = "Say which one to use by its number, or put it in a folder of its own."
    if patients > 1:
        remedy = "Give the folder of each patient's T1 series; several folders can be given at once."
    raise InputError(
        f"{where} {len(series)} DICOM series{whose}: {listing}.",
        remedy,
        "several_patients" if patients > 1 else "several_series",
    )


def _listing(series: Sequence[Series]) -> str:
    """The series for a message; of very many, those with the most images."""
    shown = {id(one) for one in sorted(series, key=lambda one: -one.images)[:_LISTED]}
    text = ", ".join(str(one) for one in series if id(one) in shown)
    rest = len(series) - len(shown)
    return f"{text} and {rest} more with fewer images" if rest > 0 else text


def _may_belong_to(one: Series, other: Series) -> bool:
    """Whether images of one series may be slices that another lacks: same number, same size."""
    first, second = (
        (s.identity.number, s.format.rows, s.format.columns) for s in (one.slices[0], other.slices[0])
    )
    return one.uid != other.uid and first == second


def _left_out(chosen: Series, series: Sequence[Series]) -> Flag:
    others = sum(one.images for one in series) - chosen.images
    text = (
        f"Series {chosen.name} was read, the only one that can be a volume; other DICOM images in the "
        f"folder, {others} in number, were left out (a localiser or a screenshot, perhaps)."
    )
    return Flag("other_images", text, severity="info")


def lost_slices(series: Series, contents: Contents) -> list[Entry]:
    """Files that may be slices of a series and cannot be read, in the order of folders and names.

    They carry its UID; or they lie beside its slices, and have a name that differs from a slice's in its
    digits alone (an empty file, zeros, a link that leads nowhere), or the mark of DICOM and nothing that says
    that they belong elsewhere.
    """
    own = {s.identity.series for s in series.slices}
    others = {s.identity.series for s in contents.slices} - own
    classes = {s.identity.sop_class for s in series.slices}
    folders = {s.entry.folder for s in series.slices}
    shapes = {(s.entry.folder, _shape(s.entry)) for s in series.slices}

    def may_belong(one: Damaged) -> bool:
        if one.series in own or one.series in others:
            return one.series in own
        if (one.entry.folder, _shape(one.entry)) in shapes:
            return True
        told = bool(UID.fullmatch(one.series)) and not series.own_uids
        elsewhere = told or (is_registered(one.sop_class) and one.sop_class not in classes)
        return one.entry.folder in folders and not elsewhere

    lost = [one.entry for one in contents.damaged if may_belong(one)]
    lost += [entry for entry in contents.others if (entry.folder, _shape(entry)) in shapes]
    return sorted(lost, key=lambda entry: (entry.folder, entry.place))


def _shape(entry: Entry) -> str:
    """A file's name with its digits left out: what the slices of an export have in common."""
    return re.sub(r"\d+", "#", os.path.basename(entry.path))
