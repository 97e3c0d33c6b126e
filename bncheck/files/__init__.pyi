from .existing import require_existing, require_named
from .identity import FileId, file_id, is_special
from .inputs import InputFile, InputFiles
from .outputs import OutputFile, no_folder, require_free, require_ordinary, require_place
from .pickles import LEGACY_PICKLES, buffered, load_tensors, names_asked_for, read_by_torch
from .remote import Fetched, name_here, of_mlflow, remote_name, shown_as_named, shown_name
from .sparse import sparse_indices_checked
from .writing import publish, staging, written_whole

__all__ = [
    "LEGACY_PICKLES",
    "Fetched",
    "FileId",
    "InputFile",
    "InputFiles",
    "OutputFile",
    "buffered",
    "file_id",
    "is_special",
    "load_tensors",
    "name_here",
    "names_asked_for",
    "no_folder",
    "of_mlflow",
    "publish",
    "read_by_torch",
    "remote_name",
    "require_existing",
    "require_free",
    "require_named",
    "require_ordinary",
    "require_place",
    "shown_as_named",
    "shown_name",
    "sparse_indices_checked",
    "staging",
    "written_whole",
]
