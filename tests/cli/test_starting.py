"""What a command loads, and what it costs to load it."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bncheck.cli.importing import uncollected

SAMPLE = Path(__file__).parents[2] / "sample_models" / "never_updated.torchscript.pt"
UNUSED = {
    *("PIL", "fsspec", "h5py", "huggingface_hub", "jinja2", "keras", "matplotlib", "onnx", "onnxruntime", "pandas"),
    *("pygments", "safetensors", "scipy", "sympy", "torch._dynamo", "torch._inductor", "torchvision", "transformers"),
    *("bncheck.cli.commands.repair", "bncheck.data.sources.image_folder", "bncheck.formats.onnx.model"),
    *("bncheck.measure.parts.file", "bncheck.probes.questions.input_form", "bncheck.repair", "bncheck.render.html"),
}


def test_an_audit_of_a_script_loads_torch_and_nothing_else_that_is_slow() -> None:
    code = (
        "import gc, json, sys\n"
        f"sys.argv = ['bncheck', 'inspect', {str(SAMPLE)!r}, '--no-config', '--fail-on', 'never']\n"
        "from bncheck.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n"
        "    print(json.dumps([end.code, list(sys.modules), gc.isenabled(), gc.get_freeze_count()]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    exit_code, loaded, collects, kept = json.loads(done.stdout.splitlines()[-1])
    assert exit_code == 0
    assert "torch" in loaded
    assert not UNUSED & set(loaded)
    assert collects  # what the run itself makes
    assert kept > 100_000  # torch's own, which the process would be half a second in looking through


@pytest.mark.parametrize("enabled", [True, False])
def test_a_process_that_has_torch_keeps_its_collector_as_it_was(enabled: bool) -> None:
    frozen = gc.get_freeze_count()
    try:
        if not enabled:
            gc.disable()
        with uncollected():
            assert gc.isenabled() == enabled
        assert gc.isenabled() == enabled
    finally:
        gc.enable()
    assert gc.get_freeze_count() == frozen
