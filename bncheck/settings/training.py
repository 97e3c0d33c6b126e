"""How a fine-tuning with Batch Renormalization goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from bncheck.errors import UsageError
from bncheck.settings.checks import (
    require_between,
    require_count,
    require_number,
    require_one_of,
    require_seed,
    require_text,
)
from bncheck.settings.edge import name_of_callable
from bncheck.settings.model import DEVICE
from bncheck.settings.sampling import SEED
from bncheck.vocabulary import argument

if TYPE_CHECKING:
    import torch

LossFunction: TypeAlias = "Callable[[Any, Any], torch.Tensor]"
"""`loss(outputs, labels) -> scalar`; the outputs are the model's, or the one that `output` names, the labels those of
the data, `None` without."""

LOSSES = ("cross_entropy", "binary_cross_entropy", "mse")
OPTIMIZERS = ("sgd", "adam", "adamw")
TRAINED = ("all", "norm")
PRECISIONS = ("float32", "bfloat16", "float16")
OPTIMIZER, LOSS, TRAIN, PRECISION = OPTIMIZERS[0], LOSSES[0], TRAINED[0], PRECISIONS[0]

STEPS = 2000
LEARNING_RATES = {"sgd": 0.02, "adam": 1e-3, "adamw": 1e-3}


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Says how a fine-tuning run goes.

    Attributes:
        steps: optimizer steps, one batch each; by default 2,000, or what `epochs` gives.
        epochs: passes over the data, instead of `steps`.
        batch_size: samples a batch, where the source does not make its own batches.
        optimizer: `sgd` (with `momentum`), `adam` or `adamw`.
        lr: highest learning rate; by default 0.02 for `sgd` and 0.001 for the others.
        momentum: of SGD, and the first beta of Adam.
        weight_decay: on weights of more than one axis.
        loss: `cross_entropy`, `binary_cross_entropy`, `mse`, or `loss(outputs, labels) -> scalar`.
        output: key or index of the output the loss is taken of; a callable without it gets all outputs.
        train: `all` parameters, or those of the Batch Renormalization layers alone (`norm`).
        r_max: final limit of r; 1 together with `d_max` 0 is plain batch normalization, for comparison.
        d_max: final limit of d.
        norm_momentum: weight of the newest batch in the layers' averages (alpha of the paper).
        precision: of the forward pass: `float32`, or `bfloat16` or (on CUDA) `float16` by autocast.
        device: where to train.
        seed: of dropout and of a loader's draws.
        evaluations: how often held-out data are evaluated, evenly over the run.
        patience: evaluations without improvement after which the run ends; `None` never ends it early.
        checkpoint: file to resume from if it exists, and to write now and then.
        checkpoint_every: steps between two writes.

    Raises:
        UsageError: a value means nothing, or two contradict each other.
    """

    steps: int | None = None
    epochs: int | None = None
    batch_size: int = 32
    optimizer: str = OPTIMIZER
    lr: float | None = None
    momentum: float = 0.9
    weight_decay: float = 0.0
    loss: str | LossFunction = LOSS
    output: str | None = None
    train: str = TRAIN
    r_max: float = 3.0
    d_max: float = 5.0
    norm_momentum: float = 0.01
    precision: str = PRECISION
    device: str = DEVICE
    seed: int = SEED
    evaluations: int = 20
    patience: int | None = None
    checkpoint: Path | None = None
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        if self.steps is not None and self.epochs is not None:
            raise UsageError(
                f"{argument('steps')} and {argument('epochs')} both say how long to train: give one of them."
            )
        for name in ("steps", "epochs", "batch_size", "evaluations", "patience", "checkpoint_every"):
            require_count(name, getattr(self, name))
        require_seed("seed", self.seed)
        require_one_of("optimizer", self.optimizer, OPTIMIZERS)
        require_one_of("train", self.train, TRAINED)
        require_one_of("precision", self.precision, PRECISIONS)
        require_text("output", self.output)
        if not callable(self.loss):
            require_one_of("loss", self.loss, LOSSES, "; for anything else name a function, FILE.py:CALLABLE")
        for name in ("r_max", "d_max"):
            require_number(name, getattr(self, name))
        require_between("lr", self.learning_rate, above=0.0)
        require_between("momentum", self.momentum, least=0.0, below=1.0)
        require_between("weight_decay", self.weight_decay, least=0.0)
        require_between("norm_momentum", self.norm_momentum, above=0.0, below=1.0)
        require_number("seed", self.seed, whole=True)
        require_text("device", self.device)
        if self.precision == "float16" and self.device.startswith("cpu"):
            raise UsageError(
                f"{argument('precision')} float16 needs a GPU ({argument('device')} cuda): on the CPU choose bfloat16 "
                "or float32."
            )

    @property
    def learning_rate(self) -> float:
        """The highest learning rate."""
        return LEARNING_RATES[self.optimizer] if self.lr is None else self.lr

    @property
    def loss_name(self) -> str:
        """The loss as a reader knows it."""
        return self.loss if isinstance(self.loss, str) else name_of_callable(self.loss)
