"""Settings of a fine-tuning: defaults that work, and named presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace

from ..errors import TrainingError
from ..models.card_parts import SegmenterCard
from ..training.augmentation import Augmentation
from ..training.settings import TrainingSettings, Transfer


@dataclass(frozen=True)
class FineTuneSettings:
    """What may be chosen; preprocessing, region and network are the base model's and may not.

    Attributes:
        learning_rate: Highest, of the decoder; falls along a cosine.
        batch_size: Samples per step, reached by accumulating micro-batches.
        num_epochs: At most.
        decoder_epochs, encoder_rate, anchor, patience: See `Transfer`.
        dropout: Of whole feature maps in the two deepest levels.
        augmentation: Strength of the augmentation: 0 none, 1 as in the training from scratch.
        folds: Of the cross-validation of small sites.
        small_site: With fewer subjects than this, cross-validation; else a part is held out. A quarter of
            32 is 8 subjects: few can show a gain with a paired test, fewer than 6 cannot at all.
        validation_fraction: That part.
        seed: Of split, order, augmentation and dropout.
    """

    learning_rate: float = 0.001
    batch_size: int = 4
    num_epochs: int = 30
    decoder_epochs: int = 5
    encoder_rate: float = 0.2
    anchor: float = 0.1
    patience: int = 10
    dropout: float = 0.1
    augmentation: float = 1.0
    folds: int = 3
    small_site: int = 32
    validation_fraction: float = 0.25
    seed: int = 0

    def __post_init__(self):
        if self.folds < 2 or not 0 < self.validation_fraction < 1 or not 0 <= self.augmentation <= 1:
            raise TrainingError(
                "Folds, validation fraction or augmentation are impossible.",
                "Use 2 folds or more, a fraction between 0 and 1 and an augmentation from 0 to 1.",
            )
        if not 0 < self.learning_rate <= 0.1 or min(self.batch_size, self.num_epochs) < 1:
            raise TrainingError(
                f"Learning rate {self.learning_rate:g}, batch size {self.batch_size} or "
                f"{self.num_epochs} epochs are impossible.",
                "Use the defaults; a learning rate of at most 0.1.",
            )

    @classmethod
    def preset(cls, name: str = "default", **changes) -> FineTuneSettings:
        """Return a preset with changes; ``method`` has the published method's own values.

        Raises:
            TrainingError: There is no such preset or setting, or a value is impossible.
        """
        if name not in PRESETS:
            raise TrainingError(f"There is no preset '{name}'.", f"Use one of {', '.join(PRESETS)}.")
        unknown = set(changes) - {f.name for f in fields(cls)}
        if unknown:
            raise TrainingError(f"There is no setting '{sorted(unknown)[0]}'.", "Leave it out.")
        return replace(cls(**PRESETS[name]), **changes)

    def to_dict(self) -> dict:
        """Return plain values, for card and run folder."""
        return asdict(self)

    def of_training(self, part: SegmenterCard) -> TrainingSettings:
        """Return the training loop's settings for a model whose card's segmenter part is ``part``."""
        return TrainingSettings(
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            num_epochs=self.num_epochs,
            seed=self.seed,
            preprocessing=part.preprocessing,
            augmentation=scaled(Augmentation(), self.augmentation),
            region_shape=part.roi_size,
            widths=part.widths,
            dropout=self.dropout,
            # Some tens of steps: an average over the last of them, not over the whole training.
            ema_decay=0.95,
            transfer=Transfer(self.decoder_epochs, self.encoder_rate, self.anchor, self.patience),
        )


#: The method's own (IEEE Access 2025): learning rate 0.001, batch size 16, 50 epochs.
PRESETS: dict[str, dict] = {
    "default": {},
    "method": {"learning_rate": 0.001, "batch_size": 16, "num_epochs": 50},
}


def scaled(augmentation: Augmentation, strength: float) -> Augmentation:
    """Return a weaker augmentation: ranges towards none, probabilities in proportion."""
    changes: dict = {}
    for field in fields(Augmentation):
        value = getattr(augmentation, field.name)
        if field.name == "context_probability":
            changes[field.name] = 0.0  # a site's cases keep their own surroundings
        elif field.name == "scale":
            changes[field.name] = tuple(1 + strength * (v - 1) for v in value)
        elif isinstance(value, float) and (
            field.name.endswith("probability") or field.name in ("shift", "rotation", "stretch")
        ):
            changes[field.name] = strength * value
    return replace(augmentation, **changes)
