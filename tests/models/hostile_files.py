"""Files made to break whoever reads them, each as small as it still was when it did."""

from __future__ import annotations

import io
import itertools
import json
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

LONG = "x" * 900_000
INJECTED = "EVIL\n::error file=a.py::injected\x1b[31m ##[error]x ##vso[task.complete]x"
FLOATS = np.ones(4, np.float32).tobytes()


@dataclass(frozen=True)
class Case:
    """A file, what `audit` ends with, and a part of what it says then."""

    suffix: str
    content: bytes
    code: int
    says: str = ""


def checkpoint(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def norm(**changed: Any) -> dict[str, Any]:
    tensors = {
        "bn.weight": torch.ones(4),
        "bn.bias": torch.zeros(4),
        "bn.running_mean": torch.linspace(0.1, 0.4, 4),
        "bn.running_var": torch.linspace(0.5, 2, 4),
        "bn.num_batches_tracked": torch.tensor(500),
    }
    return tensors | {f"bn.{name}": value for name, value in changed.items()}


def stored(name: str, kind: int = TensorProto.FLOAT, dims: Sequence[int] = (4,), raw: bytes | None = FLOATS) -> Any:
    tensor = onnx.TensorProto(name=name, data_type=kind, dims=dims)
    if raw is not None:
        tensor.raw_data = raw
    return tensor


def graph(
    *replaced: Any,
    inputs: Sequence[str] = ("x", "s", "b", "m", "v"),
    before: Sequence[Any] = (),
    name: str = "bn",
    shape: Sequence[Any] = ("N", 4, 8, 8),
    outputs: Sequence[str] = ("y",),
    edit: Callable[[Any], Any] = lambda _: None,
    **attributes: Any,
) -> bytes:
    values = np.linspace(0.5, 2, 4, dtype=np.float32)
    tensors = {one: numpy_helper.from_array(values, one) for one in "sbmv"} | {one.name: one for one in replaced}
    node = helper.make_node("BatchNormalization", inputs, outputs, name=name, **attributes)
    fed = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    given = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    made = helper.make_graph([*before, node], "g", fed, given, list(tensors.values()))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    edit(model)
    return model.SerializeToString()


def chain(operator: str, length: int, **attributes: Any) -> list[Any]:
    """Nodes after each other, from `m` to `c`, each twice fed by the one before where it takes several."""
    names = ["m", *(f"c{number}" for number in range(length - 1)), "c"]
    times = 2 if operator in ("Add", "Concat") else 1
    pairs = itertools.pairwise(names)
    return [helper.make_node(operator, [given] * times, [made], **attributes) for given, made in pairs]


def computed(*nodes: Any, **kept: Any) -> bytes:
    """The mean is what the nodes make of constants."""
    return graph(*kept.get("tensors", ()), inputs=("x", "s", "b", "c", "v"), before=nodes)


def function(called: str) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        inner = [helper.make_node(called, ["x"], ["y"], domain="f")]
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
        model.functions.append(helper.make_function("f", "A", ["x"], ["y"], inner, imports))
        model.opset_import.append(helper.make_opsetid("f", 1))
        model.graph.node.append(helper.make_node("A", ["y"], ["z"], domain="f"))

    return edit


def doubling_functions(model: Any) -> None:
    """Each calls the next one twice, so that 40 of them come to 2^40 nodes."""
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    model.opset_import.append(imports[1])
    for number in range(40):
        inner = [
            helper.make_node(f"A{number + 1}", [given], [made], domain="f") for given, made in (("x", "q"), ("q", "y"))
        ]
        model.functions.append(helper.make_function("f", f"A{number}", ["x"], ["y"], inner, imports))
    model.graph.node.append(helper.make_node("A0", ["y"], ["z"], domain="f"))


def external(**entries: str) -> Callable[[Any], None]:
    def edit(model: Any) -> None:
        tensor = model.graph.initializer[3]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=value)

    return edit


def safetensors(header: bytes | dict[str, Any], data: bytes = bytes(32)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(start: int, count: int = 4, **changed: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [count], "data_offsets": [start, start + 4 * count], **changed}


def packed(archive: bytes, record: str, content: bytes) -> bytes:
    """The archive with a record replaced, and all of it deflated."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith(record) else old.read(name))
    return written.getvalue()


def swollen(archive: bytes, record: str, size: int) -> bytes:
    """The archive with another size declared for a record, in its table of contents."""
    at = archive.rindex(record.encode(), archive.index(b"PK\x01\x02"))
    header = archive.rindex(b"PK\x01\x02", 0, at)
    return archive[: header + 24] + struct.pack("<I", size) + archive[header + 28 :]


def _onnx() -> dict[str, Case]:
    size = "what it holds is"
    shape = numpy_helper.from_array(np.array([10**12]), "shape")
    text = onnx.TensorProto(name="m", data_type=TensorProto.STRING, dims=[1], string_data=[b"\xff"])
    cast = [helper.make_node("Cast", ["m"], ["c"], to=TensorProto.FLOAT)]
    return {
        "more values declared than held": Case(".onnx", graph(stored("m", dims=(400,))), 3, size),
        "fewer values declared than held": Case(".onnx", graph(stored("m", dims=(2,))), 3, size),
        "10^12 values declared": Case(".onnx", graph(stored("m", dims=(10**12,), raw=None)), 3, size),
        "2^80 values declared": Case(".onnx", graph(stored("m", dims=(2**40, 2**40))), 3, "cannot be of the shape"),
        "negative size": Case(".onnx", graph(stored("m", dims=(-4,))), 3, "cannot be of the shape"),
        "unknown type": Case(".onnx", graph(stored("m", kind=99)), 3, "type that ONNX does not have"),
        "no type": Case(".onnx", graph(stored("m", kind=0)), 3, "type that ONNX does not have"),
        "text": Case(".onnx", graph(text), 3, "real"),
        "complex": Case(".onnx", graph(stored("m", kind=TensorProto.COMPLEX64, raw=FLOATS * 2)), 3, "real numbers"),
        "statistics longer than the weight": Case(
            ".onnx", graph(stored("s", dims=(7,), raw=np.ones(7, np.float32).tobytes())), 3, "belong together"
        ),
        "input missing": Case(".onnx", graph(inputs=("x", "s")), 3, "lacks inputs"),
        "input without a name": Case(".onnx", graph(inputs=("x", "s", "b", "", "v")), 3, "lacks inputs"),
        "no output": Case(".onnx", graph(outputs=()), 3, "no output"),
        "attribute of text": Case(".onnx", graph(epsilon="abc"), 3, "attribute epsilon"),
        "attribute of numbers": Case(".onnx", graph(momentum=[1.0, 2.0]), 3, "attribute momentum"),
        "name of bytes": Case(".onnx", graph(name="NAMENAME").replace(b"NAMENAME", b"\xff\xfeNAME!!"), 3, "UTF-8"),
        "long chain": Case(".onnx", computed(*chain("Identity", 3000)), 0),
        "cycle": Case(
            ".onnx", computed(helper.make_node("Identity", ["d"], ["c"]), helper.make_node("Neg", ["c"], ["d"])), 4
        ),
        "a tensor made twice": Case(
            ".onnx",
            computed(*chain("Identity", 2), helper.make_node("Neg", ["m"], ["c"])),
            3,
            "Two nodes give the tensor c",
        ),
        "shared subexpressions": Case(".onnx", computed(*chain("Add", 60)), 0),
        "doubled 50 times": Case(".onnx", computed(*chain("Concat", 50, axis=0)), 4),
        "constant of 10^12": Case(
            ".onnx", computed(helper.make_node("ConstantOfShape", ["shape"], ["c"]), tensors=[shape]), 4
        ),
        "cast": Case(".onnx", computed(*cast), 0),
        "constant that overflows": Case(
            ".onnx", computed(*chain("Add", 2), tensors=[stored("m", raw=np.full(4, 3e38, np.float32).tobytes())]), 1
        ),
        "function that calls itself": Case(".onnx", graph(edit=function("A")), 3, "calls itself"),
        "functions of 2^40 nodes": Case(".onnx", graph(edit=doubling_functions), 3, "nodes"),
        "external data beyond the file": Case(
            ".onnx", graph(edit=external(location="beside.bin", offset="40")), 3, "ends before"
        ),
        "external data of another length": Case(
            ".onnx", graph(edit=external(location="beside.bin", length="9" * 18)), 3, "declares"
        ),
        "external data at no number": Case(".onnx", graph(edit=external(location="beside.bin", offset="a")), 3, "read"),
        "external data of a nul": Case(".onnx", graph(edit=external(location="a\0b")), 3, "names no file"),
        "external data at a long name": Case(".onnx", graph(edit=external(location=LONG)), 3, "names no file"),
        "long name": Case(".onnx", graph(stored("m", dims=(3,), raw=FLOATS[:12]), name=LONG), 3, "belong together"),
        "name of several lines": Case(".onnx", graph(name=INJECTED, epsilon="a"), 3, "attribute epsilon"),
    }


def _outside() -> dict[str, torch.Tensor]:
    """Sparse tensors of indices outside of them: PyTorch believes what a file says, and writes there."""
    one, far = torch.ones(1), 10**9
    return {
        "coo": torch.sparse_coo_tensor(torch.tensor([[far]]), one, (4,), check_invariants=False),
        "csr": torch.sparse_csr_tensor(
            torch.tensor([0, 1, 1]), torch.tensor([far]), one, (2, 2), check_invariants=False
        ),
    }


class WithSparse(torch.nn.Module):
    """A normalization, and a sparse tensor within a list."""

    def __init__(self, sparse: torch.Tensor) -> None:
        super().__init__()
        self.bn = torch.nn.BatchNorm2d(4)
        self.held = [sparse]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(x) + self.held[0].to_dense().sum()


def scripted(module: torch.nn.Module) -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), stream)
    return stream.getvalue()


def _checkpoints() -> dict[str, Case]:
    one = torch.ones(1)
    counters = {
        "nan": torch.tensor(float("nan")),
        "1e300": torch.tensor(1e300, dtype=torch.float64),
        "negative": torch.tensor(-5),
        "complex": torch.tensor(1 + 2j),
        "float8": torch.tensor(1.0).to(torch.float8_e4m3fn),
        "text": "many",
    }
    unread = {
        "meta": torch.empty(4, device="meta"),
        "nested": torch.nested.nested_tensor([one, one], layout=torch.jagged),
        "expanded to 10^12": one.expand(10**12),
        "sparse of 10^12": torch.sparse_coo_tensor(torch.tensor([[1]]), one, (10**12,)),
        "complex": torch.ones(4, dtype=torch.complex64),
    }
    read = {
        "expanded": one.expand(4),
        "sparse": torch.ones(4).to_sparse(),
        "float8": torch.ones(4).to(torch.float8_e5m2),
        "uint16": torch.ones(4, dtype=torch.uint16),
        "of two axes": torch.ones(2, 2),
    }
    steps = {"inf": float("inf"), "digits": 10**400, "tensor": torch.tensor(float("inf")), "complex": 1j}
    states = {name: {"state": {0: {"step": step}}, "param_groups": []} for name, step in steps.items()}
    plain = checkpoint(norm())
    huge = torch.full((4,), 1e300, dtype=torch.float64)
    cases = {
        f"counter {name}": Case(".pth", checkpoint(norm(num_batches_tracked=to)), 0) for name, to in counters.items()
    }
    cases |= {f"mean {name}": Case(".pth", checkpoint(norm(running_mean=to)), 3) for name, to in unread.items()}
    cases |= {f"mean {name}": Case(".pth", checkpoint(norm(running_mean=to)), 0) for name, to in read.items()}
    cases |= {
        f"step {name}": Case(".pth", checkpoint({"state_dict": norm(), "optimizer": state}), 0)
        for name, state in states.items()
    }
    cases |= {
        f"{name} outside of itself": Case(".pth", checkpoint(norm() | {"other": sparse}), 3, "indices")
        for name, sparse in _outside().items()
    }
    return cases | {
        "mean beyond float": Case(".pth", checkpoint(norm(running_mean=huge)), 0),
        "weights of infinity": Case(
            ".pth",
            checkpoint(norm(**{name: torch.full((4,), float("inf")) for name in ("bias", "weight", "running_var")})),
            1,
        ),
        "weight expanded": Case(
            ".pth", checkpoint(norm() | {"conv.weight": one.expand(4, 3, 10**6, 10**6)}), 3, "made to fill"
        ),
        "one nested tensor": Case(".pth", checkpoint(unread["nested"]), 3, "not a model"),
        "packed zeros": Case(".pth", swollen(plain, "data/0", 2**31), 3, "made to fill"),
        "a nul for a storage": Case(".pth", packed(plain, "data/0", b""), 3),
        "a line of thousands": Case(".pth", packed(plain, "data.pkl", b"\x80\x02c" + b"A" * 20_000 + b"\nx\n."), 3),
        "long name": Case(".pth", checkpoint({f"{LONG}.running_mean": one, f"{LONG}.running_var": torch.ones(2)}), 3),
        "name of several lines": Case(
            ".pth", checkpoint({f"{INJECTED}.running_mean": one, f"{INJECTED}.running_var": torch.ones(2)}), 3
        ),
    }


def _safetensors() -> dict[str, Case]:
    sound = {"bn.running_mean": entry(0), "bn.running_var": entry(16)}
    text = json.dumps(sound)
    return {
        "nested deeply": Case(".safetensors", safetensors(b'{"a":' * 500_000), 3),
        "400 digits": Case(".safetensors", safetensors(text.replace("[4]", f"[{'9' * 400}]").encode()), 3),
        "lone surrogate": Case(
            ".safetensors", safetensors(b'{"\\ud800.running_mean":' + json.dumps(entry(0)).encode()), 3
        ),
        "overlapping": Case(".safetensors", safetensors({**sound, "bn.running_var": entry(0)}), 3),
        "beyond the end": Case(".safetensors", safetensors({**sound, "bn.running_var": entry(2**50)}), 3),
        "name of several lines": Case(
            ".safetensors",
            safetensors({f"{INJECTED}.running_mean": entry(0), f"{INJECTED}.running_var": entry(16, 2)}, bytes(24)),
            3,
        ),
        "index nested deeply": Case(".json", b'{"weight_map":' + b'{"a":' * 100_000, 3),
        "index of 5000 digits": Case(".json", b'{"weight_map":{"a":' + b"9" * 5000 + b"}}", 3),
    }


def _programs() -> dict[str, Case]:
    plain = scripted(torch.nn.BatchNorm2d(4))
    sparse = {
        f"{name} outside of itself": Case(".pt", scripted(WithSparse(one)), 3, "indices")
        for name, one in _outside().items()
    }
    sound = {
        f"sparse {name}": Case(".pt", scripted(WithSparse(one)), 0)
        for name, one in (("coo", torch.eye(2).to_sparse()), ("csr", torch.eye(2).to_sparse_csr()))
    }
    return (
        sparse
        | sound
        | {
            "sound": Case(".pt", plain, 0),
            "storage of no bytes": Case(".pt", packed(plain, "data/0", b""), 3, "the storage 0"),
            "storage cut off": Case(".pt", packed(plain, "data/0", bytes(12)), 3, "the storage 0"),
            "version of bytes": Case(".pt", packed(plain, "version", b"\x80\xff"), 3, "damaged"),
        }
    )


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what PyTorch says of nested and sparse tensors
    _KINDS = {
        "onnx": _onnx(),
        "checkpoint": _checkpoints(),
        "safetensors": _safetensors(),
        "program": _programs(),
    }
CASES = {f"{kind}: {name}": case for kind, cases in _KINDS.items() for name, case in cases.items()}
