"""Whether the indices of a TorchScript archive's sparse tensors lie within them: PyTorch's loader never asks.

What converts such a tensor later writes where its indices say, outside of the tensor's memory too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

_COO, _CSR = 1, 2
"""PyTorch's numbers of the layouts; its loader builds no others."""
_DTYPES = {"Long": torch.int64, "Int": torch.int32}


@dataclass(frozen=True, slots=True)
class Index:
    """Indices as an archive has them: a strided view of a record that holds all of it."""

    content: bytes
    kind: str
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]

    def tensor(self) -> torch.Tensor:
        """The indices, a copy.

        Raises:
            ValueError: they are no whole numbers.
        """
        dtype = _DTYPES.get(self.kind)
        if dtype is None:
            raise ValueError(f"the indices of a sparse tensor are of type {self.kind}")
        if 0 in self.sizes:
            return torch.empty(self.sizes, dtype=dtype)
        whole = torch.frombuffer(bytearray(self.content), dtype=dtype)
        return whole.as_strided(self.sizes, self.strides, self.offset).contiguous()


def require_sound(layout: object, sizes: Sequence[int], indices: Sequence[Index], values: tuple[int, ...]) -> None:
    """Refuse what PyTorch would refuse if it looked.

    Args:
        layout: PyTorch's number of it.
        sizes: of the sparse tensor.
        indices: of a compressed one the compressed ones first.
        values: their sizes; what they are does not matter.

    Raises:
        Exception: whatever PyTorch says of them.
    """
    found = [one.tensor() for one in indices]
    standing_for = torch.zeros((), dtype=torch.uint8).expand(values)
    if layout == _COO and len(found) == 1:
        torch._validate_sparse_coo_tensor_args(found[0], standing_for, tuple(sizes), None, check_pinning=False)
    elif layout == _CSR and len(found) == 2:
        torch._validate_sparse_compressed_tensor_args(
            found[0], found[1], standing_for, tuple(sizes), torch.sparse_csr, check_pinning=False
        )
    else:
        raise ValueError(f"a sparse tensor of layout {layout!r:.20} and {len(found)} tensors of indices")
