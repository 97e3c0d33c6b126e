"""A model file writes no files: what its source or graphs could call is refused before any of it runs."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from hostile_programs import (
    CONTENT,
    Filled,
    FilledInABranch,
    Filling,
    Quiet,
    Saving,
    SavingInABranch,
    SavingInAnotherMethod,
    SavingOnceLoaded,
    exported,
    mapping,
    read_in_two_ways,
    scripted,
    with_source,
    with_statements,
)
from model_networks import rewritten
from torch import nn

import bncheck
from bncheck.errors import ModelError, UnfitError, UsageError
from bncheck.formats import open_model
from bncheck.formats.torchscript.source import used_by

SAVE = 'torch.save(x, "CANARY")'
SPELLED_OTHERWISE = {
    "an alias": ("f = torch.save", 'f(x, "CANARY")'),
    "an alias of the module": ("t = torch", 't.save(x, "CANARY")'),
    "brackets": ('(torch).save(x, "CANARY")',),
    "spaces": ('torch . save ( x, "CANARY")',),
    "lines": ("y = (torch", "   .", 'save)(x, "CANARY")'),
    "a tab": ('torch\t.save(x, "CANARY")',),
    "a line continued": ("torch.\\", 'save(x, "CANARY")'),
    "another name of the module": ('torch.autograd.save(x, "CANARY")',),
    "that name in any namespace": ('ops.prim.autograd.save(x, "CANARY")',),
    "the namespace": ('ops.aten.save(x, "CANARY")',),
    "an alias of the namespace": ("o = ops.aten", 'o.save(x, "CANARY")'),
    "getattr": ('getattr(torch, "save")(x, "CANARY")',),
    "getattr of the namespace": ('getattr(ops, "aten").save(x, "CANARY")',),
    "behind a number": ("y = 2.", 'ops.aten.save(x, "CANARY")'),
    "behind a comment": ("# a \\", SAVE),
}
"""PyTorch takes all of these for the same call."""


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "canary"
    path.write_bytes(CONTENT)
    return path


def run(path: Path) -> None:
    """Load and run a TorchScript archive as anyone would."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.load(str(path))(torch.rand(2, 3, 4, 4))


@pytest.mark.parametrize("data", [None, torch.rand(8, 3, 4, 4)], ids=["audited", "run"])
@pytest.mark.parametrize("kind", [Filling, Saving, SavingInABranch, SavingInAnotherMethod, SavingOnceLoaded])
def test_a_script_that_writes_is_refused(canary: Path, tmp_path: Path, kind: type[nn.Module], data: Any) -> None:
    path = scripted(kind(str(canary)), tmp_path / "net.pt")
    name = "aten::from_file" if kind is Filling else "aten::save"
    with pytest.raises(ModelError, match=rf"net\.pt was not loaded: it uses {name}\..* pass allow_ops {name}\."):
        bncheck.inspect(path, data)
    assert canary.read_bytes() == CONTENT


@pytest.mark.parametrize("kind", [Filling, Saving, SavingInABranch, SavingOnceLoaded])
def test_these_scripts_would_write(canary: Path, tmp_path: Path, kind: type[nn.Module]) -> None:
    """The test above can fail."""
    run(scripted(kind(str(canary)), tmp_path / "net.pt"))
    assert canary.read_bytes() != CONTENT


@pytest.mark.parametrize("lines", SPELLED_OTHERWISE.values(), ids=SPELLED_OTHERWISE.keys())
def test_however_the_source_is_written(canary: Path, tmp_path: Path, lines: tuple[str, ...]) -> None:
    path = with_statements(tmp_path / "net.pt", *(line.replace("CANARY", str(canary)) for line in lines))
    with pytest.raises(ModelError, match=r"it uses aten::save\.|is not written as PyTorch writes and reads it"):
        open_model(path)
    assert canary.read_bytes() == CONTENT
    run(path)
    assert canary.read_bytes() != CONTENT, "PyTorch does not take it for that call: the test shows nothing"


@pytest.mark.parametrize(
    "line",
    [
        'x.save("f")',
        '.5.save("f")',
        '5.5.save("f")',
        'y = ...\n    ops.aten.save(x, "f")',
        'getattr(x, "save")("f")',
        'getattr(x, "\\163ave")("f")',
        'getattr(x, "sa" "ve")("f")',
        'g = getattr\n    g(x, "save")("f")',
        'y = """a" """; torch.save(x, "f")',
        'x = 1 # \r    torch.save(x, "f")',
        'y = b"a"; self.ops.aten.save(x, "f")',
        "t = __torch__.torch",
        'y = "\x1b[31m"',
        "y = ops.aten",
        "y = torch",
    ],
)
def test_other_ways_that_lead_nowhere_today(line: str) -> None:
    with pytest.raises(ValueError, match=r"line \d|is no |without the name|is an attribute|aten::save"):
        _refuse(line)


def _refuse(line: str) -> None:
    if "aten::save" in set(used_by(f"def forward(self, x):\n    {line}\n")):
        raise ValueError("aten::save")


def test_text_is_not_taken_for_calls() -> None:
    source = 'def f(x: Tensor):\n  ops.prim.RaiseException("use torch.save(x) # or ops.mine.save \\"x\\"")\n'
    assert set(used_by(source)) == {"prim::RaiseException"}


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("ops.mine.warp(x)", "mine::warp"),
        ("ops.prim.rpc_sync(x)", "prim::rpc_sync"),
        ("ops.inductor._reinterpret_tensor(x, [1], [1])", "inductor::_reinterpret_tensor"),
        ("torch.manual_seed(0)", "aten::manual_seed"),
        ("x.set_(x)", "aten::set_"),
        (
            "y = __torch__.torch.classes.mine.Thing.__new__(__torch__.torch.classes.mine.Thing)",
            "torch.classes.mine.Thing",
        ),
    ],
)
def test_what_is_not_known_is_named(tmp_path: Path, statement: str, named: str) -> None:
    path = with_statements(tmp_path / "net.pt", statement)
    with pytest.raises(ModelError, match=rf"it uses {re.escape(named)}\..* allow_ops {re.escape(named)}\."):
        open_model(path)


def test_classes_that_only_the_pickle_names(tmp_path: Path) -> None:
    path = scripted(Quiet(), tmp_path / "plain.pt")
    with pytest.raises(ModelError, match=r"torch\.classes\.mine\.Thing"):
        open_model(_with_pickle(path, tmp_path / "net.pt"))


def _with_pickle(plain: Path, path: Path) -> Path:
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("data.pkl"):
                content = b"\x80\x02c__torch__.torch.classes.mine\nThing\n)\x81."
            target.writestr(name, content)
    return path


def test_source_in_records_of_other_spelling_is_found(canary: Path, tmp_path: Path) -> None:
    """PyTorch finds records whatever their case; two that differ in nothing else are ambiguous."""
    path = with_source(tmp_path / "net.pt", lambda _, source: source)
    with zipfile.ZipFile(path, "a") as target:
        name = next(name for name in target.namelist() if name.endswith("hostile_programs.py"))
        folder, _, inner = name.partition("/")
        target.writestr(f"{folder}/{inner.upper()}", b"")
    with pytest.raises(ModelError, match="twice, so it is not clear what would be loaded"):
        open_model(path)


@pytest.mark.parametrize("kind", [Filled, FilledInABranch])
def test_a_program_that_maps_a_file_is_refused(canary: Path, tmp_path: Path, kind: type[nn.Module]) -> None:
    path = mapping(kind(), tmp_path / "net.pt2", canary)
    for options in ({}, {"trust_pickle": True}):
        with pytest.raises(ModelError, match=r"net\.pt2 was not loaded: it uses aten::from_file\."):
            bncheck.inspect(path, torch.rand(4, 3, 4, 4), **options)
    assert canary.read_bytes() == CONTENT


def test_this_program_would_write(canary: Path, tmp_path: Path) -> None:
    path = mapping(Filled(), tmp_path / "net.pt2", canary)
    bncheck.inspect(path, torch.rand(2, 3, 4, 4), batch_size=2, allow_ops=["torch.ops.aten.from_file.default"])
    assert canary.read_bytes() != CONTENT


def test_an_archive_that_two_readers_read_otherwise(canary: Path, tmp_path: Path) -> None:
    hostile = rewritten(
        mapping(Filled(), tmp_path / "mapping.pt2", canary),
        tmp_path / "hostile.pt2",
        lambda name, content: content + b" " * 4096 if name.endswith("models/model.json") else content,
    )
    mixed = read_in_two_ways(hostile, exported(Filled(), tmp_path / "net.pt2"), tmp_path / "mixed.pt2")
    with zipfile.ZipFile(mixed) as archive:
        assert b"from_file" not in archive.read("net/models/model.json")
    with pytest.raises(ModelError, match=r"mixed\.pt2 reads otherwise to PyTorch than to Python"):
        open_model(mixed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.load(mixed).module()(torch.rand(2, 3, 4, 4))
    assert canary.read_bytes() != CONTENT, "PyTorch reads the other one: the test shows nothing"


@pytest.mark.parametrize("target", ["higher_order.aoti_call_delegate", "higher_order.print", "mine.warp.default"])
def test_graph_operators_that_are_not_known(tmp_path: Path, target: str) -> None:
    path = exported(Filled(), tmp_path / "plain.pt2")
    changed = rewritten(
        path,
        tmp_path / "net.pt2",
        lambda _, content: content.replace(b"torch.ops.aten.fill_.Scalar", f"torch.ops.{target}".encode()),
    )
    name = "::".join(target.split(".")[:2])
    with pytest.raises(ModelError, match=rf"it uses {name}\..* allow_ops {name}\."):
        open_model(changed)


def test_the_users_own_operator_can_be_allowed(tmp_path: Path) -> None:
    library = torch.library.Library("bncheck_tests", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
    path = with_statements(tmp_path / "net.pt", "y = ops.bncheck_tests.twice(x)")
    with pytest.raises(ModelError, match="bncheck_tests::twice"):
        open_model(path)
    for allowed in ("bncheck_tests::twice", "torch.ops.bncheck_tests.twice.default", "bncheck_tests.twice"):
        assert open_model(path, allow_ops=[allowed]).format == "torchscript"
    out = tmp_path / "out.pt"
    data = torch.rand(64, 3, 4, 4)
    assert bncheck.repair_file(path, data, out=out, allow_ops=["bncheck_tests::twice"], force=True).path
    assert bncheck.diff(path, out, allow_ops=["bncheck_tests::twice"]).summary.layers_moved == 1
    with pytest.raises(UsageError, match=r"allow_ops twice: expected NAMESPACE::NAME"):
        open_model(path, allow_ops=["twice"])


def test_operators_of_other_libraries_do_not_run_in_onnx(tmp_path: Path) -> None:
    """Only onnxruntime's own are there; a file has no way to bring others."""
    tensor = onnx.helper.make_tensor_value_info
    shape = ["n", 3, 4, 4]
    statistics = [
        onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [3], [1.0, 1.0, 1.0]) for name in ("g", "b", "m", "v")
    ]
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("WriteFile", ["x"], ["z"], domain="mine", path="canary"),
            onnx.helper.make_node("BatchNormalization", ["z", "g", "b", "m", "v"], ["y"]),
        ],
        "net",
        [tensor("x", onnx.TensorProto.FLOAT, shape)],
        [tensor("y", onnx.TensorProto.FLOAT, shape)],
        statistics,
    )
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("mine", 1)]
    path = tmp_path / "net.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    assert bncheck.inspect(path).summary.exit_code in (0, 1)
    with pytest.raises(ModelError, match=r"onnxruntime cannot load .*mine"):
        bncheck.inspect(path, torch.rand(4, 3, 4, 4))


class Talkative(Quiet):
    """Prints and warns what a terminal or a CI system would obey, and fails so if asked to."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("loss \x1b[31m0.1\n::error file=a::b ##vso[c]")
        warnings.warn("careful \x1b]0;x\x07\n::warning::c", stacklevel=1)
        if bool(x.sum() > 1e6):
            raise ValueError("\x1b[31m")
        return self.bn(x).mean((2, 3))


def test_what_a_program_says_is_marked_and_harmless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scripted(Talkative(), tmp_path / "net.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        bncheck.inspect(path, torch.rand(400, 3, 4, 4), batch_size=4)
    out, err = capsys.readouterr()
    assert out == ""
    marked = (
        "prints: loss �[31m0.1",
        "prints: ::error file=a::b �#vso[c]",
        "warns: careful �]0;x�",
        "warns: ::warning::c",
    )
    assert err.startswith("".join(f"The model {line}\n" for line in marked))
    assert all(line.startswith("The model ") for line in err.splitlines())
    assert not re.search(r"[^\n -~�]", err)
    assert err.count("careful") <= 2
    assert len(err.splitlines()) <= 45
    with pytest.raises(UnfitError):
        bncheck.inspect(path, torch.full((4, 3, 4, 4), 1e6))


class Zeroing(nn.Module):
    """Leaves nothing of what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.zeroes: torch.jit.Final[bool] = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn(self.conv(x)).mean((2, 3))
        if self.zeroes:
            x.zero_()
        return y


@pytest.mark.parametrize("way", ["module", "scripted", "exported"])
def test_a_program_that_writes_to_its_input_sees_copies(tmp_path: Path, way: str) -> None:
    torch.manual_seed(0)
    net = Zeroing().eval()
    kept = Zeroing().eval()
    kept.load_state_dict(net.state_dict())
    kept.zeroes = False
    data = torch.rand(96, 3, 4, 4)
    labels = torch.arange(96) % 4
    before = data.clone()
    model: Any = net
    if way == "scripted":
        model = scripted(net, tmp_path / "net.pt")
    elif way == "exported":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dynamic = ({0: torch.export.Dim("n", min=2)},)
            model = torch.export.export(net, (torch.rand(2, 3, 4, 4),), dynamic_shapes=dynamic)
    given = bncheck.inspect(model, (data.numpy(), labels.numpy()), batch_size=16).to_dict()
    wanted = bncheck.inspect(kept, (data.numpy(), labels.numpy()), batch_size=16).to_dict()
    assert torch.equal(data, before)
    for part in ("layers", "effect", "batch_sizes", "summary"):
        assert given[part] == wanted[part], part


class Unsettling(Quiet):
    """Turns gradients off and draws at random, also while it is loaded."""

    @torch.jit.export
    def __getstate__(self) -> bool:
        return self.training

    @torch.jit.export
    def __setstate__(self, state: bool) -> None:
        torch.set_grad_enabled(False)
        self.drawn = torch.rand(1)
        self.training = state

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.drawn = torch.rand(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.set_grad_enabled(False)
        return nn.functional.batch_norm(x, x[0, :, 0, 0], x[1, :, 0, 0].abs() + 1) + torch.rand(1) + self.drawn


def test_a_program_that_sets_global_state_leaves_none(tmp_path: Path) -> None:
    path = scripted(Unsettling(), tmp_path / "net.pt")
    data, state = torch.rand(16, 3, 4, 4), torch.get_rng_state()
    bncheck.inspect(path, data)
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)
