"""A format says what it is called, which files are of it, and how each kind of result is written in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bncheck.discovery import meant_word, modules_in
from bncheck.errors import UsageError
from bncheck.extras import require_installed
from bncheck.render import formats as home
from bncheck.results import Difference, RepairResult, Report
from bncheck.vocabulary import argument

Result = Report | RepairResult | Difference
KINDS: dict[type[Result], str] = {Report: "a report", RepairResult: "a repair", Difference: "a difference"}
"""How a message calls each kind of result."""


@dataclass(frozen=True, slots=True)
class Format:
    """What a file in `bncheck/render/formats` offers as its `FORMAT`.

    The functions import what is slow to load (pandas, matplotlib, numpy) when they are called.

    Attributes:
        name: as it is typed.
        suffixes: of files that are written in it unless another is named.
        report, repair, difference: how each is written; `None` where the format has no place for it.
        packages: what writing it takes of what an extra brings.
    """

    name: str
    suffixes: tuple[str, ...]
    report: Callable[[Report], str] | None
    repair: Callable[[RepairResult], str] | None
    difference: Callable[[Difference], str] | None
    packages: tuple[str, ...] = ()

    def __call__(self, result: Result) -> str:
        """The result as text.

        Raises:
            UsageError: the format has no place for a result of that kind.
        """
        self.require(type(result))
        match result:
            case Report():
                return self.report(result) if self.report else ""
            case RepairResult():
                return self.repair(result) if self.repair else ""
            case Difference():
                return self.difference(result) if self.difference else ""

    def takes(self, kind: type[Result]) -> bool:
        """Whether results of that kind can be written in it."""
        return {Report: self.report, RepairResult: self.repair, Difference: self.difference}[kind] is not None

    def require(self, kind: type[Result]) -> None:
        """Refuse results that the format has no place for, before anything is measured.

        Raises:
            UsageError: it has none for those of that kind, or what writes it is not installed.
        """
        for package in self.packages:
            require_installed(package, f"{argument('report')} {self.name}")
        if not self.takes(kind):
            others = ", ".join(each.name for each in all_formats() if each.takes(kind))
            raise UsageError(f"{argument('report')} {self.name}: {KINDS[kind]} is written as one of {others}.")


def all_formats() -> tuple[Format, ...]:
    """Every format there is a file for, by name."""
    return tuple(sorted(_found(), key=lambda each: each.name))


def renderer(name: str) -> Format:
    """The format of that name.

    Raises:
        UsageError: there is none.
    """
    known = all_formats()
    for each in known:
        if each.name == name:
            return each
    names = ", ".join(each.name for each in known)
    meant = meant_word(name, [each.name for each in known])
    raise UsageError(f"{argument('report')}: there is no format {name!r}{meant}; choose one of {names}.")


def known_suffixes() -> list[str]:
    """Those of files of which a format is known without being named."""
    return [suffix for each in all_formats() for suffix in each.suffixes]


def format_of(suffix: str) -> Format | None:
    """The format that files with this suffix are written in."""
    return next((each for each in all_formats() if suffix.lower() in each.suffixes), None)


def _found() -> Iterator[Format]:
    for module in modules_in(home):
        found = getattr(module, "FORMAT", None)
        if isinstance(found, Format):
            yield found
