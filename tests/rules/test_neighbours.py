"""Every rule, asked of evidence in which it finds something, and of all that differs from that in one place.

Golden files hold whole findings, and for what stands beside them which numbers lead to which answer: a line such as
`warning 3fa2c1: 0.25, 0.275` has a severity and a sum over the finding; `nothing: 0.1` says that there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cases_of_drift
import cases_of_files
import cases_on_data
import pytest
from answers import in_full
from every_rule import FIRES, VARIANTS
from neighbours import Reading, table

from bncheck.rules import judge
from bncheck.rules.catalogue import find_rule

GOLDEN = Path(__file__).parent
CASES = FIRES | VARIANTS | cases_of_files.CASES | cases_on_data.CASES | cases_of_drift.CASES
AS_THEY_ARE = {f"BN603 {name}" for name in ("copy", "pruned", "weights", "counters", "copies", "steps", "many", "fits")}
AS_THEY_ARE |= {f"BN603 {name}memory" for name in ("", "out of ", "just in ", "just out of ")}
AS_THEY_ARE |= {"BN603 by call", "BN603 by call in part", "BN603 at the margin", "BN601 far", "BN601 wide colours"}
AS_THEY_ARE |= {"BN208 no variance", "BN605 both", "BN605 files alone", "BN610 loss won", "BN302 two"}
AS_THEY_ARE |= {"BN601 wide and narrow", "BN601 wide and as it is", "BN603 uneven copy", "BN206 just explained"}
AS_THEY_ARE |= {"BN105 one near"}
AS_THEY_ARE |= {f"BN607 {name}" for name in ("alone", "excluded", "together", "worse", "heirs")}
AS_THEY_ARE |= {f"BN207 {name}" for name in ("squares", "inverse", "inverse root")}
"""What stands beside them is asked of what they are made of (`test_judging_beside.py`), or of their like."""
Agrees = Callable[[Path, str], None]


@pytest.mark.parametrize("name", CASES | cases_of_drift.PATTERNS)
def test_what_every_rule_says(name: str, agrees_with_golden: Agrees) -> None:
    found = judge((CASES | cases_of_drift.PATTERNS)[name](), {name.split()[0]})
    agrees_with_golden(GOLDEN / "golden" / f"{name.replace(' ', '-')}.json", in_full(found) + "\n")


@pytest.mark.parametrize("name", [name for name in CASES if name not in AS_THEY_ARE])
def test_what_every_rule_says_beside_that(name: str, agrees_with_golden: Agrees) -> None:
    code = name.split()[0]
    read = Reading.of(find_rule(code).path.with_suffix(".py"))
    text = table(CASES[name](), lambda evidence: judge(evidence, {code}), read)
    agrees_with_golden(GOLDEN / "golden" / f"{name.replace(' ', '-')}.txt", text)
