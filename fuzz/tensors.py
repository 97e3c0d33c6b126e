"""Tensors and numbers of which checkpoints and data files are made, few of them as a reader expects."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

from fuzz.repeatable import old_form, plain_pickle
from fuzz.values import JSON, NUMBERS, SURROGATES, TEXTS, TOUCHED

_DTYPES = [
    *("float16", "bfloat16", "float32", "float64", "complex64", "bool", "uint8", "int8", "int16", "int32", "int64"),
    *("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2"),
]
_FILLED = [0.0, 1.0, -1.0, float("nan"), float("inf"), 1e-38, 3e38, 1e300, -5.0]
_SHAPES = [(), (0,), (1,), (2,), (4,), (7,), (2, 2), (4, 1), (1, 4), (4, 3, 3, 3), (0, 4), (1,) * 9]
ONE = torch.ones(1)
_FORMS: dict[str, Callable[[], Any]] = {
    "meta": lambda: torch.empty(4, device="meta"),
    "expanded": lambda: ONE.expand(4),
    "expanded to 10^12": lambda: ONE.expand(10**12),
    "sparse": lambda: torch.ones(4).to_sparse(),
    "sparse of 10^12": lambda: torch.sparse_coo_tensor(torch.tensor([[1]]), ONE, (10**12,)),
    "rows compressed": lambda: torch.ones(4, 4).to_sparse_csr(),
    "nested": lambda: torch.nested.nested_tensor([ONE, torch.ones(2)], layout=torch.jagged),
    "nested strided": lambda: torch.nested.nested_tensor([ONE, torch.ones(2)]),
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8),
    "quantized by channel": lambda: torch.quantize_per_channel(
        torch.ones(4, 2), torch.ones(4), torch.zeros(4), 0, torch.quint8
    ),
    "a view backwards": lambda: torch.arange(8.0)[::2],
    "conjugated": lambda: torch.ones(4, dtype=torch.complex64).conj(),
    "parameter": lambda: torch.nn.Parameter(torch.ones(4)),
}


def _filled(shape: tuple[int, ...], dtype: str, value: float) -> torch.Tensor:
    try:
        return torch.full(shape, value, dtype=torch.float64).to(getattr(torch, dtype))
    except (RuntimeError, TypeError):  # a number that the type has not
        return torch.ones(shape).to(getattr(torch, dtype))


def _formed(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _FORMS[name]()


ODD = st.sampled_from(sorted(_FORMS)).map(_formed)


def tensors(shapes: list[tuple[int, ...]] = _SHAPES) -> st.SearchStrategy[Any]:
    """Dense ones of every type, and every other form there is."""
    dense = st.builds(_filled, st.sampled_from(shapes), st.sampled_from(_DTYPES), st.sampled_from(_FILLED))
    return st.one_of(dense, dense, dense, ODD)


class Payload:
    """Pickled: a call that makes a file, once it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        """What is called."""
        return open, (TOUCHED, "w")


class SystemPayload(Payload):
    """The same through a shell."""

    def __reduce__(self) -> tuple[Any, ...]:
        """What is called."""
        import os

        return os.system, (f"touch {TOUCHED}",)


PLAIN = st.one_of(
    NUMBERS, TEXTS, SURROGATES, JSON, st.sampled_from([None, b"", b"\xff", (), 1j, range(3), {1, 2}, torch.float16])
)
PAYLOADS = st.sampled_from([Payload(), SystemPayload(), [Payload()], {"a": Payload()}])


def saved(content: Any, legacy: bool = False, plain: bool = False) -> bytes | None:
    """What `torch.save` or `pickle` writes; `None` where it cannot."""
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if plain:
                return plain_pickle(content)
            if legacy:
                return old_form(content)
            torch.save(content, stream)
    except Exception:  # noqa: BLE001  # it is PyTorch's own business what it cannot write
        return None
    return stream.getvalue()


def files(contents: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """Contents as `torch.save` writes them, in its three forms."""
    forms = st.sampled_from([(False, False)] * 4 + [(True, False), (False, True)])
    made = st.builds(lambda content, form: saved(content, *form), contents, forms)
    return made.filter(lambda content: content is not None).map(lambda content: content or b"")
