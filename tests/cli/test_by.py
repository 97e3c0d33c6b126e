"""`--by` on the command line: the table, the CSV, the JSON and the page, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from called import call, read_back
from jsonschema import Draft202012Validator

from bncheck.results.report import Report

SAMPLES = Path("sample_models")
SCHEMA = json.loads(Path("bncheck/report.schema.json").read_text("utf-8"))
MODEL = [str(SAMPLES / "healthy.pt"), "--arch", f"{SAMPLES / 'digits_net.py'}:build"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits of two cameras, the second of which is twice as bright."""
    with np.load(SAMPLES / "digits_eval.npz") as held:
        x, y = held["x"][:240].copy(), held["y"][:240]
    camera = np.array(["left", "right"])[np.arange(240) % 2]
    x[camera == "right"] *= 2
    path = tmp_path_factory.mktemp("by") / "digits.npz"
    np.savez(path, x=x, y=y, camera=camera)
    return path


def test_slices_stand_in_every_report(data: Path, tmp_path: Path) -> None:
    reports = [f"--report={name}" for name in ("r.json", "r.html", "r.md", "slices-csv=r.csv")]
    reports = [one.replace("r.", f"{tmp_path}/r.") for one in reports]
    done = call("inspect", *MODEL, "--data", str(data), "--by", "camera", *reports)
    assert done.code in (0, 1)
    assert "By slice of the data: 2 slices, of which" in done.stdout
    document = json.loads((tmp_path / "r.json").read_text("utf-8"))
    Draft202012Validator(SCHEMA).validate(document)
    first, second = document["slices"]
    assert (first["name"], second["name"]) == ("right", "left")
    assert first["sure_gap"] > second["sure_gap"]
    assert Report.from_dict(document).to_dict() == document
    frame = read_back((tmp_path / "r.csv").read_text("utf-8"))
    assert frame["slice"].drop_duplicates().tolist() == ["right", "left"]
    assert frame["rank"].drop_duplicates().tolist() == [1, 2]
    wide = frame.pivot_table(index="layer", columns="slice", values="gap")
    assert wide.loc[first["layers"][0]["name"], "right"] == pytest.approx(first["layers"][0]["gap"])
    assert frame.drop_duplicates("slice")["score"].tolist() == pytest.approx([first["accuracy"], second["accuracy"]])
    for name in ("r.html", "r.md"):
        text = (tmp_path / name).read_text("utf-8")
        assert "By slice of the data: 2 slices" in text
        assert "right" in text


def test_code_of_the_users_names_slices_and_is_said_to_run(data: Path, tmp_path: Path) -> None:
    code = tmp_path / "slicing.py"
    code.write_text("def parity(inputs, labels):\n    return [('even', 'odd')[one % 2] for one in labels.tolist()]\n")

    done = call("inspect", *MODEL, "--data", str(data), "--by", f"{code}:parity", "--input", "x", "--fast")
    assert f"--by imports and runs {code}." in done.stderr
    assert all(name in done.stdout for name in ("odd", "even"))
    refused = call("inspect", *MODEL, "--data", str(data), "--by", f"{code}:parity", "--report", f"json={code}")
    assert refused.code == 2


def test_without_data_or_with_a_training_there_are_no_slices(data: Path) -> None:
    alone = call("inspect", *MODEL, "--by", "camera")
    assert (alone.code, "--by is about what layers see" in alone.stderr) == (2, True)
    trained = call("inspect", *MODEL, "--data", str(data), "--by", "camera", "--renorm", "--train-data", str(data))
    assert (trained.code, "--by is of what a model shows as it is" in trained.stderr) == (2, True)
    missing = call("inspect", *MODEL, "--data", str(data), "--by", "site")
    assert (missing.code, "--by site: there is none; there are x" in missing.stderr) == (3, True)
