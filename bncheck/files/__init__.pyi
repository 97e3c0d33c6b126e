from .inputs import InputFile, InputFiles
from .outputs import OutputFile, require_free, require_place
from .writing import publish, staging, written_whole

__all__ = [
    "InputFile",
    "InputFiles",
    "OutputFile",
    "publish",
    "require_free",
    "require_place",
    "staging",
    "written_whole",
]
