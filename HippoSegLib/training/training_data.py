"""What a training is told of its cases beside images and labels, and which of them it learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import TrainingError
from .background_context import BackgroundContext
from .cases import Case, hold_out, make_case


@dataclass(frozen=True)
class TrainingData:
    """Subjects, names, validation cases and background context of a training.

    Attributes:
        validation: Other subjects' (images, labels) or cases, used as they are, never trained on.
        subject_ids: One per case. Without `validation`, `validation_fraction` of the subjects is held
            out; both sides of a subject stay together. With `validation` as cases, they serve to make
            sure that no subject is on both sides.
        names: Case ids for log and card.
        contexts: Background context the crops are set into.
    """

    validation: tuple[Sequence, Sequence] | Sequence[Case] | None = None
    subject_ids: Sequence[str] | None = None
    validation_fraction: float = 0.2
    names: Sequence[str] | None = None
    contexts: Sequence[BackgroundContext] = ()

    def cases(self, images: Sequence, labels: Sequence, seed: int) -> tuple[list[Case], list[Case]]:
        """Return training and validation cases; `seed` chooses the subjects that are held out.

        Raises:
            TrainingError: There are none, they cannot be used, or a subject is on both sides.
        """
        self._check(len(images), len(labels))
        names = [f"case_{i:03d}" for i in range(len(images))] if self.names is None else list(self.names)
        subjects = names if self.subject_ids is None else list(map(str, self.subject_ids))
        cases = [make_case(*one) for one in zip(names, subjects, images, labels, strict=True)]
        if self.validation is None:
            learned, kept = hold_out(subjects, self.validation_fraction, seed)
            return [cases[i] for i in learned], [cases[i] for i in kept]
        held = _validation_cases(self.validation)
        both = {case.subject for case in cases} & {case.subject for case in held}
        if both:
            raise TrainingError(
                f"{len(both)} subject(s) are both in training and in validation.",
                "Keep all cases of a subject on one side.",
            )
        return cases, held

    def _check(self, images: int, labels: int) -> None:
        """Raise TrainingError where the numbers do not fit, or nothing can be validated on."""
        if images != labels or not images:
            raise TrainingError(f"{images} images and {labels} labels.", "Give one label for each image.")
        for what, given in (("subject id", self.subject_ids), ("name", self.names)):
            if given is not None and len(given) != images:
                raise TrainingError(
                    f"{len(given)} {what}s for {images} images.", f"Give one {what} for each image."
                )
        if self.validation is None and self.subject_ids is None:
            raise TrainingError(
                "Training needs validation cases of other subjects, and there are none.",
                "Give validation cases, or the subject of each case so that some can be held out.",
            )


def _validation_cases(validation: Sequence) -> list[Case]:
    """Cases as they are, or made of (images, labels)."""
    if len(validation) and isinstance(validation[0], Case):
        return list(validation)
    if len(validation) != 2 or len(validation[0]) != len(validation[1]) or not len(validation[0]):
        raise TrainingError(
            "The validation cases are not a list of images and a list of as many labels.",
            "Give validation cases of other subjects as (images, labels).",
        )
    names = [f"validation_{i:03d}" for i in range(len(validation[0]))]
    return [make_case(name, name, *pair) for name, *pair in zip(names, *validation, strict=True)]
