"""bncheck: do the statistics stored in a model's normalization layers describe the data it runs on?

>>> import torch, bncheck
>>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.BatchNorm2d(4))
>>> report = bncheck.inspect(model, torch.randn(200, 1, 8, 8))
>>> report.layers[0].name, report.layers[0].status
('1', 'measured')
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bncheck.api.comparing import diff
    from bncheck.api.in_files import repair_file
    from bncheck.api.in_memory import recalibrate
    from bncheck.api.inspecting import inspect
    from bncheck.errors import BncheckError, DataError, ModelError, RefusedError, UnreadableError, UsageError
    from bncheck.gate import read_report
    from bncheck.nn import (
        BatchRenorm1d,
        BatchRenorm2d,
        BatchRenorm3d,
        RenormSchedule,
        to_batch_norm,
        to_batch_renorm,
    )
    from bncheck.results.repair import RepairResult
    from bncheck.results.report import Report

__version__ = "0.1.0"
__all__ = [
    "BatchRenorm1d",
    "BatchRenorm2d",
    "BatchRenorm3d",
    "BncheckError",
    "DataError",
    "ModelError",
    "RefusedError",
    "RenormSchedule",
    "RepairResult",
    "Report",
    "UnreadableError",
    "UsageError",
    "diff",
    "inspect",
    "read_report",
    "recalibrate",
    "repair_file",
    "to_batch_norm",
    "to_batch_renorm",
]

_HOMES = {
    "BatchRenorm1d": "nn",
    "BatchRenorm2d": "nn",
    "BatchRenorm3d": "nn",
    "RenormSchedule": "nn",
    "RepairResult": "results.repair",
    "Report": "results.report",
    "diff": "api.comparing",
    "inspect": "api.inspecting",
    "read_report": "gate",
    "recalibrate": "api.in_memory",
    "repair_file": "api.in_files",
    "to_batch_norm": "nn",
    "to_batch_renorm": "nn",
}


def __getattr__(name: str) -> Any:
    """Import on first use, so that `bncheck --help` does not wait for torch."""
    if name == "nn":
        return import_module("bncheck.nn")
    if name not in __all__:
        raise AttributeError(f"module 'bncheck' has no attribute {name!r}")
    return getattr(import_module(f"bncheck.{_HOMES.get(name, 'errors')}"), name)
