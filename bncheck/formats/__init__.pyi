from .backend import Backend
from .digest import sha256_of
from .exported import runs_operators
from .folders.hugging_face import HuggingFaceFolder, hugging_face_folder
from .folding import AffineOperation, Reference, compare_layers
from .folding.measured import measured_layers, with_measured_reference, with_watched_outputs
from .folding.referencing import reference_of, with_reference
from .format import Adoption, Container, Format, Request
from .in_memory import adopted, copied, from_module
from .kinds import kind_without_statistics
from .messages import beyond_memory, first_line
from .opening import open_any, open_model, require_runnable
from .origin import Origin, by_instance_refused
from .parts import model_inputs, parts_of, require_unchanged
from .programs.precision import coarsest_precision
from .programs.runner import Runner
from .recognition.leading import leading_file
from .recognition.recognise import format_of
from .registry import known_formats, registered
from .sharded.shards import usual_index
from .state_dict.architecture import by_instance
from .state_dict.names.prefixes import best_names
from .stored_values import put_into
from .tensors import dtype_name, plain, require_device
from .torch_module.listing import require_values
from .torch_module.wrappers import unwrapped
from .torchscript.model import require_not_compiled
from .wiring.steps import (
    Activated,
    Added,
    Averaged,
    Constant,
    Fed,
    Flattened,
    Joined,
    Lost,
    Normalized,
    Padded,
    Part,
    Scaled,
    Step,
    Weighted,
    Wiring,
    sources_of,
)

__all__ = [
    "Activated",
    "Added",
    "Adoption",
    "AffineOperation",
    "Averaged",
    "Backend",
    "Constant",
    "Container",
    "Fed",
    "Flattened",
    "Format",
    "HuggingFaceFolder",
    "Joined",
    "Lost",
    "Normalized",
    "Origin",
    "Padded",
    "Part",
    "Reference",
    "Request",
    "Runner",
    "Scaled",
    "Step",
    "Weighted",
    "Wiring",
    "adopted",
    "best_names",
    "beyond_memory",
    "by_instance",
    "by_instance_refused",
    "coarsest_precision",
    "compare_layers",
    "copied",
    "dtype_name",
    "first_line",
    "format_of",
    "from_module",
    "hugging_face_folder",
    "kind_without_statistics",
    "known_formats",
    "leading_file",
    "measured_layers",
    "model_inputs",
    "open_any",
    "open_model",
    "parts_of",
    "plain",
    "put_into",
    "reference_of",
    "registered",
    "require_device",
    "require_not_compiled",
    "require_runnable",
    "require_unchanged",
    "require_values",
    "runs_operators",
    "sha256_of",
    "sources_of",
    "unwrapped",
    "usual_index",
    "with_measured_reference",
    "with_reference",
    "with_watched_outputs",
]
