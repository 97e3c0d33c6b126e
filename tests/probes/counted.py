"""Counting the samples that a model is run on."""

from __future__ import annotations

from typing import Any

import pytest

from bncheck.formats.onnx.model import OnnxBackend
from bncheck.formats.programs.backend import ProgramBackend


def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all batches that any session runs from now on, whatever the model's format."""
    sizes: list[int] = []

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

    def watched(original: Any) -> Any:
        return lambda *how: Counted(original(*how))

    for backend in (ProgramBackend, OnnxBackend):
        monkeypatch.setattr(backend, "session", watched(backend.session))
    return sizes
