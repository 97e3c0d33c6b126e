"""Files with objects of classes that nobody has are audited and compared, and nothing of them is run."""

from __future__ import annotations

import copy
import importlib
import io
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_files import FORMS, PACKAGE, Runs, checkpoint, detector_state, package, save, saved, with_package
from hostile_files import packed
from torch import nn
from typer.testing import CliRunner

import bncheck
from bncheck.cli.app import app
from bncheck.errors import ModelError, UsageError
from bncheck.formats import open_model
from bncheck.formats.state_dict.optimizer import optimizer_steps
from bncheck.results.notes import sentences

LAYERS = ["model.0.bn", "model.1.bn", "norm", "frozen", "group"]


def images(seed: int = 0, count: int = 40) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(1.0, 2.0, (count, 2, 7, 7)).astype(np.float32)


def described(report: bncheck.Report) -> tuple[Any, ...]:
    """What a report says of the model's layers, and what it found."""
    layers = [
        (each.name, each.kind, each.stored_eps, each.stored_momentum, each.stored_updates) for each in report.layers
    ]
    return layers, [(each.code, each.layers, each.message) for each in report.findings]


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_with_everything_in_it_is_audited(tmp_path: Path, form: str) -> None:
    path = saved(tmp_path, form)
    model = open_model(path)
    assert [layer.name for layer in model.layers] == LAYERS
    first, _, norm, frozen, _ = model.layers
    assert (first.eps, first.momentum, first.updates, first.dtype) == (1e-3, 0.03, 700, "float16")
    assert [layer.trainable_class for layer in model.layers[:4]] == [True, True, True, False]
    assert (norm.kind, norm.weight, frozen.kind) == ("batch_norm", None, "batch_norm")
    assert first.mean.tolist() == detector_state()["model.0.bn.running_mean"].half().double().tolist()
    assert {"model.0.bn", "norm"} <= model.in_training
    assert [(copy.name, copy.averaged) for copy in model.siblings] == [("ema", True)]
    assert sentences(model.notes)[-1].startswith("Read as data: nothing that the file asks for was imported or run (")
    assert not (tmp_path / "marker").exists()
    assert open_model(path, key="ema").in_training == frozenset()


def test_the_report_is_that_of_the_trusted_file(tmp_path: Path) -> None:
    with package() as zoo:
        path = save({"model": checkpoint(zoo, tmp_path)["model"]}, tmp_path / "net.pt")
        trusted = bncheck.inspect(path, trust_pickle=True)
    assert described(bncheck.inspect(path)) == described(trusted)
    assert "BN702" in {finding.code for finding in trusted.findings}


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_plain_pickle_is_audited(tmp_path: Path, protocol: int) -> None:
    with package() as zoo:
        path = save(checkpoint(zoo, tmp_path / "marker"), tmp_path / "net.pkl", protocol=protocol)
    assert [layer.name for layer in open_model(path).layers] == LAYERS
    with pytest.raises(ModelError, match=r"written by pickle, not by torch\.save: its tensors cannot be replaced"):
        bncheck.repair_file(path, images(), out=tmp_path / "out.pkl", arch=f"{with_package(tmp_path)}:build")
    assert not (tmp_path / "marker").exists()


def test_nothing_that_could_be_imported_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module is there, and importing it would be enough."""
    marker = tmp_path / "imported"
    (tmp_path / "eager_zoo.py").write_text(f"open({str(marker)!r}, 'w').close()\nimport nowhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with package() as zoo:
        for kind in (zoo.Detector, zoo.Canary):
            kind.__module__ = "eager_zoo"
        monkeypatch.setitem(sys.modules, "eager_zoo", zoo)
        path = save(checkpoint(zoo, marker), tmp_path / "best.pt")
        monkeypatch.delitem(sys.modules, "eager_zoo")
    assert [layer.name for layer in open_model(path).layers] == LAYERS
    assert "eager_zoo" not in sys.modules
    assert not marker.exists()
    with pytest.raises(ModuleNotFoundError, match="nowhere"):  # the counter-test
        importlib.import_module("eager_zoo")
    assert marker.exists()


def test_the_marker_would_appear(tmp_path: Path) -> None:
    """The tests above can fail: trusted, the same file creates it."""
    path = saved(tmp_path)
    with package():
        open_model(path, trust_pickle=True)
    assert (tmp_path / "marker").exists()


def test_running_takes_the_architecture_and_says_which_package_is_missing(tmp_path: Path) -> None:
    path = saved(tmp_path)
    missing = rf"read as data.*{PACKAGE}\.Detector.*arch=.FILE.*takes {PACKAGE}, which is not"
    with pytest.raises(UsageError, match=missing) as caught:
        bncheck.inspect(path, images())
    assert "state_dict" not in str(caught.value)
    report = bncheck.inspect(path, images(), arch=f"{with_package(tmp_path)}:build", select=["BN702", "BN603"])
    assert [layer.status for layer in report.layers][:3] == ["measured"] * 3
    assert {finding.code for finding in report.findings} == {"BN603", "BN702"}
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("module", "said"),
    [("__main__", "defined in the script that saved it"), ("json.decoder", "imports json, which is installed here")],
)
def test_where_a_class_is_from_decides_what_is_advised(tmp_path: Path, module: str, said: str) -> None:
    with package() as zoo:
        for kind in (zoo.Detector, zoo.Block, zoo.Gate, zoo.Norm, zoo.FrozenBatchNorm2d):
            kind.__module__ = module
            setattr(sys.modules[module], kind.__name__, kind)
        try:
            path = save(zoo.Detector(), tmp_path / "net.pt")
        finally:
            for kind in (zoo.Detector, zoo.Block, zoo.Gate, zoo.Norm, zoo.FrozenBatchNorm2d):
                delattr(sys.modules[module], kind.__name__)
    with pytest.raises(UsageError, match=said):
        bncheck.inspect(path, images())


def test_trusting_a_file_whose_package_is_missing_names_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"is in {PACKAGE}, which cannot be imported here.*read as data"):
        open_model(saved(tmp_path, canary=None, shell=None, code=None), trust_pickle=True)


def test_two_files_are_compared(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    with package() as zoo:
        content = checkpoint(zoo, tmp_path / "marker")
        one = save(content, tmp_path / "one" / "best.pt")
        content["model"].norm.running_mean += 3
        other = save(content, tmp_path / "other" / "best.pt", **FORMS["stream"])
    difference = bncheck.diff(one, other)
    assert [layer.name for layer in difference.layers if layer.moved] == ["norm"]
    assert not any(layer.moved for layer in bncheck.diff(one, other, key="ema").layers)
    report = bncheck.inspect(one, reference=other)
    assert report.model.norm_layers == len(LAYERS)
    assert not (tmp_path / "marker").exists()


def test_a_state_dict_beside_foreign_objects(tmp_path: Path) -> None:
    extra = {"metric": Runs(len, ()), "hyper_parameters": {"backbone": nn.Sequential(nn.BatchNorm2d(3))}}
    path = save({"state_dict": detector_state(), **extra}, tmp_path / "epoch.ckpt")
    model = open_model(path)
    assert model.format == "state_dict"
    assert [layer.name for layer in model.layers] == LAYERS[:-1]
    with pytest.raises(UsageError, match="holds tensors only and cannot be run on data"):
        bncheck.inspect(path, images())


def test_a_model_within_an_object_is_found(tmp_path: Path) -> None:
    """A learner that was pickled whole, as `export.pkl` is."""
    with package() as zoo:
        learner = zoo.Canary(str(tmp_path / "marker"))
        learner.model, learner.opt, learner.loss_func = checkpoint(zoo, tmp_path)["ema"], None, nn.CrossEntropyLoss()
        path = save(learner, tmp_path / "export.pkl")
    assert [layer.name for layer in open_model(path).layers] == LAYERS
    assert open_model(path, key="model").layers[0].name == LAYERS[0]
    with pytest.raises(UsageError, match="It offers model"):
        open_model(path, key="opt")


def test_the_steps_of_an_optimizer_that_was_pickled_whole_are_counted(tmp_path: Path) -> None:
    net = nn.Sequential(nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(3):
        net(torch.randn(4, 3)).sum().backward()
        optimizer.step()
    assert optimizer_steps({"optimizer": optimizer.state_dict()}) == 3
    path = save({"net": net, "optimizer": optimizer}, tmp_path / "net.pt")
    assert open_model(path).optimizer_steps == 3


STANDARD = nn.Sequential(
    nn.Conv2d(2, 4, 3, padding="same", bias=False),
    nn.BatchNorm2d(4, eps=1e-2),
    nn.PReLU(4),
    nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.AvgPool2d(2), nn.GELU("tanh")),
    nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    nn.ConvTranspose2d(4, 4, 2, stride=2, output_padding=1, dilation=2),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Dropout(0.3),
    nn.Linear(4, 3),
    nn.LayerNorm(3),
    nn.Softmax(-1),
).eval()


@pytest.mark.parametrize("wrapped", [False, True])
def test_standard_modules_are_built_anew_and_run(tmp_path: Path, wrapped: bool) -> None:
    path = save({"net": nn.DataParallel(STANDARD) if wrapped else STANDARD}, tmp_path / "net.pt")
    before = torch.get_rng_state()
    model = open_model(path)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.runnable
    x = torch.from_numpy(images())
    assert torch.equal(model.program(x), STANDARD(x))
    assert "built anew; nothing in the file was run" in sentences(model.notes)[-1]
    report = bncheck.inspect(path, images())
    assert [(layer.name, layer.status) for layer in report.layers][:2] == [("1", "measured"), ("4", "measured")]
    result = bncheck.repair_file(path, images(), out=tmp_path / "out.pt", force=True)
    assert result.path is not None
    assert len(Path(result.path).read_bytes()) == len(path.read_bytes())
    assert max(layer.gap or 0 for layer in bncheck.inspect(result.path, images()).layers) < 0.05


def changed(how: str) -> nn.Module:
    net = copy.deepcopy(STANDARD)
    if how == "a hook":
        net[0].register_forward_hook(torch.nn.functional.relu)
    elif how == "another forward":
        net[0].forward = torch.nn.functional.relu
    elif how == "another parameter":
        net[0].weight_g = nn.Parameter(torch.ones(1))
    elif how == "another shape":
        net[0].in_channels = 5
    elif how == "a word for a number":
        net[1].eps = "x"
    elif how == "a size beyond all":
        net[5].groups = 2**70
    else:
        net.append(nn.Bilinear(3, 3, 3))
    return net


@pytest.mark.parametrize(
    "how",
    [
        *("a hook", "another forward", "another parameter", "another shape", "a word for a number"),
        *("a size beyond all", "another class"),
    ],
)
def test_what_is_no_standard_module_any_more_is_described_alone(tmp_path: Path, how: str) -> None:
    path = save(changed(how), tmp_path / "net.pt")
    model = open_model(path)
    assert not model.runnable
    assert [layer.name for layer in model.layers] == ["1", "4", "10"]
    with pytest.raises(UsageError, match=r"nothing was imported of what computes it \(torch\.nn\.modules"):
        bncheck.inspect(path, images())


def test_names_that_a_file_asks_for_cannot_command_the_terminal(tmp_path: Path) -> None:
    """The same name is in the note, in the advice on how to run it, and in the message where nothing is to be read."""
    module = type("N", (nn.Module,), {"__module__": PACKAGE})
    content = save_by_name(module, "EVIL\x1b[31m ::error file=a.py::x" * 40, tmp_path)
    (tmp_path / "net.pt").write_bytes(content)
    np.save(tmp_path / "data.npy", images())
    audited = CliRunner().invoke(app, ["inspect", str(tmp_path / "net.pt"), "--no-config", "-v"])
    assert (audited.exit_code, "EVIL" in audited.output) == (0, True)
    run = CliRunner().invoke(
        app, ["inspect", str(tmp_path / "net.pt"), "--data", str(tmp_path / "data.npy"), "--no-config"]
    )
    assert (run.exit_code, "EVIL" in run.output) == (2, True)
    for text in (audited.output, run.output):
        assert len(text) < 20_000
        assert all(line.isprintable() and not line.strip().startswith("::") for line in text.splitlines())


def save_by_name(kind: type[nn.Module], name: str, folder: Path) -> bytes:
    """A pickle in which the class has that name, which no class has."""
    made = kind()
    made.bn = nn.BatchNorm1d(3)
    with package() as zoo:
        zoo.N = kind
        content = save(made, folder / "made.pt", pickle_protocol=4).read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        pickled = next(archive.read(each) for each in archive.namelist() if each.endswith("data.pkl"))
    begin, end = pickled.split(b"\x8c\x01N", 1)
    text = name.encode()
    framed = begin[:2] + begin[11:]  # the frame would have another length
    return packed(content, "data.pkl", framed + b"X" + struct.pack("<I", len(text)) + text + end)
