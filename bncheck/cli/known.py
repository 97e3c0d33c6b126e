"""What a command takes as known: `--baseline`, `--write-baseline`, and the ignores of the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bncheck.cli.process import say
from bncheck.encoding import encodable
from bncheck.errors import UnreadableError, UsageError
from bncheck.files import written_whole
from bncheck.gate import Baseline, Entry, accept, accepted_now, baseline_text, read_baseline, shrunk
from bncheck.render import count
from bncheck.results import Report
from bncheck.settings import LayerIgnore
from bncheck.vocabulary import argument

WRITE = argument("write_baseline")


@dataclass(frozen=True, slots=True)
class Known:
    """What was known before the run.

    Attributes:
        baseline: to judge against; `None` without one, or where it is only about to be made.
        write_to: the baseline to write.
        ignores: of the configuration.
    """

    baseline: Baseline | None = None
    write_to: Path | None = None
    ignores: tuple[LayerIgnore, ...] = ()


def read_known(
    baseline: str | None,
    write_baseline: str | None,
    *,
    ignores: Sequence[LayerIgnore] = (),
) -> Known:
    """Read and check it all before any work is done.

    Raises:
        UsageError: there is no such baseline and none is to be written, or writing would overwrite something else.
        UnreadableError: the baseline is none.
    """
    target = None if write_baseline is None else Path(write_baseline)
    if target is not None:
        _require_baseline(target)
    missing = baseline is not None and target is not None and not Path(baseline).exists()
    known = None if baseline is None or missing else read_baseline(baseline)
    return Known(known, target, tuple(ignores))


def settle(report: Report, known: Known, *, quiet: bool = False) -> Report:
    """The report with what is known accepted, and the baseline written if it is to be.

    Without a baseline to judge against everything found now goes into the new one. With one, the new one is the old
    one without what is gone: findings that are new or worse are never added in passing.
    """
    ignored = accept(report, known.ignores)
    if known.write_to is None:
        return ignored if known.baseline is None else accept(report, known.ignores, known.baseline)
    if known.baseline is None:
        entries = accepted_now(ignored)
        result = accept(report, known.ignores, Baseline(str(known.write_to), entries, is_new=True))
        told = f"{count(_accepted(result) - _accepted(ignored), 'finding')} accepted"
    else:
        entries = shrunk(report, known.baseline)
        result = accept(report, known.ignores, known.baseline)
        told = f"{len(entries)} of {len(known.baseline.entries)} entries kept"
    _write(known.write_to, entries)
    if not quiet:
        say(f"Wrote {known.write_to}: {told}.")
    return result


def _accepted(report: Report) -> int:
    return sum(finding.accepted is not None for finding in report.findings)


def _require_baseline(target: Path) -> None:
    """Refuse to write over a file that is something else: a name typed wrong must not cost one."""
    if not target.exists():
        return
    try:
        read_baseline(target)
    except UnreadableError as error:
        raise UsageError(f"{WRITE} {target}: it exists and is no baseline, so it is not overwritten.") from error


def _write(path: Path, entries: Sequence[Entry]) -> None:
    with written_whole(path, WRITE) as temporary:
        temporary.write_text(encodable(baseline_text(entries)), encoding="utf-8")
