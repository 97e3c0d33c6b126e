"""What became of the mutants, as the page `docs/mutation.md`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from mutants.campaign import ROOT, Result, kept, plan
from mutants.explanations import explained
from mutants.testing import BROKEN, ENDED, KILLED, NOT_REACHED, SURVIVED

PAGE = ROOT / "docs" / "mutation.md"
START, END = "<!-- run -->", "<!-- /run -->"
_HEAD = ("file", "mutants", "noticed", "never ended", "survived", "not reached")
_COLUMNS = (KILLED, ENDED, SURVIVED, NOT_REACHED)


def figures() -> str:
    """A table of every file of every room, and the survivors, each with why."""
    lines: list[str] = []
    left: list[Result] = []
    for room in plan():
        results = kept(room)
        if not results:
            continue
        alive = [one for one in results if one.outcome not in (KILLED, ENDED)]
        left += alive
        lines += [
            f"**{room}**: {len(results):,} mutants, {len(alive)} left ({len(alive) / len(results):.1%}).",
            "",
            f"| {' | '.join(_HEAD)} |",
            f"|---|{'---:|' * (len(_HEAD) - 1)}",
        ]
        by_file: dict[str, list[Result]] = defaultdict(list)
        for one in results:
            by_file[one.path].append(one)
        lines += [_row(f"`{path.removeprefix('bncheck/')}`", by_file[path]) for path in sorted(by_file)]
        lines += [_row("all", results), ""]
    return "\n".join([*lines, *_survivors(left)])


def _row(name: str, results: Sequence[Result]) -> str:
    ended = Counter(one.outcome for one in results)
    if ended[BROKEN]:
        name += f" ({ended[BROKEN]} not judged)"
    return f"| {name} | {' | '.join(f'{cell:,}' for cell in (len(results), *(ended[one] for one in _COLUMNS)))} |"


def _survivors(left: Sequence[Result]) -> list[str]:
    known = explained()
    by_kind: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for one in left:
        kind, why = known.get(one.name, ("not explained", "nobody has looked at these yet"))
        by_kind[kind][why].append(one)
    lines = ["### What is left", ""]
    for kind in sorted(by_kind, key=lambda kind: -sum(map(len, by_kind[kind].values()))):
        lines.append(f"**{kind.capitalize()}** ({sum(map(len, by_kind[kind].values()))})")
        lines.append("")
        for why, those in by_kind[kind].items():
            lines.append(f"- {why}: " + "; ".join(_told(one) for one in those))
        lines.append("")
    return lines[:-1] if left else []


def _told(one: Result) -> str:
    place, _, change = one.name.removeprefix("bncheck/").partition(": ")
    return f"`{place}:{one.line}` `{change.replace('|', chr(92) + '|')}`"


def put_into_page(text: str, page: Path = PAGE) -> None:
    """Write the figures between the page's two marks."""
    before, _, rest = page.read_text("utf-8").partition(START)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{START}\n{text}\n{END}{after}", "utf-8")
