from .against.drift import drift_since, require_comparable
from .against.earlier import EarlierRun, earlier_run
from .agreement import compare_outputs
from .collect import completed, measured_evidence, static_evidence
from .folds import Folds
from .layers import stored_statistics
from .observation import Observation
from .observing import look_further, observe
from .order import NEIGHBOURS, Reading, compare_batches, read_in_order
from .parts.file import read_part, write_part
from .parts.joining import Joined, joined
from .parts.model import KnownModel, RememberedModel
from .parts.observing import observe_shard
from .parts.options import MeasuringOptions
from .parts.part import DataIdentity, Part
from .parts.seen import Seen
from .plan import AGREEMENT_STAGE, COMPARING_STAGE, Plan
from .processes.portions import SMALL_BATCH, WHOLE, Shard
from .processes.ranks import ALONE, Apart, RankIsDone, Ranks, is_job, ranks_of_job
from .reservoir import GROUP, SAMPLES
from .sessions import seeded, settled_session
from .stopping import StoppingRule
from .training import observe_training

__all__ = [
    "AGREEMENT_STAGE",
    "ALONE",
    "COMPARING_STAGE",
    "GROUP",
    "NEIGHBOURS",
    "SAMPLES",
    "SMALL_BATCH",
    "WHOLE",
    "Apart",
    "DataIdentity",
    "EarlierRun",
    "Folds",
    "Joined",
    "KnownModel",
    "MeasuringOptions",
    "Observation",
    "Part",
    "Plan",
    "RankIsDone",
    "Ranks",
    "Reading",
    "RememberedModel",
    "Seen",
    "Shard",
    "StoppingRule",
    "compare_batches",
    "compare_outputs",
    "completed",
    "drift_since",
    "earlier_run",
    "is_job",
    "joined",
    "look_further",
    "measured_evidence",
    "observe",
    "observe_shard",
    "observe_training",
    "ranks_of_job",
    "read_in_order",
    "read_part",
    "require_comparable",
    "seeded",
    "settled_session",
    "static_evidence",
    "stored_statistics",
    "write_part",
]
