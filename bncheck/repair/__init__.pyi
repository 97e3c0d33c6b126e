from .destination import Target, files_of_out, target_of
from .evaluation.comparison import comparison_of, outcome_of, samples_needed
from .evaluation.held_out import side_by_side
from .measuring import STATISTICS, measure, tensors_of
from .methods import method_named
from .methods.method import RECALIBRATE, Method, MethodOptions, Repaired
from .training.checkpoints import forget_checkpoint, require_writable
from .training.options import FineTuneOptions
from .training.result import TrainingProgress, quiet
from .training.roles import Roles, roles_of
from .training.trainee import module_of

__all__ = [
    "RECALIBRATE",
    "STATISTICS",
    "FineTuneOptions",
    "Method",
    "MethodOptions",
    "Repaired",
    "Roles",
    "Target",
    "TrainingProgress",
    "comparison_of",
    "files_of_out",
    "forget_checkpoint",
    "measure",
    "method_named",
    "module_of",
    "outcome_of",
    "quiet",
    "require_writable",
    "roles_of",
    "samples_needed",
    "side_by_side",
    "target_of",
    "tensors_of",
]
