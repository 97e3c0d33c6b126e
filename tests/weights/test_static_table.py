"""The static table: its shares are those of the trials, and only what stands between its lines is written anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.diagnosis.static.page import BEGIN, END, put, section
from benchmarks.diagnosis.static.planting import FAULTS, MANY, Audited, Healthy, Trial, looked_at, trials
from bncheck.formats import from_module
from tests.weights.block_nets import measured, residual

LOOK = Healthy(9, 5, 0.05, 0.1, -0.2, 0.3)


def test_shares_are_those_of_the_trials() -> None:
    seen = [
        Trial("net", None, found=False, false=0, warned=False),
        Trial("other", None, found=False, false=2, warned=True),
        Trial("net", "variances x 4", found=True, false=0, warned=False),
        Trial("net", "variances x 4", found=False, false=1, warned=False),
        Trial("net", MANY, found=True, false=0, warned=True),
    ]
    text = section({"net": LOOK, "other": LOOK}, seen, "command")
    assert "2 healthy files, 10 layers judged; remarks on 1 healthy files, warnings on 1." in text
    assert "| variances x 4 | 1 of 2 (50%) | 1 |" in text
    assert f"| {MANY} | 1 of 1 | 1 |" in text
    assert "| net | 9 | 5 | 0.05 | 0.10 | -0.20 | 0.30 |" in text


def test_the_rest_of_the_page_stays(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    put(page, "new\n")
    assert page.read_text("utf-8") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_every_fault_is_planted_into_the_layers_chosen_and_nothing_else() -> None:
    model = from_module(measured(residual(6)))
    file = Audited(model.layers, model.tensors())
    assert (looked_at(file).layers, looked_at(file).judged) == (13, 6)
    seen = list(trials("net", file, None, 0, 1))
    assert [trial.fault for trial in seen] == [None, *FAULTS]
    assert not seen[0].false
    changed = file.planted(FAULTS["variances x 4"], ["3.bn2"], np.random.default_rng(0))
    different = [new.name for old, new in zip(file.layers, changed.layers, strict=True) if (old.var != new.var).any()]
    assert different == ["3.bn2"]
