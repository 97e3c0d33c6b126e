"""The base install: what it reads, audits and compares is told as where PyTorch is, and what it lacks is named."""

from __future__ import annotations

import argparse
import copy
import gzip
import json
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.called import Done, call
from tests.models.keras_files import archive
from tests.without_torch import without

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_models"
TORCH = "pip install 'bncheck[torch]'"


def trained() -> nn.Sequential:
    torch.manual_seed(0)
    blocks = [part for _ in range(3) for part in (nn.Conv2d(12, 12, 3, bias=False), nn.BatchNorm2d(12), nn.ReLU())]
    net = nn.Sequential(nn.Conv2d(3, 12, 3), nn.BatchNorm2d(12), nn.ReLU(), *blocks, nn.Conv2d(12, 2, 1))
    for _ in range(12):
        net(torch.randn(8, 3, 14, 14) + 1)
    return net.eval()


def halved(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.bfloat16() if value.is_floating_point() else value for name, value in state.items()}


def split(state: dict[str, torch.Tensor], folder: Path) -> Path:
    """The index of a checkpoint in two parts."""
    parts = [f"net-0000{part}-of-00002.bin" for part in (1, 2)]
    places = {name: parts[number % 2] for number, name in enumerate(state)}
    for part in parts:
        torch.save({name: value for name, value in state.items() if places[name] == part}, folder / part)
    index = folder / "net.bin.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}), encoding="utf-8")
    return index


def written(folder: Path) -> dict[str, Path]:
    """One network as files of every kind that is read without PyTorch, and some that are not."""
    net = trained()
    state = net.state_dict()
    moved = {**state, "1.running_mean": state["1.running_mean"] + 0.5}
    odd = {
        **copy.deepcopy(net).to(memory_format=torch.channels_last).state_dict(),
        "gate.weight_g": torch.rand(4, 1, 1, 1),
        "gate.weight_v": torch.rand(4, 3, 3, 3),
        "expanded": torch.ones(1).expand(5, 5),
        "strided": torch.arange(100.0)[10:20:3],
        "complex": torch.ones(3, dtype=torch.complex64),
        "small": torch.ones(3).to(torch.float8_e4m3fn),
        "empty": torch.empty(0, 3),
        "flags": torch.ones(2, dtype=torch.bool),
        "parameter": nn.Parameter(torch.tensor(3.5)),
        "epochs": 7,
    }
    checkpoint = {
        "state_dict": state,
        "ema": moved,
        "hyper_parameters": argparse.Namespace(lr=1),
        "optimizer": torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9).state_dict(),
    }
    paths = {name: folder / name for name in ("net.safetensors", "half.safetensors", "net.pth", "moved.pth")}
    save_file(state, paths["net.safetensors"])
    save_file(halved(state), paths["half.safetensors"])
    for name, content in {
        "net.pth": state,
        "moved.pth": moved,
        "odd.pth": odd,
        "run.ckpt": checkpoint,
        "half.pth": halved(state),
        "sparse.pth": {**state, "sparse": torch.eye(3).to_sparse()},
    }.items():
        paths[name] = folder / name
        torch.save(content, paths[name])
    for name in ("old.pth", "net.onnx", "folded.onnx", "scripted.pt", "module.pt"):
        paths[name] = folder / name
    torch.save(state, paths["old.pth"], _use_new_zipfile_serialization=False)
    torch.save(net, paths["module.pt"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(net).save(str(paths["scripted.pt"]))
        given = (torch.ones(1, 3, 14, 14),)
        for name, folds in (("net.onnx", False), ("folded.onnx", True)):
            mode = torch.onnx.TrainingMode.EVAL if folds else torch.onnx.TrainingMode.PRESERVE
            torch.onnx.export(net, given, str(paths[name]), dynamo=False, training=mode, do_constant_folding=folds)
    paths["net.pth.gz"] = folder / "net.pth.gz"
    paths["net.pth.gz"].write_bytes(gzip.compress(paths["net.pth"].read_bytes()))
    paths["net.bin.index.json"] = split(state, folder)
    paths["net.keras"] = archive(folder / "net.keras")
    return paths


READ = (
    *("net.safetensors", "half.safetensors", "net.pth", "odd.pth", "run.ckpt", "half.pth", "old.pth"),
    *("net.onnx", "folded.onnx", "net.keras", "net.pth.gz", "net.bin.index.json"),
)
"""Files that are read without PyTorch, exactly as with it."""
OF_SAMPLES = ("negative_variance.pth", "stale_statistics.ckpt", "tampered_layer.safetensors.index.json")


def same_commands(at: dict[str, Path]) -> list[list[str]]:
    return [
        ["--help"],
        ["rules"],
        ["rule", "BN101"],
        ["audit", *(str(at[name]) for name in READ), *(str(SAMPLES / name) for name in OF_SAMPLES)],
        *(["inspect", str(at[name]), "--no-config", "--report", "json=-"] for name in READ),
        *(["inspect", str(SAMPLES / name), "--no-config", "-v", "--all"] for name in OF_SAMPLES),
        ["inspect", str(at["folded.onnx"]), "--reference", str(at["net.pth"]), "--no-config"],
        ["diff", str(at["net.pth"]), str(at["moved.pth"]), "--expect-frozen", "1"],
        ["diff", str(at["net.safetensors"]), str(at["net.onnx"])],
        ["diff", str(at["half.pth"]), str(at["odd.pth"]), "--report", "json=-"],
        ["gate", str(at["report.json"])],
    ]


def lacking_commands(at: dict[str, Path]) -> dict[str, tuple[list[str], str]]:
    """What takes more than the base install, and what it is said to take."""
    net, data = str(at["net.pth"]), str(SAMPLES / "digits_eval.npz")
    return {
        "data": (["inspect", net, "--data", data], TORCH),
        "onnx on data": (["inspect", str(at["net.onnx"]), "--data", data], TORCH),
        "arch": (["inspect", net, "--arch", f"{SAMPLES / 'digits_net.py'}:build"], TORCH),
        "device": (
            ["inspect", net, "--device", "cuda"],
            f"bncheck: --device cuda needs PyTorch, which is not installed: {TORCH}",
        ),
        "repair": (["repair", net, "--data", data, "--out", f"{net}.repaired"], TORCH),
        "program": (["inspect", str(SAMPLES / "nan_statistics.pt2")], TORCH),
        "several": (["audit", str(at["scripted.pt"]), str(at["module.pt"])], TORCH),
        "trusted": (["inspect", str(at["module.pt"]), "--trust-pickle"], TORCH),
        "sparse": (["audit", str(at["sparse.pth"])], TORCH),
        "page": (
            ["inspect", net, "--report", str(at["report.json"].with_suffix(".html"))],
            "pip install 'bncheck[html]'",
        ),
        "table": (
            ["inspect", net, "--report", str(at["report.json"].with_suffix(".pdf"))],
            "the format cannot be told",
        ),
    }


EXPRESSIONS = {
    "bncheck.inspect({net!r}).summary.verdict": "<Verdict.OK",
    "bncheck.diff({net!r}, {net!r}).summary.layers_moved": "0",
    "bncheck.inspect({net!r}, [1])": "Running a model on data needs PyTorch",
    "bncheck.inspect({net!r})._repr_html_()": "None",
    "bncheck.inspect({net!r}).plot()": "A plot needs Matplotlib",
    "bncheck.BatchRenorm2d": "bncheck.nn needs PyTorch",
    "bncheck.nn": "needs PyTorch",
    "bncheck.repair_file": "bncheck.repair_file needs PyTorch",
    "bncheck.recalibrate": "bncheck.recalibrate needs PyTorch",
    "bncheck.data.StreamSource": "bncheck.data.StreamSource needs PyTorch",
    "bncheck.testing.reference_numbers": "bncheck.testing.reference_numbers needs PyTorch",
    "bncheck.read_report({report!r}).model.format": "'state_dict'",
}


@dataclass(frozen=True)
class Both:
    """What commands gave without PyTorch, and what those that need none gave with it."""

    without: list[Done]
    lacking: dict[str, Done]
    having: list[Done]
    said: dict[str, str]
    loaded: set[str]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    folder = tmp_path_factory.mktemp("light")
    at = written(folder)
    at["report.json"] = folder / "report.json"
    assert call("inspect", at["net.pth"], "--no-config", "--quiet", "--report", at["report.json"]).code == 0
    same, lacking = same_commands(at), lacking_commands(at)
    expressions = [one.format(net=str(at["net.pth"]), report=str(at["report.json"])) for one in EXPRESSIONS]
    commands = [*same, *(command for command, _ in lacking.values())]
    gave = without(["torch", "matplotlib", "jinja2"], commands, expressions)
    return Both(
        without=gave.done[: len(same)],
        lacking=dict(zip(lacking, gave.done[len(same) :], strict=True)),
        having=[call(*command) for command in same],
        said=dict(zip(EXPRESSIONS, gave.said, strict=True)),
        loaded=gave.loaded,
    )


def versionless(text: str) -> Any:
    """Of a report as JSON, what does not say by what it was made; any other text as it is."""
    if not text.startswith("{"):
        return text
    report = json.loads(text)
    report["run"]["versions"].pop("torch", None)
    return report


def test_what_needs_no_torch_says_the_same_without_it(both: Both) -> None:
    for light, having in zip(both.without, both.having, strict=True):
        assert (light.code, versionless(light.stdout)) == (having.code, versionless(having.stdout))
        assert light.stderr == having.stderr
    assert [done.code for done in both.without if done.code not in (0, 1, 4)] == []
    assert {done.code for done in both.without} == {0, 1, 4}


def test_a_report_names_the_versions_of_what_was_there(both: Both) -> None:
    pairs = zip(both.without, both.having, strict=True)
    reports = [(one.json, other.json) for one, other in pairs if one.stdout.startswith("{")]
    assert len(reports) == len(READ) + 1
    for light, having in reports:
        assert "torch" not in light["run"]["versions"]
        assert having["run"]["versions"]["torch"] == torch.__version__


def test_what_is_missing_is_named_with_the_command_that_installs_it(both: Both, tmp_path: Path) -> None:
    expected = {name: words for name, (_, words) in lacking_commands(dict.fromkeys(NAMES, tmp_path)).items()}
    for name, done in both.lacking.items():
        assert done.code == 2, (name, done)
        assert done.stdout == "", name
        said = [line for line in done.stderr.splitlines() if line.startswith("bncheck: ")]
        assert said, (name, done.stderr)
        assert all(expected[name] in line for line in said), (name, said)
        assert "Traceback" not in done.stderr
        assert "internal error" not in done.stderr
    assert len(both.lacking["several"].stderr.splitlines()) == 2


NAMES = ("net.pth", "net.onnx", "scripted.pt", "module.pt", "sparse.pth", "report.json")


def test_names_of_the_package_that_need_torch_say_so(both: Both) -> None:
    for expression, words in EXPRESSIONS.items():
        said = both.said[expression]
        assert words in said, (expression, said)
        if "needs" in words:
            assert said.startswith("MissingExtraError, True"), said  # of an `ImportError` too
            assert re.search(r"pip install 'bncheck\[(torch|html)\]'$", said), said


def test_torch_was_not_loaded(both: Both) -> None:
    assert "numpy" in both.loaded
    assert not both.loaded & {"torchgen", "functorch", "onnxruntime", "keras"}
