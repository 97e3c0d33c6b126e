"""Sparse tensors of files: PyTorch takes their indices for granted, and writes outside of its memory by wrong ones."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from bncheck.tensors import torch

_lock = threading.Lock()
_within = 0
_before = False


@contextlib.contextmanager
def sparse_indices_checked() -> Iterator[None]:
    """While it is active PyTorch refuses to build a sparse tensor whose indices lie outside of it.

    That is a setting of the whole process: of several threads the first sets it, and the last puts it back.
    """
    global _within, _before  # as the setting is
    with _lock:
        if not _within:
            _before = torch.sparse.check_sparse_tensor_invariants.is_enabled()  # type: ignore[no-untyped-call]
            torch.sparse.check_sparse_tensor_invariants.enable()  # type: ignore[no-untyped-call]
        _within += 1
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            if not _within and not _before:
                torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]
