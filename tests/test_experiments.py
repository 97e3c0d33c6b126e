"""The experiments run, at a size of seconds; and the page that tells their story shows what was recorded."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.experiments.__main__ import experiments, main
from benchmarks.experiments.drawing import save
from benchmarks.experiments.e2_bad_batches import ON_BAD, RECOVERED, RENORMALIZED
from benchmarks.experiments.experiment import Experiment, Seen, by_name
from benchmarks.experiments.page import PAGE, RECORD, publish
from benchmarks.experiments.record import Ran, read, write
from bncheck.cli.app import app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TEXT = (DOCS / PAGE).read_text(encoding="utf-8")
RECORDED = read(DOCS / RECORD)
LARGEST = 60_000
"""Bytes of a figure."""
TRIAL = 0.005
"""Share of the steps: a few of each."""


@pytest.fixture(scope="module")
def garments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as that of Fashion-MNIST, of 300 and 100 pictures of noise."""
    folder = tmp_path_factory.mktemp("fashion")
    generator = np.random.default_rng(0)
    for part, images in (("train60000", 300), ("test10000", 100)):
        x = generator.integers(0, 256, (images, 28, 28), dtype=np.uint8)
        np.savez(folder / f"fashion_mnist_{part}.npz", x=x, y=np.arange(images) % 10)
    return folder


@pytest.fixture(scope="module")
def trial(garments: Path) -> Callable[[str], Seen]:
    """Gives what an experiment shows under seed 0, run once for all tests."""
    return cache(lambda code: experiments(garments)[code].one(0, TRIAL))


@pytest.mark.slow
@pytest.mark.parametrize("code", sorted(experiments(Path())))
def test_every_experiment_runs_and_is_drawn(code: str, trial: Callable[[str], Seen], tmp_path: Path) -> None:
    experiment, seen = experiments(Path())[code], trial(code)
    assert [line.split(" | ")[0] for line in experiment.table([seen]).splitlines()[2:]] == [
        f"| {name}" for name in seen.numbers
    ]
    save(experiment.draw([seen, seen]), tmp_path / "figure.svg")
    assert "</svg>" in (tmp_path / "figure.svg").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("code", ["E3", "E4"])
def test_a_seed_gives_the_same_numbers_again(code: str, trial: Callable[[str], Seen]) -> None:
    one = experiments(None)[code].one
    assert one(0, TRIAL) == trial(code)
    assert one(4, TRIAL) != trial(code)


@pytest.mark.slow
def test_one_command_runs_and_records(tmp_path: Path) -> None:
    main(["--only", "E3", "--effort", "0.001", "--processes", "1", "--out", str(tmp_path)])
    assert len(read(tmp_path / RECORD)["E3"].seen) == 5
    assert (tmp_path / "experiments" / "e3.svg").exists()


def test_an_unknown_experiment_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "E2-fashion"])
    assert "--only E2-fashion: choose from E1, E2" in capsys.readouterr().err


def test_the_table_worked_by_hand() -> None:
    seen = [Seen({"right": 90.0}), Seen({"right": 94.0})]
    plain = Experiment("E9", "a title", "%", lambda seed, effort: seen[seed], lambda seen: None)
    assert plain.table(seen).splitlines()[2] == "| right | 92.0 | 2.8 | 90.0 | 94.0 |"
    powers = [Seen({"norm": 10.0}), Seen({"norm": 1000.0})]
    logarithmic = Experiment("E9", "", "", plain.one, plain.draw, form=".3g", geometric=True)
    assert logarithmic.table(powers).splitlines()[2] == "| norm | 100 | x 26 | 10 | 1e+03 |"


def test_what_is_recorded_comes_back(tmp_path: Path) -> None:
    ran = {"E9": Ran([Seen({"a": 1.0}, {"b": [0.5, 1234500.0]}), Seen({"a": 2.5}, {"b": [1e-9, 0.0]})], 61.0)}
    write(tmp_path / "seeds.json", ran)
    assert read(tmp_path / "seeds.json") == ran


# The page


def test_figures_and_page_belong_together() -> None:
    shown = set(re.findall(r"\]\((experiments/[\w-]+\.svg)\)", TEXT))
    drawn = {f"experiments/{path.name}" for path in (DOCS / "experiments").glob("*.svg")}
    assert shown == drawn == {f"experiments/{code.lower()}.svg" for code in RECORDED}
    assert max((DOCS / name).stat().st_size for name in shown) < LARGEST


@pytest.mark.slow
def test_the_tables_are_those_of_the_record(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / PAGE).write_text(re.sub(r"(<!-- [\w-]+ -->\n).*?(<!-- /)", r"\1\2", TEXT, flags=re.DOTALL))
    publish(experiments(Path()), RECORDED, tmp_path)
    assert (tmp_path / PAGE).read_text(encoding="utf-8") == TEXT
    assert all(f"<!-- {code} -->" in TEXT for code in experiments(Path()))


def test_the_record_is_of_five_seeds_and_fits_the_experiments() -> None:
    assert RECORDED.keys() == experiments(Path()).keys()
    assert all(len(ran.seen) >= 5 for ran in RECORDED.values())
    assert sum(ran.seconds for ran in RECORDED.values()) < 2 * 30 * 60


def mean_of(code: str, name: str) -> float:
    return float(np.mean(by_name([one.numbers for one in RECORDED[code].seen])[name]))


def test_the_record_bears_the_story_out() -> None:
    assert (
        mean_of("E1", "Batch Normalization: loss at the end")
        < 0.1
        < mean_of("E1", "moving averages, alpha 0.01: loss at the end")
    )
    assert mean_of("E2", RENORMALIZED) >= 95
    assert max(mean_of("E2", name) for name in (ON_BAD, "... recalibrated")) < 75
    assert mean_of("E2", "+ BatchNorm, bad batches") < 80
    assert mean_of("E2-fashion", RECOVERED) >= 50
    assert mean_of("E6", "false alarms: a channel's shift against bncheck's noise (nominal 5 %)") == pytest.approx(
        5, abs=1
    )


@pytest.mark.slow
@pytest.mark.parametrize("line", re.findall(r"^\$ bncheck (inspect .*)$", TEXT, re.MULTILINE))
def test_the_commands_of_the_page_find_what_it_says(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command, _, found = line.partition("  # ")
    done = CliRunner().invoke(app, command.split())
    assert set(re.findall(r"BN\d{3}", found)) <= set(re.findall(r"BN\d{3}", done.stdout))
    assert f"exit code {done.exit_code}" in found
