"""`docs/promises.md` names tests for what README, guide and SECURITY.md promise; those that had none stand here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import onnxruntime
import pytest
import torch
from called import call

from bncheck.errors import ModelError
from bncheck.formats import open_model
from fuzz.formats.onnx_graphs import model as graph
from fuzz.samples import exported, saved, weights

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "docs" / "promises.md"
PAGES = {
    "README": [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))],
    "SECURITY": [ROOT / "SECURITY.md"],
}
"""What a column of the table is of: the README with the pages of the guide, and SECURITY.md."""


def promises() -> list[tuple[str, str, list[str]]]:
    """Of every row the page, the sentence, and the tests."""
    rows: list[tuple[str, str, list[str]]] = []
    page = ""
    for line in TABLE.read_text("utf-8").splitlines():
        match = re.fullmatch(r"\| (.*) \| (.*) \|", line)
        if match is None:
            continue
        if match[2] == "test":
            page = match[1]
        else:
            rows.append((page, match[1], re.findall(r"`(tests/[^`]+)`", match[2])))
    return rows


def plain(text: str) -> str:
    """A page's words alone: no line ends, emphasis or cells."""
    return re.sub(r"\s+", " ", text.replace("*", ""))


def test_every_promise_stands_on_its_page() -> None:
    texts = {name: plain("\n".join(page.read_text("utf-8") for page in pages)) for name, pages in PAGES.items()}
    assert len(promises()) > 50
    assert [promise for page, promise, _ in promises() if plain(promise) not in texts[page]] == []


def test_every_promise_has_a_test() -> None:
    missing = []
    for _, promise, tests in promises():
        assert tests, promise
        for test in tests:
            path, _, name = test.partition("::")
            tree = ast.parse((ROOT / path).read_text("utf-8"))
            known = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            if name not in known and name:
                missing.append(test)
    assert missing == []


@pytest.fixture
def models(tmp_path: Path) -> dict[int, str]:
    """Files by the code that an audit of one alone ends with."""
    wrong = weights() | {"bn.running_var": torch.full((4,), -1.0)}
    contents = {0: saved(weights()), 1: saved(wrong), 3: b"nothing", 4: saved({"head.weight": torch.ones(2, 2)})}
    for code, content in contents.items():
        (tmp_path / f"{code}.pth").write_bytes(content)
    return {code: str(tmp_path / f"{code}.pth") for code in (*contents, 2)}


@pytest.mark.parametrize(
    ("several", "end"), [((0, 4), 0), ((4, 4), 4), ((4, 0, 1), 1), ((1, 3, 0), 3), ((3, 2, 1, 0, 4), 2)]
)
def test_of_several_files_the_gravest_code_is_the_end(
    models: dict[int, str], several: tuple[int, ...], end: int
) -> None:
    for code in several:
        assert call("audit", models[code], "--no-config").code == code
    assert call("audit", *(models[code] for code in several), "--no-config").code == end


def test_an_audit_of_a_graph_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Running(RuntimeError):
        """A session was made."""

    def session(*_: object, **__: object) -> None:
        raise Running

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    path = tmp_path / "model.onnx"
    path.write_bytes(graph().SerializeToString())
    for command in ("audit", "inspect"):
        assert call(command, path, "--no-config").code == 0
    assert call("diff", path, path, "--no-config").code == 0


def test_trusted_pickles_trust_no_operators(tmp_path: Path) -> None:
    from fuzz.formats.programs import rewritten

    def edit(name: str, held: bytes) -> bytes:
        return held.replace(b"torch.ops.aten.relu.default", b"torch.ops.aten.save.default")

    path = tmp_path / "model.pt2"
    path.write_bytes(rewritten(exported(), edit))
    with pytest.raises(ModelError, match="aten::save"):
        open_model(path, trust_pickle=True)
