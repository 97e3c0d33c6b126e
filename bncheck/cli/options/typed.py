"""Values as they are typed: codes, numbers and sizes by comma."""

from __future__ import annotations

from bncheck.errors import UsageError


def split_codes(values: list[str] | None) -> tuple[str, ...]:
    """Codes given by comma, by repetition, or both."""
    return tuple(code.strip() for value in values or [] for code in value.split(",") if code.strip())


def read_integers(value: str, option: str) -> tuple[int, ...]:
    """Whole numbers separated by commas."""
    try:
        return tuple(int(part) for part in value.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(f"{option} {value}: expected whole numbers separated by commas, like 1,8,64.") from error


def read_floats(value: str | None, option: str) -> tuple[float, ...] | None:
    """Numbers separated by commas."""
    if value is None:
        return None
    try:
        return tuple(float(part) for part in value.split(","))
    except ValueError as error:
        raise UsageError(f"{option} {value}: expected numbers separated by commas, like 0.485,0.456,0.406.") from error


def read_size(value: str | None, option: str) -> int | tuple[int, int] | None:
    """One side, or height and width."""
    if value is None:
        return None
    sizes = read_integers(value.replace("x", ","), option)
    if len(sizes) not in (1, 2) or min(sizes) < 1:
        raise UsageError(f"{option} {value}: expected one size, or height and width, like 224 or 224,320.")
    return sizes[0] if len(sizes) == 1 else (sizes[0], sizes[1])
