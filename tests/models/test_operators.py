"""Every operator of the installed PyTorch that takes a string is refused, or was looked at and does no harm."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hostile_programs import scripted
from torch import nn

from bncheck.errors import ModelError
from bncheck.formats import open_model
from bncheck.formats.exported.graph_check import operators_of
from bncheck.formats.programs.operators import is_admitted, require_admitted
from bncheck.formats.programs.reviewed_operators import HARMLESS_TEXT, HIGHER_ORDER, LANGUAGE, REACHING
from bncheck.formats.torchscript.source import used_by

SCHEMAS = torch._C._jit_get_all_schemas()


def takes_text(schema: Any) -> bool:
    return any(re.search(r"\bstr\b", str(argument.type)) for argument in schema.arguments)


WITH_TEXT = sorted({schema.name for schema in SCHEMAS if takes_text(schema)})


def test_the_sweep_sees_the_operators_that_matter() -> None:
    assert len(WITH_TEXT) > 150
    assert {"aten::from_file", "aten::save"} <= set(WITH_TEXT)


def test_an_operator_that_takes_a_string() -> None:
    for name in WITH_TEXT:  # each is named where it fails; as a test of its own it would cost more than it asks
        assert_admitted_or_refused(name)


def assert_admitted_or_refused(name: str) -> None:
    namespace, _, leaf = name.partition("::")
    in_source = set(used_by(f"def forward(self, x: Tensor):\n  y = ops.{namespace}.{leaf}(x)\n"))
    in_graph = set(operators_of({"nodes": [{"target": f"torch.ops.{namespace}.{leaf}.default"}]}))
    assert in_source == in_graph == {name}, name
    if name in HARMLESS_TEXT | LANGUAGE:
        require_admitted(in_source, Path("net.pt"))
        return
    with pytest.raises(ModelError, match=rf"net\.pt was not loaded: it uses {name}\..* allow_ops {name}\."):
        require_admitted(in_source, Path("net.pt"))


def test_the_reviewed_ones_touch_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "canary").write_bytes(b"untouched")
    reviewed = [one for one in SCHEMAS if takes_text(one) and one.name in HARMLESS_TEXT]
    assert len(reviewed) > 150
    for schema in reviewed:
        assert_touches_nothing(schema, tmp_path)


def assert_touches_nothing(schema: Any, tmp_path: Path) -> None:
    operation = torch._C._jit_get_operation(schema.name)[0]
    for text in (str(tmp_path / "canary"), "new_file", "sum", "same", "floor"):
        arguments = [_value(str(argument.type), text) for argument in schema.arguments if not argument.kwarg_only]
        named = {one.name: _value(str(one.type), text) for one in schema.arguments if one.kwarg_only}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                operation(*arguments, **named)
            except (RuntimeError, IndexError, TypeError, ValueError, KeyError, NotImplementedError):
                continue
    assert [path.name for path in tmp_path.iterdir()] == ["canary"], str(schema)
    assert (tmp_path / "canary").read_bytes() == b"untouched", str(schema)


def _value(kind: str, text: str) -> Any:
    """Something of that type, strings being `text`."""
    if kind.startswith("Optional["):
        return _value(kind[9:-1], text) if "str" in kind else None
    if kind.startswith("List["):
        return [_value(kind[5:-1], text)]
    if kind.startswith("Dict("):
        return {text: torch.ones(1)}
    known = {"Tensor": torch.rand(1, 3, 4), "str": text, "bool": False, "float": 1.0, "number": 1.0, "int": 1}
    return known.get(kind, torch.ones(1))


def names_of(kind: str) -> Iterator[str]:
    yield from sorted({schema.name for schema in SCHEMAS if schema.name.startswith(f"{kind}::")})


def test_the_lists_name_what_there_is() -> None:
    there = {schema.name for schema in SCHEMAS}
    assert there >= HARMLESS_TEXT
    assert set(WITH_TEXT) >= HARMLESS_TEXT
    assert not HARMLESS_TEXT & REACHING


@pytest.mark.parametrize(
    "names",
    [
        ("from_file", "save", "_print"),
        ("to_here", "owner", "is_owner"),
        ("manual_seed", "seed"),
        ("set_", "_reshape_alias", "_nested_view_from_buffer", "_sparse_coo_tensor_unsafe", "_coalesced_"),
        ("_empty_affine_quantized", "_empty_per_channel_affine_quantized", "empty_quantized"),
        ("_indices", "crow_indices", "_convert_indices_from_coo_to_csr", "embedding_dense_backward"),
    ],
    ids=[
        "files and the terminal",
        "other machines",
        "random seeds",
        "memory without bounds",
        "other tensors' memory",
        "indices taken for true",
    ],
)
def test_what_does_more_than_compute_is_refused(names: tuple[str, ...]) -> None:
    there = {schema.name for schema in SCHEMAS}
    for name in names:
        assert f"aten::{name}" in there
        assert not is_admitted(f"aten::{name}")


@pytest.mark.parametrize(
    "namespace", ["c10d", "symm_mem", "_c10d_functional", "inductor", "profiler", "debugprims", "mkldnn"]
)
def test_other_namespaces_are_refused_whole(namespace: str) -> None:
    assert not any(is_admitted(name) for name in names_of(namespace))


def test_most_of_pytorch_is_admitted() -> None:
    for namespace, refused in (("aten", 61), ("prims", 0), ("quantized", 0)):
        assert sum(not is_admitted(name) for name in names_of(namespace)) <= refused
    assert "higher_order::aoti_call_delegate" not in HIGHER_ORDER


class Sequences(nn.Module):
    """What reads sequences: recurrent layers and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru = nn.LSTM(4, 4, 2, bidirectional=True, batch_first=True), nn.GRU(8, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 1)
        self.by_name = nn.ModuleDict({"a-b": nn.Linear(4, 4), "async": nn.Linear(4, 4)})
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.gru(self.lstm(x)[0])[0]
        y = self.encoder(y + self.attention(x, x, x)[0])
        with torch.no_grad():
            y = torch.jit.wait(torch.jit.fork(torch.tanh, y))
        if y.dim() != 3:
            raise ValueError(f"torch.save(x) expects three dimensions, not {y.dim()}")
        y = self.by_name["async"](self.by_name["a-b"](y))
        return self.norm(torch.einsum("nlc->ncl", y))


class Pictures(nn.Module):
    """What works on pictures: resizing, padding, modes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding="same", padding_mode="reflect")
        self.norm, self.up = nn.BatchNorm2d(4), nn.Upsample(scale_factor=2.0, mode="bilinear")

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = nn.functional.gelu(self.up(self.norm(self.conv(x))), approximate="tanh")
        y = torch.div(y, 2.0, rounding_mode="floor") + nn.functional.pad(y, [0, 0, 0, 0], mode="replicate")
        return {"y": y, "f": torch.fft.rfft2(y, norm="ortho").abs()}


@pytest.mark.parametrize(("module", "shape"), [(Pictures, (2, 3, 8, 8))])
def test_healthy_scripts_are_loaded_and_run(tmp_path: Path, module: type[nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net, x = module().eval(), torch.rand(shape)
    model = open_model(scripted(net, tmp_path / "net.pt"))
    assert model.program is not None
    torch.testing.assert_close(model.program(x), net(x))


def test_a_healthy_script_with_sequences(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x = Sequences().eval(), torch.rand(2, 5, 4)
    model = open_model(scripted(net, tmp_path / "net.pt"))
    assert [layer.name for layer in model.layers if layer.has_statistics] == ["norm"]
    assert model.program is not None
    # As bncheck runs it: where TorchScript goes on in another thread, it leaves gradients off in this one.
    with torch.inference_mode():
        torch.testing.assert_close(model.program(x), net(x))
    assert torch.is_grad_enabled()


def test_a_quantized_script_is_loaded(tmp_path: Path) -> None:
    net = nn.Sequential(
        torch.ao.quantization.QuantStub(),
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.Flatten(),
        nn.Linear(144, 2),
        torch.ao.quantization.DeQuantStub(),
    ).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.qconfig = torch.ao.quantization.default_qconfig
        prepared = torch.ao.quantization.prepare(net)
        prepared(torch.rand(4, 3, 8, 8))
        quantized = torch.ao.quantization.convert(prepared)
        dynamic = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(4, 4)).eval(), {nn.LSTM})
    for name, module in (("int8", quantized), ("lstm", dynamic)):
        model = open_model(scripted(module, tmp_path / f"{name}.pt"))
        assert model.program is not None
        assert b"torch.classes" in (tmp_path / f"{name}.pt").read_bytes()


def test_an_operator_that_a_library_defines_later_is_looked_at_then() -> None:
    """As where torchvision is imported between two inspections of a notebook."""
    assert is_admitted("torchvision::write_it")  # there is none: loading the file says so
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("write_it(Tensor x, str path) -> Tensor")
    assert not is_admitted("torchvision::write_it")
