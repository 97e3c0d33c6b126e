"""Whatever a model file holds: one message of bounded length that names it, exit code 3, and nothing written."""

from pathlib import Path

import pytest
import torch
from hostile_files import CASES, FLOATS, INJECTED, LONG, Case, checkpoint, graph, norm, stored
from typer.testing import CliRunner, Result
from without_torch import without_torch

import bncheck.api
from bncheck.cli.app import app
from bncheck.formats import open_model

LONGEST_MESSAGE = 2_500


def audited(*models: Path) -> Result:
    result = CliRunner().invoke(app, ["audit", *map(str, models), "--no-config"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def written(folder: Path, case: Case) -> Path:
    (folder / "beside.bin").write_bytes(bytes(48))
    model = folder / f"model{case.suffix}"
    model.write_bytes(case.content)
    return model


@pytest.mark.parametrize("name", CASES)
def test_no_content_breaks_an_audit(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    model = written(tmp_path, case)
    before = sorted(tmp_path.iterdir())
    result = audited(model)
    assert result.exit_code == case.code, result.stderr
    if case.code == 3:
        line, end = result.stderr.split("\n")
        assert line.startswith("bncheck: ")
        assert model.name in line
        assert case.says in line
        assert end == ""
        assert len(line) < LONGEST_MESSAGE
        assert line.isprintable()
        assert "internal error" not in line
        assert "does not know" not in line
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_no_content_breaks_an_audit_where_torch_is_not_installed(tmp_path: Path) -> None:
    """In one process: as with it, or a word on what reading takes."""
    models = {}
    for number, (name, case) in enumerate(CASES.items()):
        (tmp_path / str(number)).mkdir()
        models[name] = written(tmp_path / str(number), case)
    ended = without_torch(["audit", str(model), "--no-config"] for model in models.values())
    for (name, case), done in zip(CASES.items(), ended, strict=True):
        lines = done.stderr.splitlines()
        if done.code == 2:
            assert lines[0].endswith("needs PyTorch, which is not installed: pip install 'bncheck[torch]'"), name
        else:
            assert done.code == case.code, (name, done)
        if done.code in (2, 3):
            assert len(lines) == 1, (name, done)
            assert models[name].name in lines[0]
            assert len(lines[0]) < LONGEST_MESSAGE
            assert lines[0].isprintable()
            assert not [words for words in ("internal error", "does not know") if words in lines[0]], (name, done)
    assert sum(done.code == case.code for case, done in zip(CASES.values(), ended, strict=True)) > len(CASES) / 2


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.code != 3])
def test_what_is_read_beyond_the_layers_breaks_as_little(name: str, tmp_path: Path) -> None:
    model = open_model(written(tmp_path, CASES[name]))
    operations = model.operations()
    assert len(model.tensors()) >= 2
    assert len(operations) <= 1
    assert model.hidden_forms() == ()
    assert model.bare_convolutions() == 0


def test_no_name_starts_a_line_or_fills_a_page(tmp_path: Path) -> None:
    for name in (INJECTED, LONG, "::error::x", "a ::error::x " * 30):
        (tmp_path / "model.onnx").write_bytes(graph(name=name))
        (tmp_path / "model.pth").write_bytes(checkpoint({name + "." + key: value for key, value in norm().items()}))
        said = audited(tmp_path / "model.onnx", tmp_path / "model.pth")
        pages = CliRunner().invoke(app, ["inspect", str(tmp_path / "model.onnx"), "--no-config"])
        moved = CliRunner().invoke(app, ["diff", *map(str, sorted(tmp_path.glob("model.*"))), "--no-config"])
        for text in (said.output, pages.output, moved.output):
            assert len(text) < 20_000
            assert all(line.isprintable() and not line.strip().startswith("::") for line in text.splitlines())
            assert "##[" not in text
            assert "##vso[" not in text


def test_a_file_that_breaks_does_not_keep_the_others_from_being_audited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, broken, foreseen, last = (tmp_path / f"{name}.onnx" for name in ("first", "broken", "foreseen", "last"))
    for model in (first, broken, last):
        model.write_bytes(graph())
    foreseen.write_bytes(graph(stored("m", dims=(9,), raw=FLOATS)))
    inspected = bncheck.api.inspected

    def failing(settings: object) -> object:
        if "broken" in str(settings.model.source):  # type: ignore[attr-defined]
            raise ZeroDivisionError(LONG)
        return inspected(settings)  # type: ignore[arg-type]

    monkeypatch.setattr(bncheck.api, "inspected", failing)
    result = audited(first, broken, foreseen, last)
    assert result.exit_code == 3
    assert next(line.partition(": ")[2].split(" ")[0] for line in result.stderr.splitlines()) == str(broken)
    assert len(result.stderr.splitlines()) == 2
    assert len(result.stderr) < 2 * LONGEST_MESSAGE
    assert str(first) in result.stdout.replace("\n", "")
    assert str(last) in result.stdout.replace("\n", "")


def test_a_file_without_end_is_not_opened(tmp_path: Path) -> None:
    result = audited(Path("/dev/zero"))
    assert result.exit_code == 3
    assert "no ordinary file" in result.stderr


def test_what_a_library_raises_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model.pth"
    model.write_bytes(checkpoint(norm()))

    def failing(*_: object, **__: object) -> object:
        raise RecursionError("maximum recursion depth exceeded")

    monkeypatch.setattr("bncheck.formats.state_dict.opening.choose", failing)
    result = audited(model)
    assert result.exit_code == 3
    assert f"{model} cannot be read: RecursionError" in result.stderr


def test_a_graph_of_a_fixed_batch_is_not_tried_with_terabytes(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(graph(shape=(10**9, 4, 8, 8)))
    torch.save(torch.randn(8, 4, 8, 8), tmp_path / "data.pt")
    result = CliRunner().invoke(app, ["inspect", str(model), "--data", str(tmp_path / "data.pt"), "--no-config"])
    assert result.exit_code in (3, 4), result.output
