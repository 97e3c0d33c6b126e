"""TorchScript and `.pt2`: operators of all kinds put into their programs, records of their archives edited."""

from __future__ import annotations

import io
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from hypothesis import strategies as st

from fuzz.case import Format
from fuzz.samples import Net, exported, net, torchscript
from fuzz.tensors import PAYLOADS, files, tensors
from fuzz.values import CANARY, JSON, TOUCHED, edited_json

Edit = Callable[[str, bytes], bytes]


def rewritten(archive: bytes, edit: Edit) -> bytes:
    """An archive with what `edit` makes of each record."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            new.writestr(zipfile.ZipInfo(name), edit(name, old.read(name)))
    return stream.getvalue()


@cache
def operators() -> tuple[Any, ...]:
    """Every operator of the installed PyTorch; those that take a string first."""
    schemas = sorted(torch._C._jit_get_all_schemas(), key=str)
    return tuple(sorted(schemas, key=lambda schema: "str" not in [str(each.type) for each in schema.arguments]))


@cache
def _with_text() -> int:
    return sum("str" in [str(each.type) for each in schema.arguments] for schema in operators())


def schemas() -> st.SearchStrategy[Any]:
    """Operators; every other takes a string, which may name a file."""
    known = operators()
    numbers = st.one_of(st.integers(0, _with_text() - 1), st.integers(0, len(known) - 1))
    return numbers.map(lambda number: known[number])


_TEXTS = (CANARY, TOUCHED, "good.pth", "sum", "floor", "cpu", "a\\n::error::x\\x1b[31m")


@st.composite
def _calls(draw: st.DrawFn) -> str:
    """A call in TorchScript's language, with arguments of the types that it takes."""
    schema = draw(schemas())
    given = []
    for argument in schema.arguments:
        value = draw(_argument(str(argument.type)))
        given.append(f"{argument.name}={value}" if argument.kwarg_only else value)
    namespace, _, name = schema.name.partition("::")
    return f"ops.{namespace}.{name}({', '.join(given)})"


def _argument(kind: str) -> st.SearchStrategy[str]:
    kind = re.sub(r"^Optional\[(.*)\]$", r"\1", kind)
    numbers = st.sampled_from(["0", "1", "2", "-1", "4", "1000000000000"])
    known = {
        "Tensor": st.sampled_from(["x", "x.flatten()", "torch.sum(x)"]),
        "str": st.sampled_from(_TEXTS).map(lambda text: f'"{text}"'),
        "int": numbers,
        "float": st.sampled_from(["0.5", "1e308", "-1."]),
        "number": st.sampled_from(["0.5", "2"]),
        "bool": st.sampled_from(["True", "False"]),
        "Device": st.just('torch.device("cpu")'),
        "List[int]": st.lists(numbers, max_size=3).map(lambda many: f"[{', '.join(many)}]"),
        "List[Tensor]": st.just("[x, x]"),
        "List[str]": st.just(f'["{CANARY}"]'),
    }
    return known.get(kind, st.just("None"))


_STATEMENTS = [
    f'torch.save(x, "{TOUCHED}")',
    f'f = torch.save\n    f(x, "{TOUCHED}")',
    f'y = torch.from_file("{CANARY}", True, 4).fill_(1.)',
    'print("EVIL\\n::error::x\\x1b[31m ##vso[task.complete]x")',
    "torch.manual_seed(3)",
    'ops.prim.RaiseException("EVIL\\n::error::x\\x1b[31m")',
    "x.zero_()",
    "y = torch.sum(torch.ones([1000000, 1000000]))",
    "y = __torch__.Nothing()",
]


@st.composite
def _scripts(draw: st.DrawFn) -> bytes:
    """The network's archive with another statement in its source, another source, or another record."""
    how = draw(st.sampled_from(["call", "call", "call", "statement", "source", "pickle", "buffer", "record"]))
    if how == "buffer":
        return draw(_scripted_anew())
    line = {"call": _calls(), "statement": st.sampled_from(_STATEMENTS)}.get(how, st.just("y = x"))
    put = draw(line)
    words = st.sampled_from(
        ["torch", "ops", "self", "(", ")", "Tensor", '"', "\n", "def", "__torch__", "annotate", "9" * 400]
    )
    old, new = draw(words), draw(words)
    content = draw(st.one_of(files(PAYLOADS), st.just(pickle.dumps(["a"] * 9)), edited_json({"a": [1]})))
    suffix = {
        "pickle": "data.pkl",
        "record": draw(st.sampled_from(["version", "constants.pkl", "byteorder", "data/0"])),
    }

    def edit(name: str, held: bytes) -> bytes:
        if how in suffix:
            return content if name.endswith(suffix[how]) else held
        if not name.endswith("samples.py"):
            return held
        source = held.decode()
        if how == "source":
            return source.replace(old, new, draw(st.integers(1, 3))).encode()
        return re.sub(r"(def forward\([^)]*\) -> Tensor:\n)", lambda match: f"{match[1]}    {put}\n", source).encode()

    return rewritten(torchscript(), edit)


@st.composite
def _scripted_anew(draw: st.DrawFn) -> bytes:
    module = Net().eval()
    module.load_state_dict(net().state_dict())
    module.bn._buffers[draw(st.sampled_from(["running_mean", "running_var", "num_batches_tracked"]))] = draw(tensors())
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.script(module), stream)
    except Exception:  # noqa: BLE001  # TorchScript has no such buffers
        return torchscript()
    return stream.getvalue()


_AS = st.one_of(
    st.sampled_from(_TEXTS).map(lambda text: {"as_string": text}),
    st.sampled_from([0, 4, -1, 2**62]).map(lambda number: {"as_int": number}),
    st.sampled_from([[0], [1, 2], [2**40]]).map(lambda numbers: {"as_ints": numbers}),
    st.sampled_from(["x", "nowhere", "relu"]).map(lambda name: {"as_tensor": {"name": name}}),
    st.sampled_from([{"as_none": True}, {"as_bool": True}, {"as_expr": {"expr_str": "9**9**9**9"}}]),
    st.just({"as_expr": {"expr_str": f"open('{TOUCHED}', 'w')"}}),
)


@st.composite
def _graphs(draw: st.DrawFn) -> bytes:
    """The network's archive with another operator, another argument or another value in its graph."""
    how = draw(st.sampled_from(["operator", "operator", "argument", "value", "value", "weights", "inputs"]))
    schema, chosen, argument = draw(schemas()), draw(st.integers(0, 30)), draw(_AS)
    overload = draw(st.sampled_from([schema.overload_name or "default", "default", "__class__", ""]))
    target = f"torch.ops.{schema.name.replace('::', '.')}.{overload}"
    target = draw(st.sampled_from([target] * 8 + ["os.system", "torch.save", "_operator.add", "builtins.open"]))
    samples = draw(st.one_of(files(PAYLOADS), files(tensors()))) if how == "inputs" else b""

    def edit(name: str, held: bytes) -> bytes:
        if how == "inputs":
            return samples if name.endswith("sample_inputs/model.pt") else held
        if how == "weights":
            return draw(edited_json(json.loads(held))) if name.endswith("weights_config.json") else held
        if not name.endswith("models/model.json"):
            return held
        document = json.loads(held)
        if how == "value":
            return draw(edited_json(document, st.one_of(JSON, _AS)))
        nodes = document["graph_module"]["graph"]["nodes"]
        node = nodes[chosen % len(nodes)]
        if how == "operator":
            node["target"] = target
            inputs = [{"name": each.name, "arg": draw(_AS), "kind": 1} for each in schema.arguments]
            node["inputs"] = inputs if draw(st.booleans()) else node["inputs"]
        elif node["inputs"]:
            node["inputs"][chosen % len(node["inputs"])]["arg"] = argument
        return json.dumps(document).encode()

    return rewritten(exported(), edit)


def formats() -> tuple[Format, ...]:
    """Both kinds of program."""
    scripts = _scripts().map(lambda content: {"model.pt": content})
    graphs = _graphs().map(lambda content: {"model.pt2": content})
    return (
        Format("TorchScript", "model", "model.pt", {"model.pt": torchscript()}, scripts),
        Format("torch.export", "model", "model.pt2", {"model.pt2": exported()}, graphs),
    )
