"""Counting the samples that a model is run on."""

from __future__ import annotations

from typing import Any

import pytest

import bncheck.measure.sessions


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all batches that any session runs from now on, whatever the model's format."""
    sizes: list[int] = []
    opened = bncheck.measure.sessions.instrument

    class Counted:
        def __init__(self, context: Any) -> None:
            self.context = context

        def __enter__(self) -> Any:
            session = self.context.__enter__()
            for name in ("run", "look"):
                setattr(session, name, self.counted(getattr(session, name)))
            return session

        def __exit__(self, *error: Any) -> Any:
            return self.context.__exit__(*error)

        def counted(self, original: Any) -> Any:
            def run(batch: Any, *how: Any) -> Any:
                sizes.append(batch.size)
                return original(batch, *how)

            return run

    monkeypatch.setattr(bncheck.measure.sessions, "instrument", lambda *how: Counted(opened(*how)))
    return sizes
