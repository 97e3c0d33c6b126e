"""Layers that run several times in a forward, on inputs so unlike that one set of statistics costs predictions."""

from __future__ import annotations

from bncheck.evidence import CallDistances, Evidence
from bncheck.rules.judging.harm import margin_of, severity_of
from bncheck.vocabulary import Severity


def unlike_calls(evidence: Evidence) -> dict[str, CallDistances]:
    """Give those layers by name, and how far their calls lie apart."""
    return {
        name: apart
        for name, apart in evidence.closer.calls.items()
        if apart.lower > margin_of(apart.effect) and severity_of(apart.effect) != Severity.INFO
    }
