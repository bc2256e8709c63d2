"""A judgement in words and in the columns of a table: nothing but numbers and what they are, no diagnosis."""

from __future__ import annotations

from ..results.asymmetry import asymmetry_sentence
from ..results.wording import ASYMMETRY, VOLUME, number, volume_words
from .values import MEASURES, Judged, Judgement

_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
#: Attribute of `Judged` -> digits, for those that are not in the measure's own unit.
_PLAIN = {"percentile": 1, "percentile_low": 1, "percentile_high": 1, "z": 2}
_IN_UNIT = ("expected", "expected_low", "expected_high")


def ordinal(whole: int) -> str:
    """``1st``, ``12th``, ``93rd``."""
    return f"{whole}{'th' if whole // 10 % 10 == 1 else _ENDINGS.get(whole % 10, 'th')}"


def percentile_words(judged: Judged) -> str:
    """``3rd percentile (95 % interval: below 1 to 8)``."""
    if judged.percentile < 1:
        words = "below the 1st percentile"
    elif judged.percentile > 99:
        words = "above the 99th percentile"
    else:
        words = f"{ordinal(round(judged.percentile))} percentile"
    low, high = _percent(judged.percentile_low), _percent(judged.percentile_high)
    return f"{words} (95 % interval: {low} to {high})"


def _percent(value: float) -> str:
    if value < 1:
        return "below 1"
    return "above 99" if value > 99 else f"{value:.0f}"


def judgement_lines(judgement: Judgement) -> list[str]:
    """Sentences for people: a line per measure, why others are withheld, and the notes."""
    lines = [_line(judgement, name, one) for name, one in judgement.measures.items()]
    reasons: dict[str, list[str]] = {}
    for name, remark in judgement.withheld.items():
        reasons.setdefault(remark.sentence, []).append(name)
    for sentence, names in reasons.items():
        what = "" if len(names) == len(MEASURES) else f" ({', '.join(names)})"
        lines.append(f"No percentile{what}: {sentence}")
    return lines + [note.sentence for note in judgement.notes]


def _line(judgement: Judgement, name: str, one: Judged) -> str:
    if name == "asymmetry":
        low, high = (f"{float(number(v, ASYMMETRY)):+.1f}" for v in (one.expected_low, one.expected_high))
        than = "a larger difference than in "
        than += f"{judgement.less_asymmetric_controls} of {judgement.controls} controls"
        return f"{asymmetry_sentence(one.value)}: {than}; {percentile_words(one)}; expected {low} to {high} %"
    low, high = number(one.expected_low, VOLUME), number(one.expected_high, VOLUME)
    return f"{name} {volume_words(one.value)}: {percentile_words(one)}; expected {low} to {high} mm³"


def columns() -> list[str]:
    """The columns that a comparison adds to a table."""
    found = []
    for name in MEASURES:
        unit = "percent" if name == "asymmetry" else "mm3"
        found += [f"{name}_{value}" for value in _PLAIN]
        found += [f"{name}_{value}_{unit}" for value in _IN_UNIT]
    return [*found, "less_asymmetric_controls", "reference_codes", "reference_remarks", "reference"]


def cells(judgement: Judgement) -> list[str]:
    """The cells of `columns`; "" for what is withheld."""
    found: list[str] = []
    for name in MEASURES:
        one = judgement.measures.get(name)
        unit = ASYMMETRY if name == "asymmetry" else VOLUME
        found += ["" if one is None else f"{getattr(one, value):.{n}f}" for value, n in _PLAIN.items()]
        found += ["" if one is None else number(getattr(one, value), unit) for value in _IN_UNIT]
    less = judgement.less_asymmetric_controls
    withheld = judgement.withheld
    everywhere = {one.code for one in withheld.values()} if len(withheld) == len(MEASURES) else set()
    codes = [
        one.code if one.code in everywhere and len(everywhere) == 1 else f"{one.code}:{name}"
        for name, one in withheld.items()
    ]
    codes += [note.code for note in judgement.notes]
    said = [one.sentence for one in (*withheld.values(), *judgement.notes)]
    return [
        *found,
        "" if less is None else str(less),
        " ".join(dict.fromkeys(codes)),
        " ".join(dict.fromkeys(said)),
        judgement.reference,
    ]
