"""Segmenting (or taking existing results) and comparing with the reference, case by case."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from ..errors import (
    Cancelled,
    DependencyError,
    DeviceError,
    HippoSegError,
    InputError,
    ModelError,
    NotFoundError,
)
from ..io.images import read_scan
from ..labels import other_side
from ..options import SegmentOptions
from ..pipeline import segment
from .cases import EvaluationCase
from .grids import masks_of_labels, masks_of_probabilities, refuse_other_world, same_grid
from .labelmap import LabelMap, in_words, label_map, read_labels, values_in
from .metrics import compare, dice

#: Status of a row: compared; nothing found (counted, Dice 0); found on the other side (counted);
#: not labelled in this reference or result (not counted); not evaluated (not counted).
OK, MISSING, EXCHANGED, UNLABELLED, FAILED = "ok", "missing", "exchanged", "not labelled", "failed"
COUNTED = (OK, MISSING, EXCHANGED)


@dataclass(frozen=True)
class Row:
    """One structure of one case.

    Attributes:
        case, structure: Names; a failed case has one row, without a structure.
        state: One of the five above.
        note: What the state does not say, in words.
        values: Of `metrics.METRICS`; NaN where undefined, empty where nothing was compared.
        flags: What the segmentation remarked, in words.
    """

    case: str
    structure: str
    state: str
    note: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    flags: str = ""

    @property
    def status(self) -> str:
        return f"{self.state}: {self.note}" if self.note else self.state


@dataclass(frozen=True)
class CaseResult:
    """What became of one case: its rows, and `error` or (where it was segmented) the provenance."""

    case: str
    rows: tuple[Row, ...]
    error: HippoSegError | None = None
    provenance: Mapping | None = None


def check_references(cases: Sequence[EvaluationCase], meaning: LabelMap, region: bool = False) -> LabelMap:
    """Look through all references before anything is segmented.

    Returns:
        The label map without the parts that occur in none of them. An unreadable reference is passed
        over here: it will be its case's failure.

    Raises:
        InputError: A structure that must occur does so in none; the message says which values are there.
    """
    there: set[int] = set()
    error = None
    for case in cases:
        try:
            there |= set(values_in(read_labels(case.label, region)))
        except InputError as problem:
            error = error or problem
    if not there and error is not None:
        raise error
    present = meaning.present(there)
    for name in meaning.required:
        if name not in present:
            values = " or ".join(str(v) for v in meaning.values[name])
            raise InputError(
                f"No reference has the value {values} that the label map gives to '{name}'; "
                f"the values there are: {in_words(there)}.",
                "Name the right values; a side that is not labelled is left out.",
                "label_map_values",
            )
    return LabelMap(meaning.name, {name: meaning.values[name] for name in present}, tuple(meaning.required))


def evaluate_cases(
    cases: Sequence[EvaluationCase],
    meaning: LabelMap,
    *,
    results_meaning: LabelMap | None = None,
    region: bool = False,
    series: str | int | None = None,
    progress: Callable[[str, str, float], None] | None = None,
    options: SegmentOptions | None = None,
) -> Iterator[CaseResult]:
    """Compare each case; yields a `CaseResult` as it is done. A failed case is a row and not the end.

    Args:
        cases: From `cases.pair_cases`.
        meaning: Label map of the references, from `check_references`.
        results_meaning: Label map of existing results.
        region, series: As in `io.images.read_scan`.
        progress: Called with the case's name, the stage in words and the fraction done.
        options: How scans without an existing result are segmented.

    Raises:
        ModelError, DeviceError, DependencyError: At the first case, since all would fail. Cancelled.
    """
    done = 0
    for case in cases:
        tell = None
        if progress is not None:

            def tell(words: str, fraction: float, name: str = case.name) -> None:
                progress(name, words, fraction)

        try:
            if case.result is not None:
                result = _judge_existing(case, meaning, results_meaning or label_map("hipposeg"), region)
            else:
                result = _judge_segmented(case, meaning, region, series, tell, options)
            done += 1
        except Cancelled:
            raise
        except HippoSegError as error:
            if not done and isinstance(error, (ModelError, DeviceError, DependencyError)):
                raise
            result = CaseResult(case.name, (Row(case.name, "", FAILED, str(error)),), error)
        yield result


def _reference(
    case: EvaluationCase, meaning: LabelMap, region: bool
) -> tuple[sitk.Image, dict[str, np.ndarray]]:
    """The label image and the masks of the structures that it has."""
    image = read_labels(case.label, region)
    array = sitk.GetArrayViewFromImage(image)
    masks = {name: meaning.mask(array, name) for name in meaning.structures}
    masks = {name: mask for name, mask in masks.items() if mask.any()}
    if not masks:
        raise InputError(
            f"'{case.label.name}' has none of the label map's values; "
            f"the values there are: {in_words(values_in(image))}.",
            "Correct the labels, or the label map.",
        )
    return image, masks


def _judge_segmented(
    case: EvaluationCase, meaning: LabelMap, region: bool, series, tell, options
) -> CaseResult:
    reference, truth = _reference(case, meaning, region)
    assert case.scan is not None
    scan = read_scan(case.scan, region, series)
    refuse_other_world(scan.image, reference, truth, "scan", case.label.name)
    shared = same_grid(scan.image, reference)
    try:
        result = segment(scan, options, tell, parts=meaning.has_parts, probabilities=not shared)
    except NotFoundError as error:
        rows = _rows(case.name, meaning, reference, truth, {}, [str(error)])
        return CaseResult(case.name, rows)
    if shared:
        found = masks_of_labels(result.labels, label_map("hipposeg"), reference)
    else:
        found = masks_of_probabilities(result.labels, result.probabilities or {}, reference)
    flags = [flag.message for flag in result.flags]
    rows = _rows(case.name, meaning, reference, truth, found, list(dict.fromkeys(flags)))
    return CaseResult(case.name, rows, None, result.provenance)


def _judge_existing(
    case: EvaluationCase, meaning: LabelMap, results_meaning: LabelMap, region: bool
) -> CaseResult:
    reference, truth = _reference(case, meaning, region)
    assert case.result is not None
    labels = read_labels(case.result, region)
    refuse_other_world(labels, reference, truth, "result", case.label.name)
    there = values_in(labels)
    if there and not results_meaning.present(there):
        raise InputError(
            f"'{case.result.name}' has none of the values expected in a result; "
            f"the values there are: {in_words(there)}.",
            "Say what they mean.",
            "results_label_map",
        )
    found = masks_of_labels(labels, results_meaning, reference)
    return CaseResult(case.name, _rows(case.name, meaning, reference, truth, found, []))


def _rows(case, meaning, reference, truth, found, flags) -> tuple[Row, ...]:
    """A row per structure of the label map; masks are on the reference's grid."""
    spacing = reference.GetSpacing()[::-1]
    text = " ".join(flags)
    empty = np.zeros(reference.GetSize()[::-1], bool)
    rows = []
    for name in meaning.structures:
        words = name.replace("-", " ")
        if name not in truth:
            note = f"the reference does not label the {words} hippocampus; not counted"
            rows.append(Row(case, name, UNLABELLED, note, {}, text))
            continue
        if _without_parts(name, found):
            rows.append(Row(case, name, UNLABELLED, "the result has no parts; not counted", {}, text))
            continue
        mask = found.get(name, empty)
        values = compare(mask, truth[name], spacing)
        state, note = OK, ""
        if not mask.any():
            state, note = MISSING, f"no {words} hippocampus was found; counted as Dice 0"
        elif _lies_on_other_side(name, mask, truth, values["dice"]):
            state = EXCHANGED
            note = f"what was found as {words} lies on the other side's label: check the label map; counted"
        rows.append(Row(case, name, state, note, values, text))
    return tuple(rows)


def _without_parts(name: str, found: Mapping[str, np.ndarray]) -> bool:
    """Whether `name` is a part of a side that was found as a whole only."""
    side, *part = name.split("-")
    masks = [mask for key, mask in found.items() if key.startswith(f"{side}-")]
    whole = found.get(side)
    return bool(part) and whole is not None and bool(whole.any()) and not any(m.any() for m in masks)


def _lies_on_other_side(name: str, mask: np.ndarray, truth: Mapping[str, np.ndarray], own: float) -> bool:
    side, *part = name.split("-")
    other = truth.get("-".join([other_side(side), *part]))
    return other is not None and own < 0.1 and dice(mask, other) > 0.5
