"""How a report is to judge, and which options it can be asked with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bncheck.core.half_precision import PRECISIONS
from bncheck.errors import UsageError
from bncheck.gate import FAIL_ON
from bncheck.rules.catalogue import matching
from bncheck.rules.limit import require_limit

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class Judging:
    """What a report is to say, and how it was asked for; see `inspect`."""

    batch_sizes: tuple[int, ...] = BATCH_SIZES
    max_gap: float | None = None
    codes: frozenset[str] = field(default_factory=lambda: matching(("BN",), "--select"))
    fail_on: str = "warning"
    strict: bool = False
    deploy_dtype: str | None = None
    command: str = "bncheck.inspect"
    options: Mapping[str, Any] = field(default_factory=dict)


def check_options(
    batch_size: int,
    limit: int | None,
    batch_sizes: Sequence[int],
    fail_on: str,
    deploy_dtype: str | None,
    *,
    until: float = 0.0,
    seed: int = 0,
    max_gap: float | None = None,
) -> None:
    """Raise UsageError where an option is out of its range."""
    if fail_on not in FAIL_ON:
        raise UsageError(f"--fail-on {fail_on}: choose one of {', '.join(FAIL_ON)}.")
    if deploy_dtype is not None and deploy_dtype not in PRECISIONS:
        raise UsageError(f"--deploy-dtype {deploy_dtype}: choose one of {', '.join(PRECISIONS)}.")
    if batch_size < 1:
        raise UsageError(f"--batch-size {batch_size}: it must be at least 1.")
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: it must be at least 1.")
    if any(size < 1 for size in batch_sizes):
        raise UsageError("--batch-sizes: sizes are whole numbers from 1.")
    if not until >= 0:
        raise UsageError(f"--until {until:g}: it must be at least 0.")
    if seed < 0:
        raise UsageError(f"--seed {seed}: it must be at least 0.")
    require_limit(max_gap)


def chosen_codes(select: Sequence[str], ignore: Sequence[str]) -> frozenset[str]:
    """The rules that are wanted.

    Raises:
        UsageError: a code is none, or no rule is left.
    """
    selected = matching(tuple(select) or ("BN",), "--select")
    left = selected - (matching(tuple(ignore), "--ignore") if ignore else frozenset())
    if not left:
        raise UsageError("--select and --ignore leave no rule to judge by; ignore less.")
    return left
