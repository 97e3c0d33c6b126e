from .comparing import compared, diff
from .in_files import repair_file
from .in_memory import recalibrate, statistics_of, store
from .inspecting import inspect, inspected
from .merging import merge, merged
from .parts import part_of_shard, write_moments
from .repairing import repaired
from .stamping import stamp

__all__ = [
    "compared",
    "diff",
    "inspect",
    "inspected",
    "merge",
    "merged",
    "part_of_shard",
    "recalibrate",
    "repair_file",
    "repaired",
    "stamp",
    "statistics_of",
    "store",
    "write_moments",
]
