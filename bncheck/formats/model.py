"""A model that can be run, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from bncheck.core.layers import NormLayer, SiblingCopy
from bncheck.evidence.comparison import Comparison
from bncheck.formats.folding import Fold
from bncheck.results.notes import Note

if TYPE_CHECKING:
    from bncheck.formats.onnx.graph import OnnxGraph

MODULE = "module"
STATE_DICT = "state_dict"
SAFETENSORS = "safetensors"
TORCHSCRIPT = "torchscript"
EXPORTED = "exported"
ONNX = "onnx"


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where in its file a model's tensors stand, for whoever writes the file again.

    Attributes:
        container: what kind of file, one of the names in `bncheck.formats.recognise`.
        key: dotted path of the state dict or module inside a checkpoint; `""` where the checkpoint itself is it.
        names: the file's own names of the program's tensors, where these were renamed to fit an architecture: all
            of them for a tensor that is shared, and the one it would have where the file lacks it.
    """

    container: str
    key: str = ""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """What `open_model` gives: the layers a file declares and, where it can be run, the program.

    Attributes:
        path: the file as the user named it; the class name for a module handed over in Python.
        format: one of the constants above (the contract's `model.format`).
        sha256: of the file (of an index: over it and its shards); `None` for a module handed over in Python.
        layers: every normalization layer the file declares, in the order it declares them, shared ones once.
        program: bncheck's own copy, in eval mode, to be called with a batch's inputs; `None` where there
            are only tensors (a state dict without its architecture).
        graph: what is run instead of a program where the file is an ONNX model.
        tensor_names: name of every parameter and buffer by storage address (`Tensor.data_ptr()`);
            it identifies the layer of a normalization call.
        fixed_batch: the only batch size the program accepts; `None` where any goes.
        has_convolutions: whether there are convolutions (or, where nothing tells, weights of rank 4).
        unsupported: names of layers that cannot be measured in this format; `notes` says why.
        refusal: why the program will not run on any data, although there is one; `None` where it will.
        averaged: it is an averaged copy (EMA, SWA), by its name in the checkpoint.
        siblings: other copies of it in the same file.
        optimizer_steps: how often the optimizer in the same file has stepped; `None` where none says.
        in_training: names of layers that were in training mode when the module was pickled.
        notes: what was chosen or stripped on the way in.
        tensors: the file's tensors by name, where there is nothing to run.
        folds: layers that were folded into convolutions, by the operation that holds them.
        comparison: with a reference, if one was given.
        origin: where in the file its tensors stand; `None` for a module handed over in Python.
    """

    path: str
    format: str
    sha256: str | None
    layers: tuple[NormLayer, ...]
    program: torch.nn.Module | None = None
    graph: OnnxGraph | None = None
    tensor_names: Mapping[int, str] = field(default_factory=dict)
    fixed_batch: int | None = None
    has_convolutions: bool = False
    unsupported: frozenset[str] = frozenset()
    refusal: str | None = None
    averaged: bool = False
    siblings: tuple[SiblingCopy, ...] = ()
    optimizer_steps: int | None = None
    in_training: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()
    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    folds: Mapping[int | str, Fold] = field(default_factory=dict)
    comparison: Comparison | None = None
    origin: Origin | None = None

    @property
    def runnable(self) -> bool:
        """Whether there is something to run."""
        return self.program is not None or self.graph is not None
