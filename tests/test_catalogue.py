"""The rules as data, and a page for each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

import bncheck.rules
from bncheck.cli.app import app
from bncheck.core import THRESHOLDS, Thresholds, thresholds
from bncheck.errors import UsageError
from bncheck.rules import GROUPS, RULES, SYMPTOMS, Rule, find_rule, matching
from bncheck.vocabulary import Severity

REPEATABLE = settings(derandomize=True, deadline=None)
CODES = [rule.code for rule in RULES]
SECTIONS = ["What", "Why it happens", "How it is detected", "How to repair"]
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


def test_codes_are_in_order_and_each_there_once() -> None:
    assert sorted(set(CODES)) == CODES
    assert all(re.fullmatch(r"BN[1-7]\d\d", code) for code in CODES)
    assert {code[:3] for code in CODES} <= set(GROUPS)


@every_rule
def test_a_rule_is_complete(rule: Rule) -> None:
    assert rule.severity in list(Severity)
    assert rule.needs
    assert set(rule.needs) <= {"statistics", "data", "training data", "architecture", "reference", "expectation"}
    assert set(rule.suppresses) < set(CODES) - {rule.code}
    assert rule.title == rule.title.strip(" .")


@every_rule
def test_a_page_has_its_title_and_its_sections_in_order(rule: Rule) -> None:
    lines = rule.page.splitlines()
    assert lines[0] == f"# {rule.code}: {rule.title}"
    sections = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert sections[: len(SECTIONS)] == SECTIONS
    for section, following in pairwise(lines):
        if section.startswith("## "):
            assert following.strip(), f"{section} is empty"


@every_rule
def test_a_page_tells_the_severity_of_the_catalogue(rule: Rule) -> None:
    told = re.search(r"^\*\*Severity:\*\* (.+?)\*\*Needs", rule.page, re.MULTILINE | re.DOTALL)
    assert told is not None
    assert rule.severity in told.group(1)


@every_rule
def test_a_page_is_plain_text_of_readable_width(rule: Rule) -> None:
    assert max(map(len, rule.page.splitlines())) <= 100
    assert rule.page.endswith("\n")
    assert not re.search(r"[ \t]$", rule.page, re.MULTILINE)


@every_rule
def test_the_python_of_a_page_compiles(rule: Rule) -> None:
    for number, block in enumerate(_blocks(rule.page, "python")):
        compile(block, f"{rule.code}, block {number}", "exec")


@every_rule
def test_the_commands_of_a_page_exist(rule: Rule) -> None:
    commands = typer.main.get_command(app).commands
    for line in (line for block in _blocks(rule.page, "") for line in block.splitlines() if line.startswith("bncheck")):
        name, *arguments = line.split()[1:]
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= known


@every_rule
def test_a_page_tells_the_command_of_its_remedy(rule: Rule) -> None:
    repairing = rule.page.split("## How to repair\n")[1].split("\n## ")[0].replace("\\\n", "")
    command, *options = rule.remedy.split()
    wanted = {option for option in options if option.startswith("--")}
    told = [line.split() for line in re.findall(r"(?:^|`)(bncheck [^`\n]+)", repairing, re.MULTILINE)]
    assert any(line[:2] == ["bncheck", command] and wanted <= set(line) for line in told)


def test_no_page_sends_to_update_bn_whose_drawbacks_they_list() -> None:
    pages = [*(rule.page for rule in RULES), *(path.with_suffix(".py").read_text() for path in MODULES)]
    assert not [page for page in pages if "update_bn" in page]


ROOM = Path(bncheck.rules.__file__).parent
MODULES = sorted(ROOM.rglob("bn[0-9]*.py"), key=lambda path: path.stem)
"""The rules' own modules, from which nothing but the rules' machinery takes anything."""


def test_every_module_has_its_page_and_every_page_its_rule() -> None:
    assert [path.stem.upper() for path in MODULES] == CODES
    assert [path.with_suffix(".md") for path in MODULES] == [rule.path for rule in RULES]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_a_rule_takes_nothing_from_another_rule(path: Path) -> None:
    taken = re.findall(r"^(?:from|import) (bncheck\.rules\S*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in taken if not name.startswith(("bncheck.rules.judging.", "bncheck.rules.limit"))] == []


def test_no_folder_of_rules_holds_more_than_fits_on_a_screen() -> None:
    folders = {path.parent for path in ROOM.rglob("*.py")}
    assert {folder.name: count for folder in folders if (count := len(list(folder.glob("*.*")))) > 15} == {}


def test_symptoms_that_pages_name_are_known_and_places_are_told_once() -> None:
    places = [place for rule in RULES for place in rule.symptoms]
    assert {key for key, _ in places} == {symptom.key for symptom in SYMPTOMS}
    assert len(set(places)) == len(places)


@every_rule
def test_numbers_that_a_page_gives_by_name_are_those_in_force(rule: Rule) -> None:
    """The value may stand on the next line."""
    for name, value in re.findall(r"`([a-z_]+)`\s+=\s+([\d.,e-]*\d)", rule.page):
        if hasattr(THRESHOLDS, name):
            assert float(value.replace(",", "")) == pytest.approx(getattr(THRESHOLDS, name), rel=0.02), name


@every_rule
def test_a_page_names_the_thresholds_that_decide(rule: Rule) -> None:
    used = set(re.findall(r"THRESHOLDS\.([a-z_]+)", rule.path.with_suffix(".py").read_text(encoding="utf-8")))
    assert used <= set(Thresholds.__dataclass_fields__)
    assert {name for name in used if f"`{name}`" not in rule.page} == set()


def test_every_number_that_decides_has_its_unit_and_its_reason() -> None:
    files = sorted(Path(thresholds.__file__).parent.glob("*thresholds.py"))
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    for name in Thresholds.__dataclass_fields__:
        assert re.search(rf'^    {name}: (int|float) = .+\n    """\w', source, re.MULTILINE), name


def test_every_number_that_decides_is_read_from_there() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in ROOM.parent.rglob("*.py"))
    assert set(re.findall(r"\bTHRESHOLDS\.(\w+)", sources)) == set(Thresholds.__dataclass_fields__)


def _blocks(page: str, language: str) -> Iterator[str]:
    yield from re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", ["BN102", "bn102", "Bn102", "102"])
def test_a_rule_is_found_whatever_its_case_and_by_its_number(code: str) -> None:
    assert find_rule(code).code == "BN102"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("BN1O2", r"^there is no rule 'BN1O2' \(did you mean BN102\?\); `bncheck rules` lists them\.$"),
        ("bn6O3", r"^there is no rule 'bn6O3' \(did you mean BN603\?\); `bncheck rules` lists them\.$"),
        ("BN1", r"^there is no rule 'BN1' \(did you mean BN1\d\d\?\)"),
        ("drift", r"^there is no rule 'drift'; `bncheck rules` lists them\.$"),
        ("", r"^there is no rule ''; `bncheck rules` lists them\.$"),
    ],
)
def test_an_unknown_rule_is_refused_with_the_nearest(code: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_rule(code)


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (("BN",), set(CODES)),
        (("BN2",), {code for code in CODES if code[2] == "2"}),
        (("bn20",), {code for code in CODES if code[2] == "2"}),
        (("BN102",), {"BN102"}),
        (("BN102", "BN7"), {"BN102", *(code for code in CODES if code[2] == "7")}),
        ((), set()),
    ],
)
def test_prefixes_stand_for_all_their_codes(selectors: tuple[str, ...], expected: set[str]) -> None:
    assert matching(selectors, "--select") == expected


@REPEATABLE
@given(st.sampled_from(CODES), st.integers(1, 5))
def test_every_prefix_of_a_code_selects_it(code: str, length: int) -> None:
    chosen = matching((code[:length].lower(),), "--select")
    assert code in chosen
    assert chosen == {other for other in CODES if other[:length] == code[:length]}


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("BN1O1", r"^--ignore BN1O1: no rule matches \(did you mean BN101\?\); `bncheck rules` lists them\.$"),
        ("BN9", r"^--ignore BN9: no rule matches"),
        ("102", r"^--ignore 102: no rule matches"),
        ("", r"^--ignore : no rule matches; `bncheck rules` lists them\.$"),
    ],
)
def test_a_selector_that_matches_nothing_is_refused(selector: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        matching(("BN1", selector), "--ignore")
