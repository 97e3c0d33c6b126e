"""Files: which of them a run reads and must never write over, and how what it writes appears, whole or not at all."""

from bncheck.files.inputs import InputFile, InputFiles
from bncheck.files.outputs import OutputFile, require_free, require_place
from bncheck.files.writing import publish, staging, written_whole

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
