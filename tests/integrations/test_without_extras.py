"""The frameworks are imported on use, and a missing one is named with the command that installs it."""

from __future__ import annotations

import subprocess
import sys

import pytest


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("name", ["lightning", "transformers"])
def test_a_missing_framework_is_named_with_its_extra(name: str):
    done = python(f"import sys\nsys.modules[{name!r}] = None\nimport bncheck.integrations.{name}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: ")
    assert f"pip install 'bncheck[{name}]'" in done.stderr.splitlines()[-1]


def test_nothing_else_loads_the_frameworks():
    code = "import sys, bncheck.integrations.monitor, bncheck.testing\nprint(*sys.modules)"
    loaded = {name.partition(".")[0] for name in python(code).stdout.split()}
    assert "bncheck" in loaded
    assert not loaded & {"lightning", "pytorch_lightning", "transformers", "tensorboard", "accelerate"}


def test_the_assertion_is_imported_without_torch():
    code = "import sys, bncheck.testing\nprint(*sys.modules)"
    assert not {name.partition(".")[0] for name in python(code).stdout.split()} & {"torch", "pandas", "onnx"}
