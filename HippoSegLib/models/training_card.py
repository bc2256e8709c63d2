"""The parts of a model's card that say how its segmenter was trained and fine-tuned."""

from __future__ import annotations

from dataclasses import dataclass, field

from .fields import (
    OPTIONAL,
    Extra,
    FieldError,
    Fields,
    kept_as_is,
    left_out_if_empty,
    number,
    sequence,
    text,
    whole,
)


@dataclass(frozen=True)
class TrainingCard:
    """How a segmenter was trained; settings that nothing reads stand in `extra`.

    Attributes:
        command: What repeats the training; no places of the machine.
        seconds: It took.
        epochs_done: Epochs behind the weights.
        train_cases, validation_cases: Names of the cases it learned from and of those held out.
        metrics: In `earlier`, what that training came to.
        earlier: Trainings whose weights this one began with.
    """

    command: str = field(default="", metadata=OPTIONAL)
    seconds: float | None = None
    epochs_done: int | None = None
    train_cases: tuple[str, ...] = ()
    validation_cases: tuple[str, ...] = ()
    metrics: Extra = left_out_if_empty()
    earlier: tuple[TrainingCard, ...] = field(default=(), metadata=OPTIONAL)
    extra: Extra = kept_as_is()

    @classmethod
    def read(cls, values: object, place: str, depth: int = 3) -> TrainingCard:
        """Read from JSON values; raises FieldError."""
        fields = Fields(values, place)

        def earlier(one: object, where: str) -> TrainingCard:
            if not depth:
                raise FieldError(where, "is nested too deeply")
            return cls.read(one, where, depth - 1)

        names = sequence(text)
        return cls(
            command=fields.text("command", ""),
            seconds=fields.optional("seconds", number(0, 1e10)),
            epochs_done=fields.optional("epochs_done", whole(0, 10**9)),
            train_cases=fields.value("train_cases", names, ()),
            validation_cases=fields.value("validation_cases", names, ()),
            metrics=fields.free("metrics"),
            earlier=fields.value("earlier", sequence(earlier), ()),
            extra=fields.rest(),
        )

    @property
    def all_train_cases(self) -> frozenset[str]:
        """Names of every case that had a part in the weights, also in earlier trainings."""
        return frozenset(self.train_cases).union(*(one.all_train_cases for one in self.earlier))


@dataclass(frozen=True)
class FineTuningCard:
    """What a fine-tuning did; cases are named by the SHA-256 of their scan and label alone.

    Attributes:
        train_cases_sha256, validation_cases_sha256: The cases learned from and judged by.
        judged_by: How the judged cases were kept apart, in words.
        comparison: With the base model, see `finetuning.comparison.compare_models`.
    """

    train_cases_sha256: tuple[str, ...] = ()
    validation_cases_sha256: tuple[str, ...] = ()
    judged_by: str = ""
    comparison: Extra = left_out_if_empty()
    extra: Extra = kept_as_is()

    @classmethod
    def read(cls, values: object, place: str) -> FineTuningCard:
        """Read from JSON values; raises FieldError."""
        fields = Fields(values, place)
        names = sequence(text)
        return cls(
            train_cases_sha256=fields.value("train_cases_sha256", names, ()),
            validation_cases_sha256=fields.value("validation_cases_sha256", names, ()),
            judged_by=fields.text("judged_by", ""),
            comparison=fields.free("comparison"),
            extra=fields.rest(),
        )

    @property
    def words(self) -> str:
        """What came of it, in one sentence; "" where the card does not say."""
        found = self.comparison.get("words")
        return found if isinstance(found, str) else ""
