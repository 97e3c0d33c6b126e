"""The notebooks of the documentation run from top to bottom, cell by cell in one namespace, as Jupyter runs them."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bncheck

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "docs" / "notebooks"

pytestmark = pytest.mark.training


@pytest.fixture(autouse=True)
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with the samples in it, as the root of a clone; what a notebook puts on the search path goes again."""
    (tmp_path / "sample_models").symlink_to(ROOT / "sample_models")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("digits_net", None)


def cells_of(name: str) -> list[str]:
    document = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert (document["nbformat"], document["metadata"]["kernelspec"]["language"]) == (4, "python")
    cells = document["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert not any(cell.get("outputs") for cell in cells), "kept without outputs, which would be of one machine"
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def run(name: str) -> tuple[dict[str, Any], list[Any]]:
    """The namespace at the end, and what each cell shows: the value of its last line, if that is an expression."""
    space: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for cell in cells_of(name):
        body = ast.parse(cell).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), name, "exec"), space)
        value = None if last is None else eval(compile(ast.Expression(last.value), name, "eval"), space)
        shown.append(value._repr_html_() if hasattr(value, "_repr_html_") else value)
    return space, shown


def test_every_notebook_is_run_and_linked() -> None:
    assert {path.stem for path in NOTEBOOKS.glob("*.ipynb")} == {"checkpoint", "export", "training"}
    page = (ROOT / "docs" / "guide" / "library.md").read_text(encoding="utf-8")
    assert all(f"../notebooks/{name.name}" in page for name in NOTEBOOKS.glob("*.ipynb"))


def test_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    space, shown = run("checkpoint")
    assert space["report"].summary.exit_code == 1
    assert space["result"].outcome == "better"
    assert space["after"].summary.exit_code == 0
    assert "Written: repaired.ckpt" in capsys.readouterr().out
    assert "<" in shown[2], "a report is a page in a notebook"
    assert shown[-1][1] > shown[-1][3]


def test_an_export(capsys: pytest.CaptureFixture[str]) -> None:
    space, shown = run("export")
    assert space["folded"].summary.exit_code == 4
    assert space["compared"].summary.exit_code == 0
    assert shown[3] is True
    assert {path.name for path in Path().glob("report.*")} == {
        "report.json", "report.sarif", "report.xml", "report.html",
    }  # fmt: skip
    assert "BN102" in capsys.readouterr().out


def test_a_training() -> None:
    from matplotlib import pyplot

    space, _ = run("training")
    pyplot.close("all")
    assert len(space["gaps"]) == 3
    assert space["after"].summary.gap < space["report"].summary.gap
    assert isinstance(space["renorm"].stem.bn, bncheck.BatchRenorm2d)
