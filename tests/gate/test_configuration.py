"""Options in a file: where it is found, what its values become, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hand_made import full_report, healthy_report, many_layers, run, static_report, summary

from bncheck.cli.configuration_file import Configuration, OptionKind, find_configuration
from bncheck.errors import UsageError
from bncheck.gate.acceptance import accept
from bncheck.results.report import INCONCLUSIVE
from bncheck.settings import LayerIgnore

OPTIONS = {
    "data": OptionKind(names="data"),
    "arch": OptionKind(names="code"),
    "arch-kwargs": OptionKind(),
    "reference": OptionKind(names="path"),
    "report": OptionKind(repeatable=True, names="report"),
    "ignore": OptionKind(repeatable=True),
    "mean": OptionKind(),
    "resize": OptionKind(),
    "fail-on": OptionKind(),
    "batch-size": OptionKind("whole", least=1),
    "max-gap": OptionKind("number", least=0.0),
    "strict": OptionKind("flag"),
    "trust-pickle": OptionKind("flag"),
}
IGNORE = '[[ignore-layers]]\nlayer = "head.*"\ncodes = ["bn603", "BN6"]\nreason = "Two cameras on purpose."\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder three below, to stand in."""
    folder = tmp_path / "project" / "inner" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def found(folder: Path) -> Configuration:
    return find_configuration(folder, lambda: OPTIONS)


def said(folder: Path, text: str) -> Any:
    """The values of a file in that folder."""
    (folder / "bncheck.toml").write_text(text)
    return found(folder).values


def test_without_a_file_there_is_nothing(here: Path) -> None:
    assert found(here) == Configuration()


def test_the_nearest_file_upwards_counts_alone(here: Path) -> None:
    (here.parents[1] / "bncheck.toml").write_text('fail-on = "error"\nstrict = true')
    assert found(here).values == {"fail-on": "error", "strict": True}
    (here.parent / "pyproject.toml").write_text("[tool.bncheck]\nmax-gap = 1")
    assert found(here).values == {"max-gap": 1}
    assert found(here).source == "../pyproject.toml [tool.bncheck]"


def test_a_pyproject_without_the_table_is_passed_by(here: Path) -> None:
    (here / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100")
    (here.parent / "pyproject.toml").write_text("[project]\nname = 'x'")
    (here.parents[1] / "bncheck.toml").write_text("strict = true")
    assert found(here).values == {"strict": True}
    (here / "pyproject.toml").write_text("[tool.bncheck]")
    assert found(here).values == {}


def test_its_own_file_goes_before_the_shared_one(here: Path) -> None:
    (here / "pyproject.toml").write_text("[tool.bncheck]\nmax-gap = 1")
    assert said(here, "max-gap = 2") == {"max-gap": 2}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mean = [0.5, 0.25, 1]", "0.5,0.25,1"),
        ('mean = "0.5,0.25,1"', "0.5,0.25,1"),
        ("resize = 224", "224"),
        ("resize = [224, 320]", "224,320"),
        ('ignore = ["BN6", "BN102"]', ["BN6", "BN102"]),
        ('ignore = "BN6,BN102"', ["BN6,BN102"]),
        ('arch-kwargs = {depth = 18, name = "a"}', '{"depth": 18, "name": "a"}'),
        ("arch-kwargs = '{\"depth\": 18}'", '{"depth": 18}'),
        ("batch-size = 8", 8),
        ("max-gap = 0.5", 0.5),
        ("strict = false", False),
    ],
)
def test_values_become_what_the_command_line_takes(here: Path, text: str, value: Any) -> None:
    assert list(said(here, text).values()) == [value]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('reference = "models/model.pt"', "../../models/model.pt"),
        ('reference = "/models/model.pt"', "/models/model.pt"),
        ('data = "val.npz"', "../../val.npz"),
        ('data = "loaders.py:validation"', "../../loaders.py:validation"),
        ('data = "package.loaders:validation"', "package.loaders:validation"),
        ('data = "odd:name"', "../../odd:name"),
        ('arch = "net.py:build"', "../../net.py:build"),
        ('arch = "torchvision.models:resnet18"', "torchvision.models:resnet18"),
        ('report = "report.json"', ["../../report.json"]),
        ('report = ["json=-", "sarif=out/a.sarif", "-"]', ["json=-", "sarif=../../out/a.sarif", "-"]),
        ('fail-on = "a/b"', "a/b"),
    ],
)
def test_paths_are_relative_to_the_file(here: Path, text: str, value: Any) -> None:
    above = here.parents[1]
    (above / "odd:name").touch()
    (above / "bncheck.toml").write_text(text)
    assert list(found(here).values.values()) == [value]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fail_on = 'error'", r"bncheck.toml: there is no option 'fail_on' (did you mean fail-on?)."),
        ("maxgap = 1", r"bncheck.toml: there is no option 'maxgap' (did you mean max-gap?)."),
        ("colour = 1", r"bncheck.toml: there is no option 'colour'; `bncheck inspect --help` lists them."),
        ("ignore-layer = []", r"bncheck.toml: there is no option 'ignore-layer' (did you mean ignore-layers?)."),
        ("[tool.bncheck]\nlimit = 3", r"bncheck.toml: its options stand at its top level, without a header; [tool."),
        ("[bncheck]\nlimit = 3", r"bncheck.toml: its options stand at its top level, without a header; [tool."),
        ("trust-pickle = true", r"bncheck.toml: trust-pickle cannot stand in a file. Whether a pickle may run code"),
        ("allow-op = 'a::b'", r"bncheck.toml: allow-op cannot stand in a file. Which operators beyond those that"),
        ("trust-pickle = false", r"bncheck.toml: trust-pickle cannot stand in a file."),
        ("batch-size = '8'", r"bncheck.toml: batch-size should be a whole number, and is '8'."),
        ("batch-size = 8.5", r"bncheck.toml: batch-size should be a whole number, and is 8.5."),
        ("batch-size = true", r"bncheck.toml: batch-size should be a whole number, and is True."),
        ("batch-size = 0", r"bncheck.toml: batch-size should be at least 1, and is 0."),
        ("max-gap = nan", r"bncheck.toml: max-gap should be at least 0, and is nan."),
        ("strict = 'yes'", r"bncheck.toml: strict should be true or false, and is 'yes'."),
        ("fail-on = true", r"bncheck.toml: fail-on should be text or a number, and is True."),
        ("ignore = [['BN6']]", r"bncheck.toml: ignore should be text or a number, and is ['BN6']."),
        ("fail-on = ", r"bncheck.toml is not TOML: Invalid value"),
        ("ignore-layers = 'head'", r"ignore-layers should be a list of tables, each headed [[ignore-layers]]."),
        (IGNORE.replace("reason", "because"), r"ignore-layers[0] has 'because'; it takes layer, codes and reason."),
        (IGNORE.replace("Two cameras on purpose.", " "), r"ignore-layers[0] needs a reason: why the findings in head."),
        (IGNORE.split("reason")[0], r"ignore-layers[0] needs a reason"),
        (IGNORE.replace('"head.*"', '""'), r"ignore-layers[0] needs a layer"),
        (IGNORE.replace('["bn603", "BN6"]', "[]"), r"ignore-layers[0] needs codes: a list of rules"),
        (IGNORE.replace('["bn603", "BN6"]', '"BN603"'), r"ignore-layers[0] needs codes: a list of rules"),
        (IGNORE + IGNORE.replace("BN6", "BN6O3"), r"ignore-layers[1]: codes BN6O3: no rule matches (did you mean BN"),
    ],
)
def test_what_no_option_means_is_refused(here: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        said(here, text)


def test_a_file_that_is_not_text_is_refused(here: Path) -> None:
    (here / "bncheck.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"bncheck\.toml is not TOML: .* --no-config leaves it out\.$"):
        found(here)


def test_ignores_are_read(here: Path) -> None:
    (here / "bncheck.toml").write_text(IGNORE)
    assert found(here).ignores == (LayerIgnore("head.*", ("BN603", "BN6"), "Two cameras on purpose", "bncheck.toml"),)


def ignore(layer: str, *codes: str) -> LayerIgnore:
    return LayerIgnore(layer, codes, "a reason", "bncheck.toml")


@pytest.mark.parametrize(
    ("ignores", "accepted"),
    [
        ([ignore("backbone.*", "BN603")], {"BN603"}),
        ([ignore("backbone.*", "BN6")], {"BN600", "BN603"}),
        ([ignore("backbone.features.*", "BN603")], set()),
        ([ignore("backbone.features.*", "BN603"), ignore("backbone.transition.norm", "BN603")], {"BN603"}),
        ([ignore("*.norm2", "BN600")], {"BN600"}),
        ([ignore("norm2", "BN600")], set()),
        ([ignore("Backbone.*", "BN6")], set()),
        ([ignore("*", "BN102")], set()),
        ([ignore("*", "BN")], {"BN600", "BN603", "BN706"}),
    ],
)
def test_a_finding_is_ignored_only_if_all_its_layers_are(ignores: list[LayerIgnore], accepted: set[str]) -> None:
    judged = accept(full_report(), ignores)
    assert {finding.code for finding in judged.findings if finding.accepted} == accepted
    assert judged.summary.exit_code == (0 if {"BN600", "BN603"} <= accepted else 1)
    assert judged.summary.verdict == "findings"


def test_an_ignore_says_why_in_the_report() -> None:
    judged = accept(full_report(), [ignore("*.norm2", "BN600")])
    assert judged.findings[0].accepted == "ignored, a reason (bncheck.toml)"
    assert judged.run.notes[2:] == (
        "Accepted BN600 in backbone.features.denseblock3.denselayer24.norm2: ignored, a reason (bncheck.toml)",
    )


def test_a_finding_of_no_layer_cannot_be_ignored_by_one() -> None:
    report = full_report()
    whole = replace(report, findings=(replace(report.findings[0], layers=()),))
    assert accept(whole, [ignore("*", "BN")]).summary.exit_code == 1


def test_many_of_a_kind_are_one_note() -> None:
    judged = accept(many_layers(500), [ignore("*", "BN600")])
    assert judged.summary.exit_code == 0
    assert [note for note in judged.run.notes if "BN600" in note] == [
        "Accepted BN600 in 500 layers: ignored, a reason (bncheck.toml)"
    ]


@pytest.mark.parametrize(
    ("given", "report", "unused"),
    [
        (ignore("*.bn", "BN603"), healthy_report(), True),
        (ignore("*.norm2", "BN600"), full_report(), False),
        # What this run could not have found:
        (ignore("*.bn", "BN603"), static_report(), False),
        (ignore("*.bn", "BN1"), replace(healthy_report(), run=run(options={"select": ["BN6"]})), False),
        (ignore("*.bn", "BN603"), replace(healthy_report(), summary=summary((), INCONCLUSIVE, 4)), False),
    ],
)
def test_an_ignore_of_no_use_is_told(given: LayerIgnore, report: Any, unused: bool) -> None:
    notes = accept(report, [given]).run.notes
    told = f"Of no use any more: the ignore of bncheck.toml for {given.codes[0]} in {given.layer} (a reason)"
    assert (told in notes) is unused


@pytest.mark.parametrize(
    ("layer", "nearest"), [("nothing.*", ""), ("backbone.stem.bm", ", 'backbone.stem.bn' is the nearest")]
)
def test_an_ignore_for_a_layer_that_there_is_not_says_so(layer: str, nearest: str) -> None:
    notes = accept(full_report(), [ignore(layer, "BN6")]).run.notes
    told = f"Of no use: the ignore of bncheck.toml for BN6 in {layer} (a reason); no layer has such a name{nearest}"
    assert told in notes
