"""`python -m mutants`: put faults into rooms of the package, see whether the tests notice, write the table."""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")


def main() -> int:
    """0 where every room was tried."""
    from mutants.campaign import Effort, Plan, run
    from mutants.table import figures, put_into_page

    plan = Plan.read()
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(plan.rooms)}; without one, all")
    parser.add_argument("--budget", type=float, default=6.0, help="most seconds of tests for a fault")
    parser.add_argument("--share", type=float, default=1.0, help="of the faults that is drawn, by the seed")
    parser.add_argument("--seed", type=int, default=0, help="of that draw")
    parser.add_argument("--again", action="store_true", help="only faults that nobody noticed the last time")
    parser.add_argument("--table", action="store_true", help="run nothing: what is known from the last time")
    parser.add_argument("--page", action="store_true", help="write it into docs/mutation.md")
    given = parser.parse_args()
    if unknown := set(given.rooms) - set(plan.rooms):
        parser.error(f"no room: {', '.join(sorted(unknown))}")
    if not given.table:
        effort = Effort(given.budget, given.share, given.seed, given.again)
        code = run(plan, given.rooms or list(plan.rooms), effort)
        if code:
            return code
    text = figures()
    print(text)
    if given.page:
        put_into_page(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
