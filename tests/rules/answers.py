"""What rules answer, as text that a golden file can hold."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np

from bncheck.results.finding import Finding


def in_full(answer: Any) -> str:
    """Write all of it."""
    return json.dumps(_plain(answer), indent=1, ensure_ascii=False)


def brief(answer: Any) -> str:
    """Write a word of it, and a sum over all that changes with any of it."""
    if isinstance(answer, tuple) and not answer:
        return "nothing"
    text = json.dumps(_plain(answer), ensure_ascii=False)
    if isinstance(answer, tuple) and isinstance(answer[0], Finding):
        return f"{', '.join(finding.severity for finding in answer)} {_sum(text)}"
    return text if len(text) < 40 else _sum(text)


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _plain(value: Any) -> Any:
    """Turn values into what JSON has; floats to six digits, which no processor rounds otherwise."""
    if isinstance(value, Enum):
        return value.name
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(map(str, value))
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
