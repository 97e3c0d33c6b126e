"""PyTorch, or what of it an audit takes: without it files are read, audited and compared all the same.

What such a walk loads says `from bncheck.tensors import torch`. Where PyTorch is installed, that is PyTorch itself.
Where it is not, it is a stand-in on NumPy with the little that reading stored values takes (`stand_in.py`); whatever
else is asked of it names the extra to install.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch as torch

    HAS_TORCH: bool = True
else:
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        from bncheck.tensors import stand_in as torch

    HAS_TORCH = torch.__name__ == "torch"

__all__ = ["HAS_TORCH", "torch"]
