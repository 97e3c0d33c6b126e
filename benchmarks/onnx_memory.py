"""What the ONNX passes hold at their highest, beside a plain session: `python -m benchmarks.onnx_memory`."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import onnxruntime
import torch

from benchmarks.nets import resnet18_size
from benchmarks.onnx_overhead import exported
from bncheck.data.batches import Batch
from bncheck.formats import open_model
from bncheck.watch.policies import BATCH, STORED
from bncheck.watch.recorder import Recorder

SAMPLES = 32
ROUNDS = 2
PASSES = {
    "stored pass": [(STORED, True)],
    "batch pass": [(BATCH, True)],
    "all passes": [(BATCH, True), (STORED, True), (STORED, False)],
}
PLAIN = "plain session"


def peak(way: str, path: str) -> float:
    """MiB that this process, which has PyTorch and bncheck loaded, came to hold."""
    x = torch.randn(SAMPLES, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    if way == PLAIN:
        plain = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for _ in range(ROUNDS):
            plain.run(None, {"x": x.numpy()})
    else:
        with open_model(path).session("benchmark", 0) as session:
            for policy, recorded in PASSES[way] * ROUNDS:
                recorder = Recorder(per_sample=policy is STORED) if recorded else None
                session.run(Batch(x, None, SAMPLES), policy, recorder)
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]


def main() -> None:
    if len(sys.argv) > 1:
        print(peak(*sys.argv[1:]))
        return
    with tempfile.TemporaryDirectory() as folder:
        net = resnet18_size().eval()
        path = exported(net, Path(folder) / "net.onnx", torch.zeros(2, 3, 224, 224), folded=False)
        command = [sys.executable, "-m", "benchmarks.onnx_memory"]
        held = {
            way: float(subprocess.run([*command, way, str(path)], check=True, capture_output=True, text=True).stdout)
            for way in (PLAIN, *PASSES)
        }
    print(f"| ResNet-18 size as ONNX, {SAMPLES} images of 224x224 | MiB | by a plain session |")
    print("|---|---|---|")
    for way, mib in held.items():
        print(f"| {way} | {mib:,.0f} | {mib / held[PLAIN]:.2f} |")


if __name__ == "__main__":
    sys.exit(main())
