"""One rule: its page, what the head of the page says, and the module beside it that judges."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bncheck.errors import UsageError
from bncheck.rules.phenomena import Phenomenon, all_of
from bncheck.vocabulary import CHECK, Severity

if TYPE_CHECKING:
    from bncheck.evidence import Evidence
    from bncheck.results import Finding

ROOM = Path(__file__).parent
NEEDS = ("statistics", "data", "training data", "architecture", "reference", "expectation")
_FENCE = "+++\n"
_TITLE = re.compile(r"# (BN\d{3}): (.+)")
_KEYS = {"remedy", "severity", "needs", "shows", "explains", "by_layer", "certain", "symptoms"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a code stands for.

    Attributes:
        code: `BN` and three digits, the first of them the group; the name of the files.
        title: what is wrong, in a few words; the heading of the page.
        severity: the highest it is given.
        needs: what it is judged by: `statistics`, `data`, `training data`, `architecture`, `reference`,
            `expectation` (what the user says must hold).
        path: of the page; the module that judges stands beside it.
        shows: the phenomenon it sees; a rule that explains it replaces this one. `None` for what nothing replaces.
        explains: the phenomena it knows the cause of.
        by_layer: a finding that names no layer is about another copy of the model, and explains nothing of this one.
        certain: its remarks name the cause too, and explain other remarks.
        remedy: the command that does what it advises, without what a report fills in: `repair`, or the options that
            are new; `inspect` alone is the check after something that no command does.
        symptoms: by the key of a symptom, its place among the causes of it, the likeliest first.
    """

    code: str
    title: str
    severity: Severity
    needs: tuple[str, ...]
    path: Path
    shows: Phenomenon | None = None
    explains: tuple[Phenomenon, ...] = ()
    by_layer: bool = False
    certain: bool = False
    remedy: str = CHECK
    symptoms: tuple[tuple[str, int], ...] = ()

    @property
    def page(self) -> str:
        """Give its page without the head, in Markdown: what, why, how it was detected, how to repair, a real thread."""
        return _parted(self.path)[1]

    @property
    def suppresses(self) -> tuple[str, ...]:
        """Give the codes in force that are left out where this one is found: those whose phenomenon it explains."""
        from bncheck.rules.catalogue import RULES  # which reads these

        explained = all_of(self.explains)
        return tuple(rule.code for rule in RULES if rule.shows in explained and rule.code != self.code)

    def judge(self, evidence: Evidence) -> Iterator[Finding]:
        """Yield every finding of this rule that the evidence supports; its module is imported for it.

        Raises:
            UsageError: the module cannot be imported, has no `judge`, or gives findings of another code.
        """
        judge = getattr(module_of(self.path.with_suffix(".py")), "judge", None)
        if judge is None:
            raise UsageError(f"{self.path.with_suffix('.py')} has no function `judge(evidence)`.")
        for finding in judge(evidence):
            if finding.code != self.code:
                raise UsageError(f"{self.path.with_suffix('.py')} judges {self.code} and gave a {finding.code}.")
            yield finding if finding.command is not None else replace(finding, command=self.remedy)


def read_rule(path: Path) -> Rule:
    """Read a rule from its page.

    Raises:
        UsageError: the page has no head, or the head says something that none can.
    """
    head, page = _parted(path)
    code = path.stem.upper()
    title = _TITLE.match(page)
    if title is None or title[1] != code:
        raise UsageError(f"{path}: the page should begin with `# {code}: ` and what is wrong.")
    if not path.with_suffix(".py").is_file():
        raise UsageError(f"{path}: beside a page stands the module that judges, {path.with_suffix('.py').name}.")
    try:
        values = tomllib.loads(head)
        return _rule(code, title[2], values, path)
    except (tomllib.TOMLDecodeError, KeyError, ValueError) as error:
        raise UsageError(f"{path}: the head does not describe a rule: {error}") from error


def module_of(path: Path) -> ModuleType:
    """Import the module of a rule: bncheck's own by its name, another's by its file."""
    own = _own_name(path)
    if own is not None:
        return importlib.import_module(own)
    name = f"bncheck_rule_{path.stem}_{abs(hash((path, path.stat().st_mtime_ns)))}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported as Python.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UsageError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    return module


@cache
def _own_name(path: Path) -> str | None:
    """The name of the module where the rule is bncheck's own: every judgement asks for that of every rule."""
    if not path.is_relative_to(ROOM):
        return None
    return ".".join(("bncheck.rules", *path.relative_to(ROOM).with_suffix("").parts))


def _rule(code: str, title: str, values: Mapping[str, Any], path: Path) -> Rule:
    if unknown := sorted(values.keys() - _KEYS):
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(sorted(_KEYS))}")
    needs = tuple(values["needs"])
    if not needs or not set(needs) <= set(NEEDS):
        raise ValueError(f"needs = {list(needs)}: choose of {', '.join(NEEDS)}")
    return Rule(
        code=code,
        title=title,
        severity=Severity(values["severity"]),
        needs=needs,
        path=path,
        shows=Phenomenon(values["shows"]) if "shows" in values else None,
        explains=tuple(map(Phenomenon, values.get("explains", ()))),
        by_layer=bool(values.get("by_layer", False)),
        certain=bool(values.get("certain", False)),
        remedy=str(values.get("remedy", CHECK)),
        symptoms=tuple((str(key), int(place)) for key, place in values.get("symptoms", {}).items()),
    )


def _parted(path: Path) -> tuple[str, str]:
    """Part a page from its head."""
    text = path.read_text(encoding="utf-8")
    before, head, page = [*text.split(_FENCE, 2), "", ""][:3]
    if before or not page:
        raise UsageError(f"{path}: the page should begin with its head, in TOML between two lines `+++`.")
    return head, page.removeprefix("\n")
