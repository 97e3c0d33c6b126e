from . import data, formats, integrations, nn, rules, testing
from .api import diff, inspect, merge, recalibrate, repair_file, write_moments
from .errors import BncheckError, DataError, ModelError, RefusedError, UnreadableError, UsageError
from .gate import read_report
from .nn import BatchRenorm1d, BatchRenorm2d, BatchRenorm3d, RenormSchedule, to_batch_norm, to_batch_renorm
from .results import RepairResult, Report

__version__: str
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
    "data",
    "diff",
    "formats",
    "inspect",
    "integrations",
    "merge",
    "nn",
    "read_report",
    "recalibrate",
    "repair_file",
    "rules",
    "testing",
    "to_batch_norm",
    "to_batch_renorm",
    "write_moments",
]
