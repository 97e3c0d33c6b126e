"""Programs that write where they should not, and what it takes to put such code into an archive."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from model_networks import rewritten, save_program
from torch import nn

CONTENT = bytes(16)


class Quiet(nn.Module):
    """A normalization and nothing more; its source is what other source is put into."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(x).mean((2, 3))


class Filling(Quiet):
    """Maps a file into memory and fills it."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        file = torch.from_file(self.path, shared=True, size=4).fill_(1.0)
        return self.bn(x).mean((2, 3)) + file[0]


class Saving(Quiet):
    """Saves what it is given."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, self.path)
        return self.bn(x).mean((2, 3))


class _Inner(nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def later(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, self.path)
        return x


class SavingInAnotherMethod(Quiet):
    """Its submodule has a method that nothing calls."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.inner = _Inner(path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.inner(x)).mean((2, 3))


class SavingInABranch(Quiet):
    """In a branch in a loop."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for number in range(3):
            if number == 2:
                torch.save(x, self.path)
        return self.bn(x).mean((2, 3))


class _SavingWhenBuilt(nn.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        torch.save(torch.zeros(2), state[0])
        self.path = state[0]
        self.training = state[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class SavingOnceLoaded(Quiet):
    """Its submodule writes while it is loaded."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.inner = _SavingWhenBuilt(path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(self.inner(x)).mean((2, 3))


class Filled(nn.Module):
    """Exported: fills a tensor of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bn(x).mean((2, 3)) + torch.zeros(3).fill_(1.0)


class FilledInABranch(nn.Module):
    """Exported: makes a tensor of its own in one branch of `torch.cond`."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        def filled(y: torch.Tensor) -> torch.Tensor:
            return y + torch.zeros(3)

        return torch.cond(x.sum() > 0, filled, lambda y: y + 1, (self.bn(x).mean((2, 3)),))


def scripted(module: nn.Module, path: Path) -> Path:
    """The module as a TorchScript archive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module.eval()), str(path))
    return path


def exported(module: nn.Module, path: Path) -> Path:
    """The module as a `torch.export` archive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module.eval(), (torch.rand(2, 3, 4, 4),))
    return save_program(program, path)


def mapping(module: nn.Module, path: Path, file: Path) -> Path:
    """The module's program with that file mapped into memory in place of the zeros it makes."""
    arguments = {"filename": {"as_string": str(file)}, "shared": {"as_bool": True}, "size": {"as_int": 3}}

    def replaced(value: Any) -> Any:
        if isinstance(value, list):
            return [replaced(one) for one in value]
        if not isinstance(value, dict):
            return value
        if value.get("target") != "torch.ops.aten.zeros.default":
            return {key: replaced(one) for key, one in value.items()}
        inputs = [{"name": name, "arg": argument, "kind": 1} for name, argument in arguments.items()]
        return value | {"target": "torch.ops.aten.from_file.default", "inputs": inputs}

    def change(name: str, content: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return content
        changed = json.dumps(replaced(json.loads(content))).encode()
        assert b"from_file" in changed
        return changed

    return rewritten(exported(module, path.with_suffix(".plain.pt2")), path, change)


def with_statements(path: Path, *lines: str, before: str = "") -> Path:
    """A TorchScript archive whose forward begins with these lines of source."""

    def change(name: str, source: str) -> str:
        if not name.endswith("hostile_programs.py"):
            return source
        head, marker, rest = source.partition("    bn = self.bn\n")
        assert marker
        return before + head + "".join(f"    {line}\n" for line in lines) + marker + rest

    return with_source(path, change)


def with_source(path: Path, change: Callable[[str, str], str]) -> Path:
    """An archive of `Quiet` whose source was changed; without the records that only help with messages."""
    plain = scripted(Quiet(), path.with_suffix(".plain.pt"))
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith(".py"):
                target.writestr(name, change(name, content.decode()).encode())
            elif not name.endswith(".debug_pkl"):
                target.writestr(name, content)
    return path


def read_in_two_ways(to_pytorch: Path, to_python: Path, path: Path) -> Path:
    """One archive of two with records of the same names: PyTorch's reader finds the first's, Python's the second's.

    The last record of a zip file tells where its table of contents begins. Python takes the table from right before
    that record, and what the record says for an offset of the whole.
    """
    first, second = (_stored(source) for source in (to_pytorch, to_python))
    end, table = second.rindex(b"PK\x05\x06"), _table(second)
    shift = _table(first) - table
    assert shift >= 0, "the first has to be the larger"
    entries = bytearray(second[:end])
    place = table
    while place < end:
        (offset,) = struct.unpack_from("<I", entries, place + 42)
        struct.pack_into("<I", entries, place + 42, offset + shift)
        place += 46 + sum(struct.unpack_from("<HHH", entries, place + 28))
    last = bytearray(second[end:])
    struct.pack_into("<I", last, 16, _table(first))
    path.write_bytes(first + bytes(entries) + bytes(last))
    return path


def _stored(source: Path) -> bytes:
    """The archive as Python writes it, in one folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(source) as read, zipfile.ZipFile(buffer, "w") as target:
        for name in read.namelist():
            target.writestr(f"net/{name.partition('/')[2]}", read.read(name))
    return buffer.getvalue()


def _table(archive: bytes) -> int:
    (offset,) = struct.unpack_from("<I", archive, archive.rindex(b"PK\x05\x06") + 16)
    return int(offset)
