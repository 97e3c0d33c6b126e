"""A folder with everything that a command can read, and the commands that read it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from bncheck import write_moments

CODE = Path(__file__).with_name("users_code.py")
CHANNELS = 2


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it is typed, and what it reads.

    Attributes:
        typed: without its outputs.
        outputs: how each of them is typed before the file.
        inputs: files by what the message calls them.
        beside: an output that must not appear when another is refused.
    """

    typed: tuple[str, ...]
    outputs: tuple[tuple[str, ...], ...]
    inputs: dict[str, str]
    beside: tuple[str, ...] = ()


CONFIGURATION = {"bncheck.toml": "the configuration"}
BESIDE = ("--report", "csv=beside.csv")
SHARDS = ("part-1.safetensors", "part-2.safetensors")
REPORT, BASELINE, OUT, RESUME = ("--report", "json="), ("--write-baseline",), ("--out",), ("--resume",)
MOMENTS = ("--write-moments",)
RENORM = ("repair", "model.pt", "--method", "renorm", "--data", "data.npz", "--arch", "net.py:Net")
COMMANDS = {
    "inspect": Command(
        (
            *(
                "inspect",
                "model.pt",
                "--arch",
                "net.py:Net",
                "--data",
                "data.npz",
                "--train-data",
                "batches.py:batches",
            ),
            *("--reference", "weights.safetensors.index.json", "--reference-arch", "old_net.py:Net"),
            *("--metric", "metric.py:negative_loss", "--baseline", "known.json"),
        ),
        (REPORT, BASELINE),
        {
            **CONFIGURATION,
            "model.pt": "MODEL",
            "net.py": "--arch",
            "data.npz": "--data",
            "batches.py": "--train-data",
            "weights.safetensors.index.json": "--reference",
            "old_net.py": "--reference-arch",
            **dict.fromkeys(SHARDS, "a part of --reference"),
            "metric.py": "--metric",
            "photos/cat/1.png": "--data",
        },
        BESIDE,
    ),
    "inspect a sharded model": Command(
        ("inspect", "weights.safetensors.index.json", "--baseline", "known.json", "--arch", "pack.nets:Net"),
        (REPORT,),
        {
            "weights.safetensors.index.json": "MODEL",
            **dict.fromkeys(SHARDS, "a part of MODEL"),
            "known.json": "--baseline",
            "pack/nets.py": "--arch",
            "pack/__init__.py": "--arch",
        },
        BESIDE,
    ),
    "inspect an ONNX model on photos": Command(
        ("inspect", "model.onnx", "--data", "photos", "--train-data", "photos.tar"),
        (REPORT, BASELINE, MOMENTS),
        {
            "model.onnx": "MODEL",
            "model.onnx.bin": "a part of MODEL",
            "photos/cat/1.png": "--data",
            "photos/dog/1.png": "--data",
            "photos.tar": "--train-data",
        },
        BESIDE,
    ),
    "inspect --renorm": Command(
        (
            *("inspect", "model.pt", "--arch", "net.py:Net", "--data", "held.npz"),
            *("--renorm", "--train-data", "data.npz", "--steps", "3"),
        ),
        (REPORT, OUT),
        {**CONFIGURATION, "model.pt": "MODEL", "net.py": "--arch", "data.npz": "--train-data", "held.npz": "--data"},
        BESIDE,
    ),
    "repair": Command(
        (*RENORM, "--train-data", "batches.py:batches", "--heldout", "held.npz", "--loss", "loss.py:negative_loss"),
        (("--out", "new.pt", *REPORT), ("--overwrite", *OUT), ("--out", "new.pt", *RESUME)),
        {
            **CONFIGURATION,
            "model.pt": "MODEL",
            "net.py": "--arch",
            "data.npz": "--data",
            "batches.py": "--train-data",
            "held.npz": "--heldout",
            "loss.py": "--loss",
        },
        BESIDE,
    ),
    "repair a sharded model": Command(
        ("repair", "weights.safetensors.index.json", "--data", "data.npz", "--arch", "net.py:Net"),
        (("--out", "new.safetensors.index.json", *REPORT), ("--overwrite", *OUT)),
        {"weights.safetensors.index.json": "MODEL", **dict.fromkeys(SHARDS, "a part of MODEL")},
        BESIDE,
    ),
    "diff": Command(
        ("diff", "model.pt", "weights.safetensors.index.json"),
        (REPORT,),
        {
            **CONFIGURATION,
            "model.pt": "A",
            "weights.safetensors.index.json": "B",
            **dict.fromkeys(SHARDS, "a part of B"),
        },
        BESIDE,
    ),
    "stamp": Command(
        ("stamp", "model.onnx", "--reference", "weights.safetensors.index.json", "--reference-arch", "old_net.py:Net"),
        (OUT,),
        {
            **CONFIGURATION,
            "model.onnx": "MODEL.onnx",
            "model.onnx.bin": "a part of MODEL.onnx",
            "weights.safetensors.index.json": "--reference",
            "old_net.py": "--reference-arch",
            **dict.fromkeys(SHARDS, "a part of --reference"),
        },
    ),
    "merge": Command(
        ("merge", "part.safetensors", "--baseline", "known.json"),
        (REPORT, BASELINE),
        {**CONFIGURATION, "part.safetensors": "FILE..."},
        BESIDE,
    ),
    "gate": Command(
        ("gate", "saved.json", "--baseline", "known.json"),
        (REPORT, BASELINE),
        {**CONFIGURATION, "saved.json": "REPORT.json"},
        BESIDE,
    ),
    "gate under pyproject.toml": Command(
        ("gate", "saved.json", "--baseline", "known.json"),
        (REPORT,),
        {"pyproject.toml": "the configuration", "known.json": "--baseline"},
        BESIDE,
    ),
}


def write_everything(folder: Path, model: Path, data: Path) -> None:
    """Fill `folder`; what is named `.pt` and `.npz` is a copy of what is given."""
    for name in ("net.py", "old_net.py", "batches.py", "metric.py", "loss.py"):
        shutil.copy(CODE, folder / name)
    (folder / "pack").mkdir()
    (folder / "pack" / "__init__.py").write_text('"""A package."""\n')
    shutil.copy(CODE, folder / "pack" / "nets.py")
    shutil.copy(model, folder / "model.pt")
    for name in ("data.npz", "held.npz"):
        shutil.copy(data, folder / name)
    write_moments(nn.BatchNorm1d(4).eval(), torch.randn(40, 4), folder / "part.safetensors")
    for kind in ("cat", "dog"):
        (folder / "photos" / kind).mkdir(parents=True)
        Image.new("RGB", (4, 4), kind == "cat").save(folder / "photos" / kind / "1.png")
    shutil.make_archive(str(folder / "photos"), "tar", folder / "photos")
    write_shards(folder, torch.load(model, weights_only=True))
    write_onnx(folder / "model.onnx")
    (folder / "bncheck.toml").write_text('fail-on = "never"\n')
    (folder / "pyproject.toml").write_text("[tool.other]\n")
    (folder / "known.json").write_text('{"bncheck_baseline": 1, "findings": []}\n')


def write_shards(folder: Path, state: dict[str, torch.Tensor]) -> Path:
    """An index and two shards."""
    weight_map = {name: SHARDS[at % 2] for at, name in enumerate(sorted(state))}
    for shard in SHARDS:
        save_file({name: state[name] for name in state if weight_map[name] == shard}, folder / shard)
    index = folder / "weights.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    return index


def write_onnx(path: Path) -> Path:
    """A BatchNormalization whose values stand in a file beside it."""
    rng = np.random.default_rng(0)
    values = {name: rng.uniform(1, 2, CHANNELS).astype(np.float32) for name in ("gamma", "beta", "mean", "var")}
    node = helper.make_node("BatchNormalization", ["x", *values], ["y"], name="norm")
    shape = ["n", CHANNELS, 4, 4]
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path, save_as_external_data=True, location=f"{path.name}.bin", size_threshold=0)
    return path
