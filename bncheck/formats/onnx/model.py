"""ONNX models as backends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from bncheck.errors import RefusedError, UsageError
from bncheck.evidence import Advice
from bncheck.formats.backend import Backend
from bncheck.formats.folding import AffineOperation, Fold, Reference, Source, Sources
from bncheck.formats.onnx.advice import advice_for
from bncheck.formats.onnx.affine import affine_operations, coarsest_precision, first_operation, hidden_forms
from bncheck.formats.onnx.bare import bare_convolutions
from bncheck.formats.onnx.graph import NormNode, OnnxGraph
from bncheck.formats.onnx.provenance import provenance_text, read_provenance, with_metadata
from bncheck.formats.quantization import computes_in_steps
from bncheck.formats.wiring.steps import Wiring
from bncheck.tensors import torch
from bncheck.vocabulary import argument
from bncheck.watch import Session


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OnnxBackend(Backend):
    """A graph that onnxruntime runs on the CPU.

    Attributes:
        graph: what running it takes.
    """

    graph: OnnxGraph
    packages: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")
    pools_batches: ClassVar[bool] = True

    @property
    def advice(self) -> Advice:
        """See `Backend.advice`: by what exported it."""
        return advice_for(self.graph.proto.producer_name)

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """The initializers of types that PyTorch has too."""
        stored = [tensor for tensor in self.graph.proto.graph.initializer if tensor.data_type != TensorProto.STRING]
        arrays = ((tensor.name, numpy_helper.to_array(tensor)) for tensor in stored)
        # Of NumPy's own types alone: PyTorch takes no others over.
        return {name: torch.from_numpy(np.array(value)) for name, value in arrays if _is_plain(value.dtype)}

    @contextlib.contextmanager
    def session(self, source_name: str, seed: int) -> Iterator[Session]:
        """See `Backend.session`; nothing in a graph is random."""
        from bncheck.formats.onnx.running.memory import give_memory_back  # an audit does without the runtime
        from bncheck.formats.onnx.running.session import OnnxSession

        try:
            yield OnnxSession(self, source_name)
        finally:
            give_memory_back()

    def module(self) -> torch.nn.Module:
        """Refuse: there is no module."""
        raise UsageError(
            f"{self.path} is an ONNX model, which is for inference and cannot be fine-tuned: pass the PyTorch "
            f"checkpoint it was exported from (with {argument('arch')}), and export the repaired model."
        )

    def operations(self) -> tuple[AffineOperation, ...]:
        """See `Backend.operations`."""
        return affine_operations(self.graph.proto, self.graph.opset)

    def first_operation(self) -> AffineOperation | None:
        """See `Backend.first_operation`."""
        return first_operation(self.graph.proto, self.graph.opset)

    def wiring(self) -> Wiring | None:
        """See `Backend.wiring`: by the nodes."""
        from bncheck.formats.onnx.wiring.drawn import wiring_of_onnx

        return wiring_of_onnx(self.graph)

    def hidden_forms(self) -> tuple[str, ...]:
        """See `Backend.hidden_forms`."""
        return hidden_forms(self.graph.proto, self.graph.opset)

    def bare_convolutions(self) -> int:
        """See `Backend.bare_convolutions`."""
        return bare_convolutions(self.graph.proto.graph)

    def sources(self) -> Sources:
        """See `Backend.sources`: the operations, in the order of the nodes."""
        order = {name: number for number, node in enumerate(self.graph.proto.graph.node) for name in node.output}
        operations = self.operations()
        positions = {node.layer.name: order[node.output] for node in self.graph.nodes}
        positions |= {operation.name: order[str(operation.key)] for operation in operations}
        found = tuple(Source(operation.name, operation.weight, bias=operation.bias) for operation in operations)
        return Sources(found, positions)

    def with_folds(self, folds: Sequence[Fold]) -> Backend:
        """See `Backend.with_folds`: the nodes tell where folded layers stand among the others."""
        by_key = {fold.key: fold for fold in folds}
        kept = {node.output: node for node in self.graph.nodes}
        outputs = [name for node in self.graph.proto.graph.node for name in node.output]
        nodes = tuple(
            kept.get(name) or NormNode(name, by_key[name].layer, by_key[name])
            for name in outputs
            if name in kept or name in by_key
        )
        running = {node.layer.name: node.layer for node in nodes}
        others = tuple(layer for layer in self.layers if layer.name not in running)
        graph = replace(self.graph, nodes=nodes)
        return replace(self, graph=graph, layers=(*running.values(), *others), folds=by_key)

    def provenance(self) -> Reference | None:
        """See `Backend.provenance`."""
        return read_provenance(self.graph.proto, self.path)

    def require_metadata(self) -> None:
        """Every ONNX model has metadata."""

    def write_provenance(self, reference: Reference, target: Path) -> int:
        """See `Backend.write_provenance`."""
        operations = {operation.key: operation for operation in self.operations()}
        text = provenance_text(reference, tuple(self.folds.values()), operations)
        content = with_metadata(Path(self.path).read_bytes(), text)
        if read_provenance(onnx.load_model_from_string(content), str(target)) is None:
            raise RefusedError(f"{target}: the stamp cannot be read back.")
        target.write_bytes(content)
        return len(text)

    def is_quantized(self) -> bool:
        """See `Backend.is_quantized`: whatever is stored, the nodes compute."""
        return computes_in_steps(node.op_type for node in self.graph.proto.graph.node)

    def coarsest_type(self) -> float:
        """See `Backend.coarsest_type`."""
        return coarsest_precision(self.graph.proto)


def _is_plain(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "fiub" and dtype.isbuiltin == 1
