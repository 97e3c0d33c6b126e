"""`--against` on the command line: written by one run, compared with by the next, in every report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from called import call, read_back
from jsonschema import Draft202012Validator

from bncheck.results.report import Report

SAMPLES = Path("sample_models")
MODEL = [str(SAMPLES / "healthy.pt"), "--arch", f"{SAMPLES / 'digits_net.py'}:build", "--fast"]
DATA = str(SAMPLES / "digits_eval.npz")
SCHEMA = json.loads(Path("bncheck/report.schema.json").read_text("utf-8"))


def test_one_run_writes_what_the_next_is_compared_with(tmp_path: Path) -> None:
    moments, dim = tmp_path / "moments.safetensors", tmp_path / "dim.npz"
    with np.load(DATA) as held:
        np.savez(dim, x=held["x"] * 0.4, y=held["y"])
    written = call("inspect", *MODEL, "--data", DATA, "--limit", "300", "--write-moments", str(moments))
    assert written.code == 0
    same = call("inspect", *MODEL, "--data", DATA, "--seed", "7", "--against", str(moments))
    assert (same.code, "BN614" in same.stdout, "Since" in same.stdout) == (0, False, True)
    reports = [f"--report={tmp_path / name}" for name in ("r.json", "r.html", "r.md", "r.csv")]
    moved = call("inspect", *MODEL, "--data", str(dim), "--against", str(moments), *reports)
    assert (moved.code, "BN614 warning" in moved.stdout) == (1, True)
    document = json.loads((tmp_path / "r.json").read_text("utf-8"))
    Draft202012Validator(SCHEMA).validate(document)
    assert Report.from_dict(document).to_dict() == document
    assert document["drift"]["samples_then"] == 300
    frame = read_back((tmp_path / "r.csv").read_text("utf-8"))
    known = {layer["name"]: layer["gap"] for layer in document["drift"]["layers"]}
    assert dict(zip(frame["name"], frame["drift"], strict=True)) == known
    for name in ("r.html", "r.md"):
        assert "what layers see has moved by" in (tmp_path / name).read_text("utf-8")
    again = call("gate", str(tmp_path / "r.json"))
    assert (again.code, "BN614" in again.stdout) == (1, True)


def test_what_it_is_compared_with_is_an_input(tmp_path: Path) -> None:
    moments = tmp_path / "moments.safetensors"
    call("inspect", *MODEL, "--data", DATA, "--limit", "64", "--write-moments", str(moments))
    over = call("inspect", *MODEL, "--data", DATA, "--against", str(moments), "--write-moments", str(moments))
    assert over.code == 2
    alone = call("inspect", *MODEL[:-1], "--against", str(moments))
    assert (alone.code, "--against is about what layers see" in alone.stderr) == (2, True)
    other = call("inspect", str(SAMPLES / "folded.torchscript.pt"), "--data", DATA, "--against", str(moments))
    assert (other.code, "another model" in other.stderr) == (2, True)
