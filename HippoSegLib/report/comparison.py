"""What a comparison with a reference says, in rows and sentences."""

from __future__ import annotations

from ..labels import SIDES
from ..reference import Judged, Judgement, Reference
from ..results.wording import VOLUME, millilitres, number
from .definitions import Definition
from .rows import Row

#: Term of a reference's linear models -> what it evens out.
_TERMS = {"age": "age", "male": "sex", "log_intracranial": "head size"}
NO_REFERENCE = (
    "No reference was used: this page does not say whether these volumes are small or large for this "
    "person's age, sex and head size."
)


def percentile_words(judged: Judged) -> str:
    """A percentile with its interval: ``12 (8–18)``; no tail is told more exactly than "under 1"."""
    low, high = _percent(judged.percentile_low), _percent(judged.percentile_high)
    words = _percent(judged.percentile)
    return words if low == high == words else f"{words} ({low}–{high})"


def _percent(value: float) -> str:
    if value < 1:
        return "<1"
    return ">99" if value > 99 else f"{value:.0f}"


def comparison_rows(judgement: Judgement) -> list[Row]:
    """Rows of the table; empty where nothing could be compared."""
    of = {name: judgement.measures.get(name) for name in (*SIDES, "total")}
    if not any(of.values()):
        return []
    percentiles = {name: "" if one is None else percentile_words(one) for name, one in of.items()}
    expected = {name: "" if one is None else _expected(one) for name, one in of.items()}
    return [Row("Percentile", **percentiles), Row("95 % range, mm³", **expected)]


def _expected(judged: Judged) -> str:
    low, high = (number(value, VOLUME) for value in (judged.expected_low, judged.expected_high))
    return f"{low}–{high}"


def comparison_sentences(judgement: Judgement | None) -> list[str]:
    """Why there is no comparison, and what to know of one."""
    if judgement is None:
        return [NO_REFERENCE]
    reasons = dict.fromkeys(remark.sentence for remark in judgement.withheld.values())
    found = [
        f"Not compared with the {judgement.controls} controls of the reference: {one}" for one in reasons
    ]
    return [*found, *(note.sentence for note in judgement.notes)]


def asymmetry_rank(judgement: Judgement | None) -> str:
    """How the difference between the sides compares, in words; "" where it is not compared."""
    if judgement is None or judgement.less_asymmetric_controls is None:
        return ""
    less = judgement.less_asymmetric_controls
    words = f"A larger difference than in {less} of your {judgement.controls} controls"
    judged = judgement.measures.get("asymmetry")
    if judged is None:
        return f"{words}."
    return f"{words}; right minus left lies at percentile {percentile_words(judged)}."


def comparison_definitions(judgement: Judgement | None, reference: Reference | None) -> list[Definition]:
    """What the numbers of the comparison are; empty where there are none."""
    if judgement is None or not judgement.measures:
        return []
    terms = _TERMS.values() if reference is None else [_TERMS[t] for t in reference.terms if t in _TERMS]
    *first, last = terms
    like = f"{', '.join(first)} and {last}" if first else last
    return [
        Definition(
            "Percentile",
            f"of 100 people like this one in {like}, as your {judgement.controls} controls let expect, so "
            "many have a smaller value; in brackets its 95 % confidence interval.",
        ),
        Definition("95 % range", "95 of 100 such people lie in it."),
    ]


def curve_caption(judgement: Judgement, intracranial_mm3: float) -> str:
    """For whom the curves are."""
    who = {"female": "women", "male": "men"}.get(judgement.person.sex or "", "people")
    size = millilitres(intracranial_mm3)
    return f"Percentiles over age of {who} with an intracranial volume of {size}. The dot is this person."
