from .destination import Target, files_of_out, target_of
from .evaluation.comparison import comparison_of, outcome_of, samples_needed
from .evaluation.held_out import side_by_side
from .generated import coloured_noise
from .measuring import STATISTICS, measure, tensors_of
from .methods import method_named
from .methods.data_free import DataFree, lost_layers
from .methods.method import RECALIBRATE, Method, MethodOptions, Repaired
from .training.checkpoints import forget_checkpoint, require_writable
from .training.options import FineTuneOptions
from .training.result import TrainingProgress, quiet
from .training.roles import Roles, roles_of
from .training.trainee import module_of

__all__ = [
    "RECALIBRATE",
    "STATISTICS",
    "DataFree",
    "FineTuneOptions",
    "Method",
    "MethodOptions",
    "Repaired",
    "Roles",
    "Target",
    "TrainingProgress",
    "coloured_noise",
    "comparison_of",
    "files_of_out",
    "forget_checkpoint",
    "lost_layers",
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
