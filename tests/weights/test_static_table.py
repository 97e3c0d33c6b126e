"""The static table: its shares are those of the trials, and only what stands between its lines is written anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks.diagnosis import sections
from benchmarks.diagnosis.static import copies, eps
from benchmarks.diagnosis.static.page import BEGIN, END, put, section, summary
from benchmarks.diagnosis.static.planting import FAULTS, MANY, Audited, Healthy, Trial, looked_at, trials
from bncheck.formats import from_module
from tests.weights.block_nets import measured, plain, residual

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


def test_a_net_brought_to_another_eps_is_the_same_network(tmp_path: Path) -> None:
    net = measured(plain(), eps=1e-2)
    same = eps.brought_to(net, 1e-5)
    x = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(net(x), same(x), rtol=1e-3, atol=1e-4)
    told = eps.told_of(same, 1e-5)
    assert not told.false
    assert told.right == told.known
    text = eps.section([told, eps.Told(5.0, 1e-5, True, False, {1e-3: True, 1e-4: False}, True)], 1, "command")
    assert (
        "2 files of 1 networks; where anything was told, their own eps was excluded in 1; their own was called" in text
    )
    assert "| 0 to 10 | 1 | 1 | 0 of 1 | 1 of 1 |" in text
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\nthese stay\n{END}\n{eps.BEGIN}\n{eps.END}\n", "utf-8")
    put(page, "new\n", (eps.BEGIN, eps.END))
    assert page.read_text("utf-8") == f"{BEGIN}\nthese stay\n{END}\n{eps.BEGIN}\nnew\n{eps.END}\n"


def test_what_was_missed_is_named_by_network_and_fault(tmp_path: Path) -> None:
    seen = [
        Trial("net", None, found=False, false=0, warned=False),
        Trial("net", "means off by 0.5 sd", found=False, false=0, warned=False),
        Trial("net", "means off by 0.5 sd", found=True, false=1, warned=False),
        Trial("net", "means off by 0.2 sd", found=False, false=0, warned=False),
        Trial("net", "variances x 1/16", found=True, false=0, warned=False),
        Trial("net", "channels permuted", found=False, false=0, warned=False),
    ]
    text = summary({"net": LOOK}, seen, "command")
    assert "| means off | 0.5 sd | 2 | 1 | 1 |" in text
    assert "| variances | x 1/16 | 1 | 1 | 0 |" in text
    assert "| net | 9 | 5 | 2 of 4 | 0 of 1 |  |" in text
    assert text.endswith(
        "Of the strong faults 2 were missed:\n\n"
        "- net: means off by 0.5 sd in 1 layer\n- net: channels permuted in 1 layer\n"
    )
    page = tmp_path / "page.md"
    sections.put(page, None, "first\n")
    sections.put(page, sections.TASKS, "tasks\n")
    sections.put(page, sections.COPIES, "copies\n")
    sections.put(page, sections.STATIC, "static\n")
    written = page.read_text("utf-8")
    in_order = ["first", "static\n", "copies\n", "tasks\n"]
    assert sorted(in_order, key=written.rindex) == in_order


def test_what_copies_cost_and_what_is_told_of_them_is_counted() -> None:
    seen = [
        copies.Told("net", "raw", "33 steps, at the end", 0.1, "warning", by_weights=True),
        copies.Told("net", "raw", "33 steps, at the end", 0.05, "info", by_weights=False),
        copies.Told("net", "raw", "33 steps, at the end", 0.0, "warning", by_weights=True),
        copies.Told("net", "measured", "33 steps, at the end", 0.0, "", by_weights=False),
    ]
    text = copies.section(seen, "command")
    assert "| the raw model's | 33 steps, at the end | 3 | 2 | 1 | 1 | 1 of 1 |" in text
    assert "| measured under the averaged weights | 33 steps, at the end | 1 |  |  |  | 0 of 1 |" in text
    assert "Not told by the weights: 1." in text
    assert "- net: statistics the raw model's, 33 steps, at the end; 5.0% of accuracy" in text
