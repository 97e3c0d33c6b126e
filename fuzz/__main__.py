"""`python -m fuzz`: run cases for a while, keep what is found, print the table."""

from __future__ import annotations

import argparse
import contextlib
import gc
import pkgutil
import sys
import time
from importlib import import_module
from pathlib import Path

from fuzz.campaign import Finding, Ran, batches, keep
from fuzz.formats import formats
from fuzz.table import figures, put_into_page
from fuzz.worker import HarnessError, in_workers

SMALL, LARGE = 60, 240
"""Cases in a process: a minute is to see every format, and a process costs as much to begin as some dozens of cases."""
MANY, LONG = 5_000, 600.0
"""Cases and seconds of a run whose processes take more of them."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--cases", type=int, help="stop after so many cases")
    parser.add_argument("--seed", type=int, default=0, help="of all draws")
    parser.add_argument("--format", action="append", default=[], dest="formats", help="this one alone; can be repeated")
    parser.add_argument("--batch", type=int, help="cases in a process; more where there is time for many")
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes at once; which cases are run does not depend on it"
    )
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"), help="where findings are kept")
    parser.add_argument("--page", action="store_true", help="write the table into docs/fuzzing.md")
    return parser.parse_args()


def import_everything() -> None:
    """Import the package before workers are forked, which then need not."""
    import bncheck

    for module in pkgutil.walk_packages(bncheck.__path__, "bncheck."):
        if not module.name.startswith(("bncheck.integrations", "bncheck.testing", "bncheck.__main__")):
            import_module(module.name)
    for name in ("onnxruntime", "pandas", "matplotlib", "jinja2"):
        import_module(name)


def main() -> int:
    """1 where anything was found, or a fuzzer is broken."""
    given = _arguments()
    seconds = 60.0 if given.seconds is None and given.cases is None else given.seconds
    size = given.batch or (LARGE if (given.cases or 0) >= MANY or (given.seconds or 0) >= LONG else SMALL)
    sys.dont_write_bytecode = True
    import_everything()
    formats()
    gc.collect()
    gc.freeze()  # the workers' collector would look at all of it, and by that copy it
    ran: list[Ran] = []
    broken = 0
    found: dict[str, Finding] = {}
    start = said = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):  # what has run until then is told
        for (format, kind, _, seed), batch in in_workers(batches(given.formats, size, given.seed), given.jobs):
            if isinstance(batch, HarnessError):
                print(f"BROKEN: {format.name}, {kind}, {seed}: {batch}", flush=True)
                broken += 1
                continue
            ran += batch.ran
            for finding in batch.findings:
                if finding.signature not in found:
                    place = keep(finding, given.out)
                    print(f"FOUND by --seed {given.seed}: {finding.problems[0][:400]}\n  {place}/again.sh", flush=True)
                found.setdefault(finding.signature, finding)
            now = time.monotonic()
            if now - said > 60:
                said = now
                print(f"{len(ran):,} cases, {len(found)} findings, {now - start:,.0f} s", flush=True)
            if (seconds is not None and now - start > seconds) or (given.cases is not None and len(ran) >= given.cases):
                break
    text = figures(ran, list(found.values()), given.seed)
    print(text)
    if given.page:
        put_into_page(text)
    return int(bool(found or broken))


if __name__ == "__main__":
    raise SystemExit(main())
