"""A model that was opened: what every format gives, and what all that is done with a model goes through."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from bncheck.core import NormLayer, SiblingCopy
from bncheck.errors import UsageError
from bncheck.evidence import PYTORCH_ADVICE, Advice, Comparison
from bncheck.formats.folding import AffineOperation, Fold, Reference, Sources, folded_once, sources_of_tensors
from bncheck.formats.format import Container
from bncheck.formats.origin import Origin
from bncheck.formats.parts import require_unchanged
from bncheck.formats.quantization import holds_quantized
from bncheck.formats.tensors import coarsest_precision
from bncheck.formats.wiring.steps import Wiring
from bncheck.results import Note
from bncheck.tensors import torch
from bncheck.vocabulary import argument
from bncheck.watch import Session


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Backend(abc.ABC):
    """A model and what can be done with it, whatever file it came from.

    The fields are facts; the methods are all that differs between formats, and the defaults are those of a format that
    does no more than run. `bncheck.testing.check_backend` holds an implementation to all of this.

    Attributes:
        path: the file as the user named it; the class name for a module handed over in Python.
        format: the contract's `model.format`.
        sha256: of the file (of an index: over it and its shards); `None` for a module handed over in Python.
        layers: every normalization layer the file declares, in the order it declares them, shared ones once.
        origin: the file it came from and its writer; `None` for a module handed over in Python.
        fixed_batch: the only batch size the program accepts; `None` where any goes.
        has_convolutions: whether there are convolutions (or, where nothing tells, weights of rank 4).
        unsupported: names of layers that cannot be measured in this format; `notes` says why.
        refusal: why the program will not run on any data, although there is one; `None` where it will.
        averaged: it is an averaged copy (EMA, SWA), by its name in the checkpoint.
        siblings: other copies of it in the same file.
        counterparts: their tensors under the model's own names, by the copy's name, where their weights are others.
        optimizer_steps: how often the optimizer in the same file has stepped; `None` where none says.
        in_training: names of layers that were in training mode when the module was pickled.
        notes: what was chosen or stripped on the way in.
        folds: layers that were folded into convolutions, by the operation that holds them.
        comparison: with a reference, if one was given.
        stored_samples: behind what the layers store, where that was measured on reference data; `None` for what a
            training stored.
        packages: distributions whose versions a report names, besides torch and numpy.
        runnable: whether there is something to run.
        pools_batches: under the batch policy the runtime tells the moments of whole batches only.
    """

    path: str
    format: str
    layers: tuple[NormLayer, ...]
    sha256: str | None = None
    origin: Origin | None = None
    fixed_batch: int | None = None
    has_convolutions: bool = False
    unsupported: frozenset[str] = frozenset()
    refusal: str | None = None
    averaged: bool = False
    siblings: tuple[SiblingCopy, ...] = ()
    counterparts: Mapping[str, Mapping[str, torch.Tensor]] = field(default_factory=dict)
    optimizer_steps: int | None = None
    in_training: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()
    folds: Mapping[int | str, Fold] = field(default_factory=dict)
    comparison: Comparison | None = None
    stored_samples: int | None = None

    packages: ClassVar[tuple[str, ...]] = ()
    runnable: ClassVar[bool] = True
    pools_batches: ClassVar[bool] = False

    @property
    def advice(self) -> Advice:
        """What findings advise in such a file."""
        return PYTORCH_ADVICE

    @abc.abstractmethod
    def tensors(self) -> Mapping[str, torch.Tensor]:
        """Every tensor the model holds, by its name, in the model's order; no copies."""

    @abc.abstractmethod
    def session(self, source_name: str, seed: int) -> AbstractContextManager[Session]:
        """A session that runs the model while its layers are watched.

        Args:
            source_name: the data, for messages.
            seed: of what is random within the model.

        Raises:
            UsageError: there is nothing to run; the message says what to pass.
            ModelError: there is no runtime that can run it.
        """

    def require_runnable(self, otherwise: str) -> None:
        """Raise UsageError where there is nothing to run.

        Args:
            otherwise: what can be done all the same.
        """
        if not self.runnable:
            raise UsageError(f"{self.path} cannot be run on data: {otherwise}.")

    def in_mixed_precision(self, kind: str) -> Backend:
        """The model, run in mixed precision by `torch.autocast`; `kind` is `float16` or `bfloat16`.

        Raises:
            UsageError: it is not PyTorch that runs it.
        """
        if not self.runnable:
            return self  # and says so where it is run
        raise UsageError(
            f"{argument('amp')} {kind} is of models that PyTorch runs by operators of its own, and {self.path} is "
            "none: leave it out."
        )

    def module(self) -> torch.nn.Module:
        """The module to be fine-tuned, which is left as it is.

        Raises:
            UsageError: the model cannot be trained; the message says what to pass instead.
        """
        raise UsageError(f"{self.path} is of a format that cannot be fine-tuned: pass the PyTorch checkpoint.")

    @property
    def container(self) -> Container | None:
        """What kind of file it came from."""
        return None if self.origin is None else self.origin.container

    def files(self) -> tuple[Path, ...]:
        """Every file the model consists of, shards and external data too."""
        return () if self.origin is None else self.origin.files()

    def write(self, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool) -> tuple[Note, ...]:
        """Write the file to `target` with these tensors changed, and what belongs to it beside `target`.

        The file it came from is read again; everything else in it stays.

        Args:
            tensors: the new values by the tensor's name in the model, shape (C,) or the tensor's own.
            target: the main file, in an empty folder.
            beside: the result will lie in the folder of the original, so its parts need names of their own.

        Returns:
            What is different in the file besides the values, one sentence each.

        Raises:
            ModelError: a value does not fit the dtype that is stored, the tensor cannot be replaced in this file, or
                the file is not any more what was opened.
        """
        return self._written(lambda origin: origin.write(self, tensors, target, beside=beside))

    def write_by_instance(self, layers: Sequence[str], target: Path, *, beside: bool) -> tuple[Note, ...]:
        """Write the file to `target` with these InstanceNorm layers normalizing by the instance, as `write` does.

        Raises:
            ModelError: the file cannot be changed so, and the message says what to build instead; or it is not any
                more what was opened.
        """
        return self._written(lambda origin: origin.write_by_instance(self, layers, target, beside=beside))

    def _written(self, write: Callable[[Origin], tuple[Note, ...]]) -> tuple[Note, ...]:
        if self.origin is None:
            raise ValueError(f"{self.path} was not opened from a file")
        try:
            notes = write(self.origin)
        except Exception:
            require_unchanged(Path(self.path), self.sha256)  # says what is behind it, if it is that
            raise
        require_unchanged(Path(self.path), self.sha256)
        return notes

    def dropouts(self) -> tuple[torch.nn.Module, ...]:
        """Modules that drop values in training and can be switched; none where nothing can be."""
        return ()

    def operations(self) -> tuple[AffineOperation, ...]:
        """The convolutions and linear layers, those with the same weights once; layers may be folded into them."""
        return ()

    def first_operation(self) -> AffineOperation | None:
        """The first of the operations, if the model's input feeds it as far as that is known; no other is read."""
        return next(iter(self.operations()), None)

    def wiring(self) -> Wiring | None:
        """Which layer's output feeds which other, and through what; `None` where no graph is known or followed."""
        return None

    def hidden_channels(self) -> Mapping[str, npt.NDArray[np.bool_]]:
        """Channels of folded layers whose gamma is too small for their input to be seen, (C,), by the layer's name."""
        return {fold.layer.name: ~fold.visible for fold in self.folds.values() if not fold.visible.all()}

    def hidden_forms(self) -> tuple[str, ...]:
        """What some weights are stored as that cannot be compared with a reference's; none for most models."""
        return ()

    def bare_convolutions(self) -> int:
        """How many convolutions look as if a layer had been folded into them; 0 where nothing tells."""
        return 0

    def sources(self) -> Sources:
        """What may feed the layers, for a model whose layers were folded that has this one as its reference."""
        return sources_of_tensors(self.tensors())

    def with_folds(self, folds: Sequence[Fold]) -> Backend:
        """The model with its folded layers listed, and seen through when it is run."""
        layers = tuple(fold.layer for fold in folded_once(folds))
        return replace(self, layers=(*self.layers, *layers), folds={fold.key: fold for fold in folds})

    def provenance(self) -> Reference | None:
        """What the provenance metadata of the model's own file (its stamp) keep of a reference; `None` without.

        Raises:
            ModelError: they are damaged.
        """
        return None

    def require_metadata(self) -> None:
        """Raise UsageError where the file has no place for provenance metadata."""
        raise UsageError(
            f"{self.path} is no ONNX model: only their metadata take a stamp. Keep BatchNorm in the file instead."
        )

    def write_provenance(self, reference: Reference, target: Path) -> int:
        """Write the model's file to `target` with provenance metadata: `reference`, and where it was folded to.

        Returns:
            How many characters they take.
        """
        self.require_metadata()
        raise NotImplementedError(f"{type(self).__name__} writes no provenance metadata")

    def is_quantized(self) -> bool:
        """Whether it computes in steps, by its operators and the types of its tensors: its outputs differ by design."""
        return holds_quantized(self.tensors())

    def precision(self) -> float | None:
        """Spacing of the numbers around 1 in the coarsest type it computes in; `None` for a quantized model."""
        return None if self.is_quantized() else self.coarsest_type()

    def coarsest_type(self) -> float:
        """Spacing of the numbers around 1 in the coarsest type of floats that it holds."""
        return coarsest_precision(self.tensors().values())
