"""`--help`, `--version`, `bncheck rules` and `bncheck rule CODE`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest
from command_line import call, refused

import bncheck
from bncheck.rules.catalogue import GROUPS, RULES

OPTIONS = {
    *("--arch", "--arch-kwargs", "--key", "--trust-pickle", "--allow-op", "--device", "--amp"),
    *("--reference", "--reference-arch", "--reference-key", "--reference-data"),
    *("--data", "--train-data", "--input", "--label", "--label-column", "--fill", "--skip-bad-samples"),
    *("--batch-size", "--limit", "--until", "--batch-sizes", "--exhaustive", "--fast", "--seed", "--max-memory"),
    *("--output", "--sync", "--by", "--against", "--sample-memory", "--workers"),
    *("--layout", "--mean", "--std", "--resize", "--crop", "--channels", "--scale", "--preset"),
    *("--metric", "--task", "--max-gap", "--deploy-dtype", "--select", "--ignore", "--fail-on", "--strict"),
    *("--baseline", "--write-baseline", "--renorm", "--steps", "--lr", "--out"),
    *("--shard", "--write-moments", "--report", "--quiet", "--debug", "--help", "--no-config"),
    *("--verbose", "--all", "--sort", "--format", "--statistics"),
}
EXIT_CODES = {"0": "fine", "1": "findings", "2": "wrong command", "3": "unreadable file", "4": "not or too little"}


def words(text: str) -> str:
    return " ".join(text.split())


def test_inspect_help_names_every_option_and_no_other() -> None:
    done = call("inspect", "--help")
    assert done.code == 0
    assert set(re.findall(r"^ {2}(?:-\w, )?(--[a-z-]+)", done.stdout, re.MULTILINE)) == OPTIONS


@pytest.mark.parametrize("command", [["--help"], ["inspect", "--help"], ["inspect", "-h"]])
def test_help_has_the_exit_codes(command: list[str]) -> None:
    help_text = words(call(*command).stdout)
    for code, meaning in {**EXIT_CODES, "70": "a bug in bncheck", "130": "interrupted"}.items():
        assert f"{code} {meaning}" in help_text


def test_help_says_what_inspect_does_with_defaults_and_choices() -> None:
    help_text = words(call("inspect", "--help").stdout)
    for said in (
        "Without --data the stored values alone are audited.",
        "--fail-on error|warning|never",
        "[default: warning]",
        "An error is wrong for certain or costs many predictions, a warning costs some, or may",
        "by its key (ema) or the prefix of its names",
        "--layout auto|nhwc|nchw",
        "--channels rgb|bgr|gray",
        "[FORMAT=]PATH",
        "csv, channels-csv, slices-csv, json, html, markdown, junit, sarif or github",
    ):
        assert said in help_text


@pytest.mark.parametrize("command", [[], ["inspect"], ["repair"], ["diff"], ["stamp"], ["gate"], ["rules"], ["rule"]])
def test_help_fits_eighty_columns_and_breaks_no_example(command: list[str]) -> None:
    lines = call(*command, "--help").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line.startswith(("    bncheck ", "    # ")) for line in lines if "model.pt" in line)


def test_the_help_groups_its_options() -> None:
    titles = [line for line in call("inspect", "--help").stdout.splitlines() if line.endswith(":") and line[0] != " "]
    assert titles == [
        *("Arguments:", "The data:", "The model:", "Images:", "Judging:", "Fine-tuning (renorm):", "Output:"),
    ]


def test_the_list_of_commands_is_whole_sentences() -> None:
    help_text = call("--help").stdout
    assert "..." not in help_text.split("Commands:")[1]
    names = ("inspect", "repair", "diff", "stamp", "gate", "rules", "rule", "audit")
    assert all(f"\n  {name} " in help_text for name in names)


def test_a_command_that_is_mistyped_is_guessed() -> None:
    assert "No such command 'inspekt'. Did you mean 'inspect'?" in call("inspekt").stderr


def test_without_a_command_there_is_help() -> None:
    done = call()
    assert "Usage: " in done.stdout + done.stderr
    assert all(command in done.stdout + done.stderr for command in ("inspect", "rules", "rule"))
    assert done.code == 2


def test_version() -> None:
    done = call("--version")
    assert (done.code, done.stdout) == (0, f"bncheck {bncheck.__version__}\n")


def test_rules_lists_every_rule_under_its_group() -> None:
    done = call("rules")
    assert done.code == 0
    listed = [line.split()[0] for line in done.stdout.splitlines()[1:] if line.startswith("BN")]
    expected: list[str] = []
    for rule in RULES:
        expected += [rule.code[:3]] if rule.code[:3] not in expected else []
        expected.append(rule.code)
    assert listed == expected
    for group in {rule.code[:3] for rule in RULES}:
        assert GROUPS[group] in done.stdout
    for rule in RULES:
        assert rule.title.split()[0] in done.stdout


def test_rules_as_json() -> None:
    rules = call("rules", "--format", "json").json
    assert [(rule["code"], rule["title"], rule["severity"]) for rule in rules] == [
        (rule.code, rule.title, rule.severity) for rule in RULES
    ]
    assert all(set(rule) == {"code", "title", "severity", "needs", "page"} for rule in rules)
    assert all(rule["page"].startswith(f"# {rule['code']}: ") for rule in rules)


def test_a_rule_as_json_is_its_entry_in_the_list() -> None:
    listed = {rule["code"]: rule for rule in call("rules", "--format", "json").json}
    assert call("rule", "bn102", "--format", "json").json == listed["BN102"]


@pytest.mark.parametrize("command", [("rules",), ("rule", "BN102")])
def test_rules_in_a_format_there_is_not(command: tuple[str, ...]) -> None:
    assert "--format xml: choose one of text, json." in refused(call(*command, "--format", "xml"), 2)


@pytest.mark.parametrize("code", ["BN102", "bn102", "Bn102"])
def test_a_rule_is_explained_whatever_its_case(code: str) -> None:
    done = call("rule", code)
    assert (done.code, done.stderr) == (0, "")
    page = words(done.stdout)
    for said in ("BN102: statistics never updated", "What", "Why it happens", "How it is detected", "How to repair"):
        assert said in page


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_every_page_fits_the_terminal(rule: object) -> None:
    done = call("rule", rule.code)
    assert rule.title in words(done.stdout)
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_a_rule_there_is_not() -> None:
    assert refused(call("rule", "BN1O2"), 2) == (
        "bncheck: there is no rule 'BN1O2' (did you mean BN102?); `bncheck rules` lists them.\n"
    )
    assert "there is no rule 'colour'; `bncheck rules`" in refused(call("rule", "colour"), 2)


OFFERED = {
    "bncheck insp": ["inspect"],
    "bncheck rule BN60": [f"BN60{number}" for number in range(10)],
    "bncheck repair --method re": ["recalibrate", "renorm"],
    "bncheck inspect --report j": ["json=", "junit="],
    "bncheck inspect --select BN601,BN10": [f"BN601,BN10{number}" for number in range(1, 8)],
    "bncheck inspect --channels ": ["rgb", "bgr", "gray"],
    "bncheck gate --fail-on n": ["never"],
}
COMPLETING = """
import contextlib, io, json, os, sys
from bncheck.cli.app import app
told = {}
for typed in json.loads(sys.argv[1]):
    os.environ |= {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split(" ")) - 1)}
    with contextlib.redirect_stdout(io.StringIO()) as offered, contextlib.suppress(SystemExit):
        app(prog_name="bncheck")
    told[typed] = offered.getvalue().split(), sorted({"torch", "onnx", "pandas", "numpy"} & set(sys.modules))
print(json.dumps(told))
"""


def test_the_shell_completes_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPLETING, json.dumps(list(OFFERED))],
        env=os.environ | {"_BNCHECK_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == {typed: [offered, []] for typed, offered in OFFERED.items()}
