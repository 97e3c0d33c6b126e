"""A model of which a part keeps all that judging takes: everything but its tensors and what would run it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bncheck.core import NormLayer, SiblingCopy
from bncheck.evidence import Advice, Comparison, ZeroedWeights
from bncheck.formats import Backend, plain
from bncheck.measure.layers import zeroed_weights
from bncheck.results import Note
from bncheck.tensors import torch


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RememberedModel:
    """What was known of a model when it was run; see `Backend` for what is not said here.

    Attributes:
        identity: SHA-256 by which two parts are of one model: that of its file, or over its tensors.
        hidden: channels of folded layers that cannot be seen, (C,), by the layer's name.
        zeroed: weights of exactly 0; `None` without any.
        bare: how many convolutions look as if a layer had been folded into them.
        stored_samples: behind what the layers store, where that was measured on reference data.
    """

    path: str
    format: str
    sha256: str | None
    identity: str
    runnable: bool
    layers: tuple[NormLayer, ...]
    has_convolutions: bool
    unsupported: frozenset[str]
    averaged: bool
    siblings: tuple[SiblingCopy, ...]
    optimizer_steps: int | None
    in_training: frozenset[str]
    notes: tuple[Note, ...]
    comparison: Comparison | None
    advice: Advice
    hidden: Mapping[str, npt.NDArray[np.bool_]]
    zeroed: ZeroedWeights | None
    bare: int
    stored_samples: int | None

    @classmethod
    def of(cls, model: Backend) -> RememberedModel:
        """What is to be remembered of a model."""
        return cls(
            path=model.path,
            format=model.format,
            sha256=model.sha256,
            identity=identity_of(model),
            runnable=model.runnable,
            layers=model.layers,
            has_convolutions=model.has_convolutions,
            unsupported=model.unsupported,
            averaged=model.averaged,
            siblings=model.siblings,
            optimizer_steps=model.optimizer_steps,
            in_training=model.in_training,
            notes=model.notes,
            comparison=model.comparison,
            advice=model.advice,
            hidden=model.hidden_channels(),
            zeroed=zeroed_weights(model.tensors().values()),
            bare=model.bare_convolutions(),
            stored_samples=model.stored_samples,
        )

    def hidden_channels(self) -> Mapping[str, npt.NDArray[np.bool_]]:
        """See `Backend`."""
        return self.hidden

    def bare_convolutions(self) -> int:
        """See `Backend`."""
        return self.bare


KnownModel: TypeAlias = Backend | RememberedModel
"""A model that can be judged by what was seen of it, whether or not it is here to be run."""


def zeroed_in(model: KnownModel) -> ZeroedWeights | None:
    """Its weights of exactly 0; `None` without any."""
    return model.zeroed if isinstance(model, RememberedModel) else zeroed_weights(model.tensors().values())


def identity_of(model: KnownModel) -> str:
    """SHA-256 by which two runs are of one model: that of its file, or over its tensors.

    What was measured on reference data in the place of stored statistics counts too.
    """
    if isinstance(model, RememberedModel):
        return model.identity
    own = model.sha256 or _digest(model)
    if model.stored_samples is None:
        return own
    digest = hashlib.sha256(own.encode())
    for layer in model.layers:
        digest.update(f"{layer.name}:".encode())
        digest.update(b"".join(values.tobytes() for values in (layer.mean, layer.var) if values is not None))
    return digest.hexdigest()


def _digest(model: Backend) -> str:
    """SHA-256 over the names, types and values of all tensors, for a model that came from no file."""
    digest = hashlib.sha256()
    for name, tensor in model.tensors().items():
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}:".encode())
        digest.update(plain(tensor).cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
