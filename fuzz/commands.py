"""The commands that read a file of each role."""

from __future__ import annotations

from hypothesis import strategies as st

from fuzz.case import OUT, STRUCTURE, Case, Files, Format
from fuzz.mutation import changed
from fuzz.samples import ARCH, beside, reports

_PAGES = ("html", "csv", "channels-csv", "json", "markdown", "junit", "sarif", "github")
_DATA = ("--data", "good.npz")
_REPORT = ("--report", f"json={OUT}/report.json")


@st.composite
def cases(draw: st.DrawFn, format: Format, kind: str, sound: tuple[bytes, ...]) -> Case:
    """Cases of a format; `sound` are files of all formats, to splice with."""
    files = draw(format.hostile if kind == STRUCTURE else _changed(format, sound))
    return Case(format.name, kind, _laid(format, files), draw(typed(format)))


def _laid(format: Format, hostile: Files) -> Files:
    needed = dict(beside())
    if format.role in ("report", "baseline", "configuration"):
        needed |= reports()
    return {**needed, **format.sound, **hostile}


@st.composite
def _changed(draw: st.DrawFn, format: Format, sound: tuple[bytes, ...]) -> Files:
    contents = {name: content for name, content in format.sound.items() if isinstance(content, bytes)}
    name = draw(st.sampled_from(sorted(contents)))
    return {name: draw(changed(contents[name], sound))}


def typed(format: Format) -> st.SearchStrategy[tuple[str, ...]]:
    """Commands on the format's main file; those that are cheap come more often."""
    listed = {
        "model": _on_models,
        "data": _on_data,
        "report": _on_reports,
        "baseline": _on_baselines,
        "configuration": lambda format: _on_configurations(),
    }[format.role](format)
    return st.sampled_from([command for times, command in listed for _ in range(times)])


Weighted = list[tuple[int, tuple[str, ...]]]


def _on_models(format: Format) -> Weighted:
    model, run = format.main, format.options
    pages = [(1, ("inspect", model, "--no-config", "--report", f"{page}=-")) for page in _PAGES]
    suffix = "".join(f".{part}" for part in model.split(".")[1:])
    return [
        (16, ("audit", model, "--no-config")),
        (2, ("audit", model, "good.pth", "--no-config")),
        *pages,
        (4, ("diff", model, "good.pth", "--no-config")),
        (2, ("diff", "good.pth", model, "--no-config", "--expect-frozen", "*", "--report", f"csv={OUT}/moved.csv")),
        (8, ("inspect", model, *run, *_DATA, "--limit", "12", "--no-config", *_REPORT)),
        (3, ("inspect", model, *run, *_DATA, "--limit", "12", "--no-config", "--report", f"html={OUT}/page.html")),
        (3, ("inspect", "good.pth", *ARCH, "--reference", model, *_DATA, "--limit", "12", "--no-config")),
        (3, ("repair", model, *run, *_DATA, "--no-config", "--out", f"{OUT}/repaired{suffix}", *_REPORT)),
        (1, ("repair", model, *run, *_DATA, "--no-config", "--method", "blend", "--out", f"{OUT}/repaired{suffix}")),
    ]


def _on_data(format: Format) -> Weighted:
    good, arch = ("rows.pth", ("--arch", "rows.py:build")) if "--label-column" in format.options else ("good.pth", ARCH)
    inspect, few = ("inspect", good, *arch), ("--batch-sizes", "2", "--no-config")
    data = ("--data", format.main, *format.options)
    return [
        (8, (*inspect, *data, *few)),
        (2, (*inspect, *data, *few, *_REPORT)),
        (2, (*inspect, *data, *few, "--skip-bad-samples")),
        (2, (*inspect, *data, *few, "--limit", "7", "--batch-size", "5")),
        (2, (*inspect, *data, *few, "--preset", "imagenet", "--resize", "6", "--crop", "6")),
        (2, (*inspect, *data, *few, "--train-data", format.main)),
        (2, ("repair", good, *arch, *data, "--no-config", "--out", f"{OUT}/repaired.pth")),
        (1, ("repair", good, *arch, *data, "--heldout", format.main, "--no-config", "--out", f"{OUT}/repaired.pth")),
    ]


def _on_reports(format: Format) -> Weighted:
    gate = ("gate", format.main, "--no-config")
    return [
        (6, gate),
        *((2, (*gate, "--report", f"{page}=-")) for page in _PAGES),
        (2, (*gate, "--baseline", "baseline.json")),
        (1, (*gate, "--write-baseline", f"{OUT}/accepted.json")),
        (1, (*gate, "--max-gap", "0.1", "--strict")),
        (1, (*gate, "--select", "BN6", "--fail-on", "error", "--report", f"html={OUT}/page.html")),
    ]


def _on_baselines(format: Format) -> Weighted:
    given = ("--baseline", format.main, "--no-config")
    return [
        (12, ("gate", "report.json", *given)),
        (3, ("gate", "report.json", *given, "--write-baseline", f"{OUT}/accepted.json")),
        (3, ("gate", "report.json", *given, "--report", "markdown=-")),
        (3, ("inspect", "good.pth", *given)),
        (1, ("inspect", "good.pth", *ARCH, *_DATA, "--limit", "12", *given)),
    ]


def _on_configurations() -> Weighted:
    return [
        (8, ("inspect", "good.pth")),
        (8, ("gate", "report.json")),
        (4, ("audit", "good.pth")),
        (2, ("diff", "good.pth", "good.pth")),
        (4, ("inspect", "good.pth", *ARCH, *_DATA)),
        (2, ("repair", "good.pth", *ARCH, *_DATA, "--out", f"{OUT}/repaired.pth")),
    ]
