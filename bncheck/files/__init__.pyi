from .identity import FileId, file_id, is_special
from .inputs import InputFile, InputFiles
from .outputs import OutputFile, require_free, require_place
from .writing import publish, staging, written_whole

__all__ = [
    "FileId",
    "InputFile",
    "InputFiles",
    "OutputFile",
    "file_id",
    "is_special",
    "publish",
    "require_free",
    "require_place",
    "staging",
    "written_whole",
]
