"""The settings that make a training what it is: two runs with equal settings and cases are equal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from ..errors import TrainingError
from ..models.network_shape import NetworkShape
from ..models.unet3d import WIDTHS
from ..preprocessing.chain import Preprocessing
from .augmentation import Augmentation
from .cases import CLASSES

#: The network's region (z, y, x) in voxels of 1 mm.
REGION_SHAPE = (48, 56, 40)


@dataclass(frozen=True)
class Transfer:
    """How a network that has learned already learns on.

    Attributes:
        decoder_epochs: Epochs at the start in which only the decoder learns.
        encoder_rate: Learning rate of the first level, as a part of the decoder's; the levels between
            rise geometrically.
        anchor: Pull back to the starting weights, in place of the weight decay (L2-SP, Li et al., ICML 2018).
        patience: Validations without improvement after which training ends; 0 never ends it early.
    """

    decoder_epochs: int = 5
    encoder_rate: float = 0.1
    anchor: float = 0.1
    patience: int = 10

    def __post_init__(self):
        if min(self.decoder_epochs, self.anchor, self.patience) < 0 or not 0 <= self.encoder_rate <= 1:
            raise TrainingError(
                "A setting of the transfer learning is impossible.",
                "Use values of 0 or more, and an encoder rate of at most 1.",
            )


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of a training run.

    Attributes:
        learning_rate, batch_size, num_epochs: See :func:`~.trainer.train_3d_unet`.
        seed: Of the split, the weights, the order, the augmentation and the dropout.
        preprocessing: Default: two channels, min-max and the method's CLAHE + SCE-3DWT.
        augmentation: Default strengths, see :class:`Augmentation`.
        region_shape: (z, y, x) voxels; multiples of 2 ** (levels - 1).
        widths, dropout: Of the network.
        weight_decay: AdamW's, not on norms and biases.
        ema_decay: Of the moving average of the weights, which is what is validated and returned.
        validate_every: Epochs between validations; the last is always validated.
        transfer: How a network that has learned already learns on.
        head_rate: Of the last layer, as a part of the learning rate: a new class has further to go.

    Raises:
        TrainingError: A value is impossible.
    """

    learning_rate: float = 0.001
    batch_size: int = 16
    num_epochs: int = 50
    seed: int = 0
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    augmentation: Augmentation = field(default_factory=Augmentation)
    region_shape: tuple[int, int, int] = REGION_SHAPE
    widths: tuple[int, ...] = WIDTHS
    dropout: float = 0.1
    weight_decay: float = 0.01
    ema_decay: float = 0.998
    validate_every: int = 1
    transfer: Transfer | None = None
    head_rate: float = 1.0

    def __post_init__(self):
        if not (min(self.batch_size, self.num_epochs, self.validate_every) >= 1 and self.learning_rate > 0):
            raise TrainingError(
                "Batch size, number of epochs, epochs between validations and learning rate must be above 0.",
                "Correct the training settings.",
            )
        divisor = self.network.divisor
        if len(self.region_shape) != 3 or not self.network.takes(self.region_shape):
            raise TrainingError(
                f"The region {tuple(self.region_shape)} does not fit a network of {len(self.widths)} levels.",
                f"Use three multiples of {divisor}, at least {2 * divisor}.",
            )

    @property
    def network(self) -> NetworkShape:
        """What network is trained."""
        return NetworkShape(len(self.preprocessing.channels), CLASSES, self.widths)

    def to_dict(self) -> dict:
        """Return the settings as plain JSON values, for run folder and card."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["preprocessing"] = self.preprocessing.to_dict()
        plain["augmentation"] = self.augmentation.to_dict()
        plain["transfer"] = None if self.transfer is None else asdict(self.transfer)
        plain["region_shape"], plain["widths"] = list(self.region_shape), list(self.widths)
        return plain
