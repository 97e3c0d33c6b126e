from .agreement import compare_outputs
from .collect import completed, measured_evidence, static_evidence
from .folds import SMALL_BATCH, Folds
from .layers import stored_statistics
from .observation import Observation
from .order import NEIGHBOURS, Reading, compare_batches, read_in_order
from .passes import look_further, observe
from .plan import AGREEMENT_STAGE, COMPARING_STAGE, Plan
from .ranks import ALONE, RankIsDone, Ranks, is_job, ranks_of_job
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
    "Folds",
    "Observation",
    "Plan",
    "RankIsDone",
    "Ranks",
    "Reading",
    "StoppingRule",
    "compare_batches",
    "compare_outputs",
    "completed",
    "is_job",
    "look_further",
    "measured_evidence",
    "observe",
    "observe_training",
    "ranks_of_job",
    "read_in_order",
    "seeded",
    "settled_session",
    "static_evidence",
    "stored_statistics",
]
