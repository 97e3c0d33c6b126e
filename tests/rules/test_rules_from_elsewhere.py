"""Rules from other folders than bncheck's own: a page and a module are all that it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from digit_nets import SAMPLES
from hand_built import layer

import bncheck
from bncheck.errors import UsageError
from bncheck.evidence import Evidence
from bncheck.render import renderer
from bncheck.rules import RULES, SYMPTOMS, find_rule, judge, matching, rules_from

PAGE = """+++
severity = "warning"
needs = ["statistics"]
shows = "drift"
explains = ["lag"]
symptoms = { one-layer-off = 9 }
+++

# BN699: layers that are there

**Severity:** warning. **Needs:** the checkpoint alone.

## What
One more rule.
"""
MODULE = """
from bncheck.results.finding import Finding, Measure


def judge(evidence):
    for layer in evidence.layers:
        yield Finding("BN699", "warning", (layer.name,), "There it is.", "Nothing.", Measure("layer", 1.0))
"""
SEEN = Evidence((layer(),))


def written(folder: Path, code: str = "bn699", page: str = PAGE, module: str | None = MODULE) -> Path:
    (folder / "of_mine").mkdir()
    (folder / "of_mine" / f"{code}.md").write_text(page, encoding="utf-8")
    if module is not None:
        (folder / "of_mine" / f"{code}.py").write_text(module, encoding="utf-8")
    return folder


def test_a_rule_from_another_folder_is_one_like_any_other_while_it_is_active(tmp_path: Path) -> None:
    known = [rule.code for rule in RULES]
    with rules_from(written(tmp_path)) as rules:
        assert [rule.code for rule in rules] == [rule.code for rule in RULES] == sorted([*known, "BN699"])
        rule = find_rule("699")
        assert rule.title == "layers that are there"
        assert rule.page.startswith("# BN699: layers that are there\n\n**Severity:**")
        assert matching(("BN69",), "") == {"BN699"}
        assert rule.suppresses == ("BN608",)
        assert "BN699" in find_rule("BN102").suppresses
        assert [finding.code for finding in judge(SEEN)] == ["BN699"]
        assert next(symptom for symptom in SYMPTOMS if symptom.key == "one-layer-off").codes[-1] == "BN699"
    assert judge(SEEN) == ()
    assert [rule.code for rule in RULES] == known
    with pytest.raises(UsageError, match="there is no rule 'BN699'"):
        find_rule("BN699")


def test_a_model_is_inspected_by_it_and_every_format_tells_it(tmp_path: Path) -> None:
    with rules_from(str(written(tmp_path))):
        report = bncheck.inspect(SAMPLES / "healthy.pt")
        assert {finding.code for finding in report.findings} == {"BN699"}
        assert report.summary.exit_code == 1
        for name in ("json", "markdown", "junit", "sarif", "github"):
            assert "BN699" in renderer(name)(report)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"page": "# BN699: no head\n"}, "begin with its head, in TOML"),
        ({"page": PAGE.replace("# BN699", "# BN698")}, r"begin with `# BN699: `"),
        ({"module": None}, r"beside a page stands the module that judges, bn699\.py"),
        ({"page": PAGE.replace('"warning"', '"dreadful"', 1)}, "dreadful"),
        ({"page": PAGE.replace('["statistics"]', '["luck"]')}, "choose of statistics, data"),
        ({"page": PAGE.replace('"drift"', '"a ghost"')}, "a ghost"),
        ({"page": PAGE.replace("shows", "show")}, "'show' is none of"),
        ({"page": PAGE.replace("severity", "#", 1)}, "severity"),
        ({"page": PAGE.replace('"warning"', "warning", 1)}, "the head does not describe a rule"),
        ({"code": "bn102", "page": PAGE.replace("BN699", "BN102")}, "has the code BN102 already"),
        ({"code": "bn999", "page": PAGE.replace("BN699", "BN999")}, "codes begin with one of BN1"),
    ],
)
def test_a_page_that_describes_no_rule_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message), rules_from(written(tmp_path, **changes)):
        pass


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("import no_such_module_anywhere\n", "cannot be imported: ModuleNotFoundError"),
        ("", r"has no function `judge\(evidence\)`"),
        (MODULE.replace('"BN699"', '"BN698"'), "judges BN699 and gave a BN698"),
    ],
)
def test_a_module_that_does_not_judge_is_refused(tmp_path: Path, module: str, message: str) -> None:
    with rules_from(written(tmp_path, module=module)), pytest.raises(UsageError, match=message):
        judge(SEEN)
