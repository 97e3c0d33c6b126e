"""Formats behind one contract: each keeps it, what breaks it is found, and a further one is a folder."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
import torch
from contract_nets import OF_FORMAT, data, made_net
from torch import nn

import bncheck
from bncheck.errors import ModelError, UsageError
from bncheck.formats import Backend, known_formats, open_model, registered
from bncheck.formats.torch_module.model import ModuleBackend
from bncheck.testing import ReferenceNumbers, check_backend, reference_numbers
from bncheck.watch.policies import STORED

PACKAGE = Path(__file__).parent.parent / "bncheck"


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return made_net()


@pytest.fixture(scope="module")
def numbers(network: nn.Module) -> ReferenceNumbers:
    return reference_numbers(network, data())


def test_every_format_is_written_in_some_way() -> None:
    holds_another = {"packed", "sharded", "distributed"}  # which are read as what is in them
    assert {one.name for one in known_formats()} - holds_another == set(OF_FORMAT)


class Twice(ModuleBackend):
    """It lists a layer once more."""

    def __init__(self, *, layers: Any, **rest: Any) -> None:
        ModuleBackend.__init__(self, layers=(*layers, layers[0]), **rest)


class Deaf(ModuleBackend):
    """Its session runs whatever is asked as shipped."""

    @contextmanager
    def session(self, source_name: str, seed: int) -> Any:
        with ModuleBackend.session(self, source_name, seed) as session:
            run = session.run
            session.run = lambda batch, policy, recorder: run(batch, STORED, recorder)  # type: ignore[method-assign]
            yield session


class Clumsy(ModuleBackend):
    """Running it leaves something behind."""

    @contextmanager
    def session(self, source_name: str, seed: int) -> Any:
        with ModuleBackend.session(self, source_name, seed) as session:
            yield session
        self.program.last.running_mean.add_(1)


@pytest.mark.parametrize(
    ("broken", "message"),
    [(Twice, "listed once each"), (Deaf, "by the batch"), (Clumsy, "running it changed")],
)
def test_what_breaks_the_contract_is_found(
    broken: type[Backend],
    message: str,
    network: nn.Module,
    numbers: ReferenceNumbers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bncheck.formats.torch_module.opening.ModuleBackend", broken)
    with pytest.raises(AssertionError, match=message):
        check_backend(network, numbers)


def test_other_numbers_are_found(network: nn.Module, numbers: ReferenceNumbers) -> None:
    first, *others = numbers.layers
    for wrong in (
        replace(numbers, outputs=numbers.outputs + 1e-3),
        replace(numbers, layers=(replace(first, mean=first.mean + 1e-3), *others)),
        replace(numbers, layers=(replace(first, batch_var=first.batch_var * 1.001), *others)),
    ):
        with pytest.raises(AssertionError, match="off by up to"):
            check_backend(network, wrong)


TOY = {
    "__init__.py": """
        from bncheck.formats import Container, Format

        TOY_FILE = Container("toy file", (".toy",))


        class Toy(Format):
            name = "toy"
            title = "toys"
            containers = (TOY_FILE,)

            def recognise(self, start):
                return TOY_FILE if start.head.startswith(b"TOY1") else None

            def open(self, request):
                from .reading import open_toy

                return open_toy(request)


        FORMAT = Toy()
        """,
    "reading.py": """
        import hashlib
        import io
        from dataclasses import dataclass, replace

        import torch
        from contract_nets import build

        from bncheck.formats import Adoption, Origin, adopted


        def open_toy(request):
            content = request.path.read_bytes()
            module = build()
            module.load_state_dict(torch.load(io.BytesIO(content[4:]), weights_only=True))
            seen = hashlib.sha256(content).hexdigest()
            model = adopted(module, Adoption(str(request.path), seen, request.device, request.ignored()))
            return replace(model, format="toy", origin=ToyOrigin(path=request.path, container=request.container))


        @dataclass(frozen=True, slots=True, eq=False, kw_only=True)
        class ToyOrigin(Origin):
            def write(self, model, tensors, target, *, beside):
                state = torch.load(io.BytesIO(self.path.read_bytes()[4:]), weights_only=True)
                for name, value in tensors.items():
                    state[name] = value.to(state[name].dtype)
                content = io.BytesIO()
                torch.save(state, content)
                target.write_bytes(b"TOY1" + content.getvalue())
                return ()
        """,
}


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """The folder of a format that bncheck does not know."""
    folder = tmp_path / "toy"
    folder.mkdir()
    for name, text in TOY.items():
        (folder / name).write_text(dedent(text))
    return folder


@pytest.fixture
def toy_file(network: nn.Module, tmp_path: Path) -> Path:
    path = tmp_path / "net.toy"
    torch.save(network.state_dict(), path)
    path.write_bytes(b"TOY1" + path.read_bytes())
    return path


def test_a_further_format_is_one_folder(
    toy: Path, toy_file: Path, network: nn.Module, numbers: ReferenceNumbers, tmp_path: Path
) -> None:
    with registered(toy):
        audit, report = bncheck.inspect(toy_file), bncheck.inspect(toy_file, data())
        check_backend(toy_file, numbers)
        result = bncheck.repair_file(toy_file, data(), out=tmp_path / "repaired.toy", force=True)
        repaired = bncheck.inspect(tmp_path / "repaired.toy", data())
        with pytest.raises(UsageError, match=r"is a toy file: name it net2\.toy"):
            bncheck.repair_file(toy_file, data(), out=tmp_path / "net2.onnx")
    assert [layer.name for layer in audit.layers] == ["stem.norm", "deep.0.norm", "last"]
    assert report.model.format == "toy"
    expected = bncheck.inspect(network, data())
    np.testing.assert_allclose([layer.gap for layer in report.layers], [layer.gap for layer in expected.layers])
    assert result.path is not None
    assert max(layer.gap for layer in repaired.layers) < 0.01 < min(layer.gap for layer in report.layers)
    with pytest.raises(ModelError, match="in no format that bncheck knows"):
        open_model(toy_file)


def test_a_folder_without_a_format_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no __init__\.py in it"), registered(tmp_path):
        pass
    (tmp_path / "__init__.py").write_text("FORMAT = 'toy'\n")
    with pytest.raises(UsageError, match="defines no FORMAT"), registered(tmp_path):
        pass


@pytest.mark.slow
def test_telling_a_format_loads_nothing_that_opening_takes() -> None:
    code = "from bncheck.formats import known_formats\nimport sys\nassert len(known_formats()) > 5\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "bncheck.formats.onnx" in loaded
    assert not loaded & {"onnx", "onnxruntime", "bncheck.formats.onnx.opening", "bncheck.formats.exported.opening"}


BRANCHES = re.compile(
    r"\.(graph|program) is (not )?None|\b(model|opened|shipped|before|after)\.format (==|!=|in|not in) "
    r"|container(\.name)? (==|!=) "
    r"|isinstance\([^)]*(ScriptModule|ExportedProgram|Backend)\b"
)
NOT_OPENED = {"nn/conversion.py"}
"""Modules that convert layers of modules in memory, whatever these are, and refuse what is compiled."""


def test_no_caller_asks_which_format_a_model_is_of() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        if inside.parts[0] == "formats" or str(inside) in NOT_OPENED:
            continue
        lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        found += [f"{inside}:{number}: {line.strip()}" for number, line in lines if BRANCHES.search(line)]
    assert not found, found
    for path in sorted((PACKAGE / "formats").glob("*.py")):
        assert not BRANCHES.search(path.read_text(encoding="utf-8")), f"{path.name} asks for a format"
