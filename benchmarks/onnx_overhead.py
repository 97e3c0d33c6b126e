"""What the ONNX passes cost beside onnxruntime's session as it is by default: `python -m benchmarks.onnx_overhead`."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime
import torch

from benchmarks.nets import resnet18_size
from benchmarks.timing import interleaved, ratios
from bncheck.data.batches import Batch
from bncheck.formats import Backend, from_module, open_model
from bncheck.formats.folding.referencing import reference_of, with_reference
from bncheck.formats.onnx.model import OnnxBackend
from bncheck.formats.onnx.running.session import OnnxSession
from bncheck.watch.policies import BATCH, STORED, Policy
from bncheck.watch.recorder import Recorder

ROUNDS = 9


def trained(x: torch.Tensor) -> torch.nn.Module:
    """ResNet-18's size, statistics fitted to the data as in a trained network."""
    torch.manual_seed(0)
    net = resnet18_size()
    with torch.no_grad():
        for _ in range(20):
            net(x)
    return net.eval()


def exported(net: torch.nn.Module, path: Path, x: torch.Tensor, *, folded: bool) -> Path:
    """The network as ONNX, by the older exporter, which folds by default and keeps BatchNorm if told so."""
    keeping: dict[str, Any] = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    dynamic = {"x": {0: "batch"}, "y": {0: "batch"}}
    names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": dynamic}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (x[:2],), path, dynamo=False, **names, **({} if folded else keeping))
    return path


def ways(model: Backend, x: torch.Tensor) -> dict[str, Callable[[], object]]:
    assert isinstance(model, OnnxBackend)
    plain = onnxruntime.InferenceSession(model.graph.proto.SerializeToString(), providers=["CPUExecutionProvider"])
    batch, feeds = Batch(x, None, len(x)), {"x": x.numpy()}

    def under(policy: Policy, *, recorded: bool = True) -> Callable[[], object]:
        # Each has a session of its own: a pass runs by one policy, batch after batch.
        session = OnnxSession(model, "benchmark")
        return lambda: session.run(batch, policy, Recorder(per_sample=policy is STORED) if recorded else None)

    return {
        "plain session": lambda: plain.run(None, feeds),
        "stored pass": under(STORED),
        "by other statistics, nothing recorded": under(STORED, recorded=False),
        "batch pass": under(BATCH),
    }


def main() -> None:
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    x = torch.randn(16, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    net = trained(x)
    with tempfile.TemporaryDirectory() as folder:
        kept = open_model(exported(net, Path(folder) / "kept.onnx", x, folded=False))
        bare = open_model(exported(net, Path(folder) / "folded.onnx", x, folded=True))
    folded = with_reference(bare, reference_of(from_module(net)))
    tables = [ratios(interleaved(ways(model, x), ROUNDS), "plain session") for model in (kept, folded)]
    print("| ResNet-18 size as ONNX, batch 16, by a plain session | BatchNorm kept | folded, with its reference |")
    print("|---|---|---|")
    for way in tables[0]:
        print(f"| {way} | {tables[0][way]:.2f} | {tables[1][way]:.2f} |")


if __name__ == "__main__":
    sys.exit(main())
