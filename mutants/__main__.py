"""`python -m mutants`: put faults into rooms of the package, see whether the tests notice, write the table."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace

from mutants.campaign import Effort, Room, plan, run
from mutants.table import figures, put_into_page


def _in_a_process(room: Room, effort: Effort) -> int:
    """Try a room in a child: pytest collects once in a process."""
    child = os.fork()
    if child == 0:
        os._exit(run(room, effort))
    return os.waitpid(child, 0)[1]


def main() -> int:
    """0 where every room was tried."""
    known = plan()
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(known)}; without one, all")
    parser.add_argument("--budget", type=float, default=6.0, help="most seconds of tests for a fault")
    parser.add_argument("--share", type=float, default=1.0, help="of the faults that is drawn, by the seed")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    parser.add_argument("--files", nargs="+", default=[], metavar="PATH", help="only faults in files that end so")
    parser.add_argument("--tests", nargs="+", metavar="PATH", help="in place of the rooms' own: to try new tests alone")
    parser.add_argument("--again", action="store_true", help="only faults that nobody noticed and nothing explains")
    parser.add_argument("--rest", action="store_true", help="only faults that were not tried before it was stopped")
    parser.add_argument("--table", action="store_true", help="run nothing: what is known from the last time")
    parser.add_argument("--page", action="store_true", help="write it into docs/mutation.md")
    given = parser.parse_args()
    if unknown := set(given.rooms) - set(known):
        parser.error(f"no room: {', '.join(sorted(unknown))}")
    if not given.table:
        effort = Effort(given.budget, given.share, given.seed, given.again, given.rest, tuple(given.files))
        for name in given.rooms or known:
            room = replace(known[name], tests=tuple(given.tests or known[name].tests))
            if _in_a_process(room, effort):
                return 1
    text = figures()
    print(text)
    if given.page:
        put_into_page(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
