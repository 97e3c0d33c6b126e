from .comparing import compared, diff
from .in_files import repair_file
from .in_memory import recalibrate, statistics_of, store
from .inspecting import inspect, inspected
from .repairing import repaired
from .stamping import stamp

__all__ = [
    "compared",
    "diff",
    "inspect",
    "inspected",
    "recalibrate",
    "repair_file",
    "repaired",
    "stamp",
    "statistics_of",
    "store",
]
