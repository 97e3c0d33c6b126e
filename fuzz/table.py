"""The figures of a run, as the page `docs/fuzzing.md`."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from fuzz.campaign import Finding, Ran
from fuzz.case import BYTES, STRUCTURE
from fuzz.oracle import CODES

PAGE = Path(__file__).parent.parent / "docs" / "fuzzing.md"
START, END = "<!-- run -->", "<!-- /run -->"
_LIBRARIES = ("torch", "numpy", "onnx", "onnxruntime", "safetensors", "pandas", "Pillow", "hypothesis")


def figures(ran: Sequence[Ran], findings: Sequence[Finding], seed: int) -> str:
    """A table of formats, and what was found."""
    codes = sorted(CODES | {one.code for one in ran})
    head = ["format", "cases", "structures", "bytes", *map(str, codes), "slowest, s"]
    lines = [
        f"{len(ran):,} cases, {_other(ran)} with another exit code than {_joined(sorted(CODES))}, "
        f"{len(findings)} findings; seed {seed}, {sum(one.seconds for one in ran):,.0f} s of a processor in commands.",
        "",
        f"| {' | '.join(head)} |",
        f"|---|{'---:|' * (len(head) - 1)}",
    ]
    names = dict.fromkeys(one.format for one in ran)
    lines += [_row(name, [one for one in ran if one.format == name], codes) for name in names]
    lines.append(_row("all", ran, codes))
    commands = Counter(one.command for one in ran)
    lines += ["", "Commands: " + ", ".join(f"`{name}` {number:,}" for name, number in commands.most_common()) + "."]
    lines += [
        "",
        f"Python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in _LIBRARIES) + ".",
    ]
    lines += [f"- {finding.signature}" for finding in findings]
    return "\n".join(lines)


def _row(name: str, ran: Sequence[Ran], codes: Sequence[int]) -> str:
    ended = Counter(one.code for one in ran)
    kinds = Counter(one.kind for one in ran)
    cells = [len(ran), kinds[STRUCTURE], kinds[BYTES], *(ended[code] for code in codes)]
    return f"| {name} | {' | '.join(f'{cell:,}' for cell in cells)} | {max(one.seconds for one in ran):.1f} |"


def _other(ran: Sequence[Ran]) -> int:
    return sum(one.code not in CODES for one in ran)


def _joined(codes: Sequence[int]) -> str:
    return f"{', '.join(map(str, codes[:-1]))} or {codes[-1]}"


def put_into_page(text: str, page: Path = PAGE) -> None:
    """Write the figures between the page's two marks."""
    before, _, rest = page.read_text("utf-8").partition(START)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{START}\n{text}\n{END}{after}", "utf-8")
