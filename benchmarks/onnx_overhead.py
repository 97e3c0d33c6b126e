"""What the ONNX passes cost beside a plain, optimised onnxruntime session: `python -m benchmarks.onnx_overhead`."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.nets import resnet18_size
from benchmarks.timing import interleaved, ratios
from bncheck.data.batches import Batch
from bncheck.models import open_model
from bncheck.observe.onnx_instrument import OnnxInstrument
from bncheck.observe.onnx_session import Session
from bncheck.observe.policies import BATCH, STORED, Policy
from bncheck.observe.recorder import Recorder

ROUNDS = 9


def exported(folder: Path, x: torch.Tensor) -> Path:
    """ResNet-18's size, statistics fitted to the data as in a trained network, BatchNorm kept."""
    torch.manual_seed(0)
    net = resnet18_size()
    with torch.no_grad():
        for _ in range(20):
            net(x)
    keeping = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False, "dynamo": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dynamic = {"x": {0: "batch"}, "y": {0: "batch"}}
        names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": dynamic}
        torch.onnx.export(net.eval(), (x[:2],), folder / "net.onnx", **names, **keeping)
    return folder / "net.onnx"


def ways(path: Path, x: torch.Tensor) -> dict[str, Callable[[], object]]:
    model = open_model(path)
    assert model.graph is not None
    plain = Session(model.graph.proto, str(path))
    instrument = OnnxInstrument(model, "benchmark")
    batch, feeds = Batch(x, None, len(x)), {"x": x.numpy()}

    def under(policy: Policy) -> Callable[[], object]:
        return lambda: instrument.run(batch, policy, Recorder(apart=policy is STORED))

    return {
        "plain session": lambda: plain.run(feeds, model.graph.outputs),
        "stored pass": under(STORED),
        "by other statistics, nothing recorded": lambda: instrument.run(batch, STORED, None),
        "batch pass": under(BATCH),
    }


def main() -> None:
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    x = torch.randn(16, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        table = ratios(interleaved(ways(exported(Path(folder), x), x), ROUNDS), "plain session")
    print("| ResNet-18 size as ONNX, batch 16, by a plain onnxruntime session | ratio |\n|---|---|")
    for way, ratio in table.items():
        print(f"| {way} | {ratio:.2f} |")


if __name__ == "__main__":
    sys.exit(main())
