"""The machine that reads pickles as data calls nothing, and a file made to break it is an error that says so."""

from __future__ import annotations

import collections
import io
import pickle
import pickletools
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_files import Runs, save
from hostile_files import packed
from torch import nn

from bncheck.errors import ModelError
from bncheck.formats import open_model
from bncheck.formats.pickles import budget
from bncheck.formats.pickles.admitted import NAMES
from bncheck.formats.pickles.budget import Budget
from bncheck.formats.pickles.machine import _STEPS, _VALUES, Machine
from bncheck.formats.pickles.made import Known
from bncheck.formats.pickles.placeholders import ForeignName, ForeignObject
from bncheck.results.notes import sentences


def read(content: bytes, stored: int = 1000) -> Any:
    def nothing(given: Any) -> Any:
        raise ValueError(given)

    return Machine(nothing, Budget(stored)).load(io.BytesIO(content))


def test_every_operation_of_python_is_one_of_the_machine() -> None:
    assert {opcode.name for opcode in pickletools.opcodes} == set(_STEPS) | _VALUES
    assert not set(_STEPS) & _VALUES


def test_placeholders_have_nothing_that_could_be_called() -> None:
    for kind in (ForeignName, ForeignObject):
        assert not set(vars(kind)) & {"__call__", "__reduce__", "__getattr__", "append", "extend", "__setitem__"}
    assert not callable(ForeignName("os.system"))
    assert not callable(ForeignObject(ForeignName("os.system")))


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_are_what_they_were(protocol: int) -> None:
    values: dict[str, Any] = {
        "numbers": [1, -(2**70), 2**31, 1.5, float("inf"), True, None, 1 + 2j],
        "texts": ["ä", "x" * 300, b"\x00\xff", bytearray(b"ab")],
        "containers": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {1, "a"}, frozenset((2,)), {"a": {(1, "b"): []}}],
        "kinds": [collections.OrderedDict(b=1, a=2), collections.Counter("aab"), collections.deque([1, 2])],
        "arrays": [np.arange(6.0).reshape(2, 3).T, np.array(["a", "bc"]), np.float32(0.5), np.dtype(">i2")],
    }
    values["again"] = values["texts"]
    found = read(pickle.dumps(values, protocol=protocol))
    assert {name: repr(value) for name, value in found.items()} == {name: repr(value) for name, value in values.items()}
    assert found["again"] is found["texts"]


@pytest.mark.parametrize("protocol", range(6))
def test_everything_else_is_recorded(protocol: int) -> None:
    made = read(pickle.dumps(Runs(print, 1, [2]), protocol=protocol))
    assert (made.class_name, made.arguments) == ("builtins.print", (1, [2]))
    again = read(pickle.dumps({"outer": Runs(map, Runs(getattr, "a", "upper"), [3])}, protocol=protocol))["outer"]
    assert again.arguments[0].class_name == "builtins.getattr"
    factory = read(pickle.dumps(collections.defaultdict(list, a=1), protocol=protocol))
    assert (factory, factory.default_factory) == ({"a": 1}, None)


def test_a_placeholder_that_is_called_is_another() -> None:
    """`getattr(os, "system")("...")`, `partial(...)()` and worse."""
    first = b"cbuiltins\ngetattr\n(cos\nenviron\nVsystem\ntR"
    made = read(first + b"(Vtouch x\ntR.")
    assert (made.class_name, made.arguments) == ("object", ("touch x",))
    assert made.maker.arguments[1] == "system"
    for step in (b"]", b"}", b"I1\n", b"ctorch\nfloat32\n"):
        assert isinstance(read(step + b")R."), ForeignObject)


def test_state_items_and_entries_stay_with_the_placeholder() -> None:
    made = read(b"\x80\x02cposix\nPath\n)\x81}U\x06appendI7\nsb(I1\nI2\ne(Vk\nI3\nuI4\na.")
    assert (made.state, made.items, made.entries) == ({"append": 7}, [1, 2, 4], {"k": 3})
    assert made.attributes == {"append": 7, "k": 3}


def test_only_the_list_is_made_real() -> None:
    assert all(isinstance(kind, ForeignName) or not callable(kind) for kind in NAMES.values())
    known = {name.partition(".")[0] for name, kind in NAMES.items() if isinstance(kind, Known)}
    assert known == {"builtins", "collections", "_codecs", "copyreg", "numpy", "torch"}
    assert not {"builtins.getattr", "builtins.eval", "builtins.map", "torch.load", "torch.hub.load"} & set(NAMES)


DEEP = 100_000


@pytest.mark.parametrize(
    ("content", "holds"),
    [
        (b"]" * DEEP + b"a" * (DEEP - 1) + b".", list),
        (b")" + b"\x85" * DEEP + b".", tuple),
        (b"cos\nx\n" + b")R" * DEEP + b".", ForeignObject),
    ],
)
def test_depth_alone_breaks_nothing(content: bytes, holds: type) -> None:
    assert isinstance(read(content), holds)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"}" + b")" + b"\x85" * 20 + b"Ns.", "a tuple is a key"),
        (b"}(" + b"N" * 65 + b"tNs.", "a tuple is a key"),
        (b"}]Ns.", "a list is a key"),
        (b"(]\x91.", "a list is a key, or a member"),
        (b")I1\na.", "items are added to a tuple"),
        (b"I1\nVx\nI2\ns.", "entries are set in an int"),
        (b"cos\nx\nI1\nR.", "a call has no arguments"),
        (b"\x97.", "buffers that stand outside"),
        (b"(Nctorch._utils\n_rebuild_tensor_v2\n(NtR.", "lacks its shape"),
        (b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(Vf8\ntRVabc\ntR.", "not as many bytes as its type"),
    ],
)
def test_what_no_pickle_does_is_an_error(content: bytes, says: str) -> None:
    with pytest.raises((ValueError, TypeError), match=says):
        read(content)


@pytest.mark.parametrize("dtype", ["O", "f8,f8", "(9999999,)f8", "S9999999999", "M8[s]", "V8", "{'a': 1}"])
def test_types_that_are_not_plain_stay_placeholders(dtype: str) -> None:
    found = read(b"cnumpy\ndtype\n(V" + dtype.encode() + b"\ntR.")
    assert isinstance(found, ForeignObject)


def test_an_array_has_as_many_values_as_its_shape_says() -> None:
    begin = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR(I1\n(I"
    kind = b"\ntcnumpy\ndtype\n(Vu1\ntRI0\nVabcd\ntb."
    assert read(begin + b"4" + kind).tolist() == [97, 98, 99, 100]
    for shape in (b"5", b"9999999999999", b"-4"):
        with pytest.raises(ValueError, match="an array has"):
            read(begin + shape + kind)


def test_what_copies_its_bytes_again_and_again_is_stopped() -> None:
    text = b"V" + b"x" * 2**20 + b"\nq\x000"
    once = b"c_codecs\nencode\n(h\x00Vlatin1\ntR"
    assert len(read(text + once + b".")) == 2**20
    with pytest.raises(ModelError, match="far more out of its bytes than it holds"):
        read(text + once * 100 + b".")
    whole = b"](" + b"N" * 2**18 + b"eq\x000"
    with pytest.raises(ModelError, match="far more out of its bytes than it holds"):
        read(whole + b"cbuiltins\nlist\nh\x00\x85R" * 10 + b".")


def test_too_many_operations_and_keys_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MOST_OPERATIONS", 100)
    with pytest.raises(ModelError, match="more than 100 operations"):
        read(b"N" * 101 + b".")
    monkeypatch.undo()
    monkeypatch.setattr(budget, "MOST_ODD_KEYS", 10)
    step = 2**61 - 1  # the hash of a whole number is what this leaves of it
    with pytest.raises(ModelError, match=r"keys that are fractions or whole numbers beyond 2\^60"):
        read(pickle.dumps({step * number: None for number in range(1, 20)}))


TENSOR = "ctorch._utils\n_rebuild_tensor_v2\n((Vstorage\nctorch\nFloatStorage\nV{key}\nVcpu\nI{count}\ntQ"
SHAPED = TENSOR + "I{offset}\n(I{size}\nt(I{stride}\ntI00\nNtR"


def archive(folder: Path, text: str, **given: Any) -> Path:
    """A checkpoint whose pickle is that text."""
    holder = io.BytesIO()
    torch.save({"bn.running_mean": torch.ones(4)}, holder)
    values = {"key": "0", "count": 4, "offset": 0, "size": 4, "stride": 1} | given
    state = "(dVbn.running_mean\n{0}sVbn.running_var\n{0}sVargs\n(cargparse\nNamespace\nosVm\n{1}s."
    content = state.format(SHAPED.format(**values), text.format(**values) or "N")
    (folder / "net.pt").write_bytes(packed(holder.getvalue(), "data.pkl", content.encode()))
    return folder / "net.pt"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, None),
        ({"offset": 1}, "reaches beyond its storage"),
        ({"size": 5}, "reaches beyond its storage"),
        ({"size": 2**61}, "shape is none"),
        ({"size": -4}, "shape is none"),
        ({"stride": 2}, "reaches beyond its storage"),
        ({"stride": -1}, "shape is none"),
        ({"offset": -1}, "shape is none"),
        ({"size": 10**12, "stride": 0}, "which the file holds|fill the memory"),
        ({"count": 5}, "shorter than its name says"),
        ({"count": 2**50}, "a storage is named in a way"),
        ({"count": -1}, "a storage is named in a way"),
        ({"key": "9"}, "no item named"),
        ({"key": "../data.pkl"}, "no item named"),
    ],
)
def test_a_tensor_lies_within_its_storage(tmp_path: Path, given: dict[str, Any], says: str | None) -> None:
    path = archive(tmp_path, "", **given)
    if says is None:
        assert open_model(path).layers[0].mean.tolist() == [1.0] * 4
        return
    with pytest.raises(ModelError, match=says):
        open_model(path)


def test_a_module_that_holds_itself(tmp_path: Path) -> None:
    net = nn.BatchNorm1d(2)
    net._modules["again"] = net
    with pytest.raises(ModelError, match="BatchNorm1d holds itself"):
        open_model(save({"net": net}, tmp_path / "net.pt"))


def test_a_module_whose_parts_have_two_names_each(tmp_path: Path) -> None:
    part: nn.Module = nn.BatchNorm1d(2)
    for _ in range(40):
        outer = nn.Module()
        outer.one = outer.other = part
        part = outer
    with pytest.raises(ModelError, match="more than 500000 names"):
        open_model(save({"net": part}, tmp_path / "net.pt"))


def test_tables_within_tables_are_not_walked_for_ever(tmp_path: Path) -> None:
    inner: dict[str, Any] = {"bn.running_mean": torch.ones(2), "bn.running_var": torch.ones(2)}
    inner |= {f"n{number}": 0 for number in range(400)}
    for _ in range(2):
        inner = {f"n{number}": inner for number in range(400)}
    torch.save(inner, tmp_path / "net.pt")
    assert open_model(tmp_path / "net.pt", key="n0.n0").layers[0].name == "bn"


def test_a_record_twice_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, "")
    with zipfile.ZipFile(path, "a") as opened, pytest.warns(UserWarning, match="Duplicate"):
        opened.writestr(next(name for name in opened.namelist() if name.endswith("data/0")), b"\0" * 16)
    with pytest.raises(ModelError, match=r"a record twice|damaged"):
        open_model(path)


@pytest.mark.parametrize("at", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_that_is_cut_off_is_damaged(tmp_path: Path, at: float, legacy: bool) -> None:
    content = {"net": nn.BatchNorm1d(300), "args": Runs(len, ())}
    path = save(content, tmp_path / "net.pt", _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[: int(at * path.stat().st_size)])
    with pytest.raises(ModelError, match="cut off or damaged"):
        open_model(path)


def test_a_stream_that_declares_more_than_it_holds(tmp_path: Path) -> None:
    path = save({"net": nn.BatchNorm1d(3)}, tmp_path / "net.pt", _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    count = b"X\x03\x00\x00\x00cpuq" in content and content.index(b"X\x03\x00\x00\x00cpuq")
    assert count
    at = content.index(b"K\x03", count)
    path.write_bytes(content[:at] + b"\x8a\x06" + struct.pack("<q", 2**40)[:6] + content[at + 2 :])
    with pytest.raises(ModelError, match="declares more than it holds"):
        open_model(path)


def test_big_endian_values_are_read(tmp_path: Path) -> None:
    path = archive(tmp_path, "")
    content = struct.pack(">4f", 1, 2, 3, 4)
    whole = packed(packed(path.read_bytes(), "byteorder", b"big"), "data/0", content)
    path.write_bytes(whole)
    model = open_model(path)
    assert model.layers[0].mean.tolist() == [1, 2, 3, 4]
    assert "argparse.Namespace" in sentences(model.notes)[-1]
