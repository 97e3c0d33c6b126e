"""The frameworks are imported on use, and a missing one is named with the command that installs it."""

from __future__ import annotations

import subprocess
import sys

import pytest


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


WITHOUT = """
import importlib, sys
import bncheck.integrations.monitor, bncheck.testing
print(*sys.modules)
for name in ("lightning", "transformers"):
    sys.modules[name] = None
    try:
        importlib.import_module(f"bncheck.integrations.{name}")
    except ImportError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What is loaded without the frameworks' own integrations, and what these say without the frameworks."""
    done = python(WITHOUT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(("place", "name"), [(1, "lightning"), (2, "transformers")])
def test_a_missing_framework_is_named_with_its_extra(said: list[str], place: int, name: str):
    assert len(said) == 3
    assert f"pip install 'bncheck[{name}]'" in said[place]


@pytest.mark.slow
def test_nothing_else_loads_the_frameworks(said: list[str]):
    loaded = {name.partition(".")[0] for name in said[0].split()}
    assert "bncheck" in loaded
    assert not loaded & {"lightning", "pytorch_lightning", "transformers", "tensorboard", "accelerate"}


def test_the_assertion_is_imported_without_torch():
    code = "import sys, bncheck.testing\nprint(*sys.modules)"
    assert not {name.partition(".")[0] for name in python(code).stdout.split()} & {"torch", "pandas", "onnx"}
