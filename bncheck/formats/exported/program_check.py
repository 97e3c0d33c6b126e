"""Whether a `.pt2` file can be loaded without running a program of its author's.

`torch.export.load` unpickles some records without restriction, and turns the program's JSON into Python.
So before it is called every record that it might unpickle must load as tensors only (`weights_only`), and
the JSON must hold a graph and nothing else, of operators that compute. What neither is known to be text nor declared to
be plain numbers counts as a pickle.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any

import torch

from bncheck.errors import ModelError
from bncheck.files import load_tensors
from bncheck.formats.exported.graph_check import complaints, operators_of
from bncheck.formats.messages import listed
from bncheck.formats.pickles.opcodes import blocked_globals
from bncheck.formats.pickles.reading import damaged
from bncheck.formats.programs.operators import require_admitted
from bncheck.vocabulary import argument

# `torch.export.save` puts all records into one folder; files of torch 2.7 and before have none.
_TEXT_RECORD = re.compile(
    r"[^/]+/(archive_format|archive_version|byteorder|version|\.data/\w+|extra/.*)|version|extra_files/.*"
)
_JSON_RECORD = re.compile(
    r"[^/]+/(models/.+|data/(weights|constants)/.+_config)\.json|serialized_exported_program\.json"
)


def check_exported(file: IO[bytes], path: Path, *, trust_pickle: bool = False, allow_ops: Collection[str] = ()) -> None:
    """Raise ModelError where loading `file` would do more than read tensors and a graph; nothing is run.

    Args:
        file: the archive.
        path: its name.
        trust_pickle: look at the graph's operators alone.
        allow_ops: operators that the user allows besides.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ModelError(f"{path} holds {listed(twice)} twice, so it is not clear what would be loaded.")
            if any("data/aotinductor/" in name for name in names):
                raise ModelError(
                    f"{path} is compiled machine code (AOTInductor), which has no layers left to look at. "
                    "Check the exported program it was compiled from."
                )
            texts = {name: json.loads(archive.read(name)) for name in names if _JSON_RECORD.fullmatch(name)}
            require_admitted((name for text in texts.values() for name in operators_of(text)), path, allow_ops)
            if not trust_pickle:
                _check_records(archive, texts, path)
            _require_one_reading(archive, file, path)
    except (
        zipfile.BadZipFile,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
        RecursionError,
    ) as error:
        raise ModelError(damaged(path, error)) from error


def _check_records(archive: zipfile.ZipFile, texts: Mapping[str, Any], path: Path) -> None:
    numbers = _plain_numbers(texts)
    for name in archive.namelist():
        if name in texts:
            for complaint in complaints(texts[name]):
                raise ModelError(_refusal(path, f"its record {name} holds {complaint}"))
        elif name not in numbers and not _TEXT_RECORD.fullmatch(name):
            _check_pickle(archive.read(name), name, path)


def _require_one_reading(archive: zipfile.ZipFile, file: IO[bytes], path: Path) -> None:
    """Refuse an archive in which PyTorch's own reader finds other records than those that were looked at."""
    file.seek(0)
    try:
        reader = torch._C.PyTorchFileReader(file)
    except RuntimeError:
        return  # the layout of torch 2.7 and before, which it has Python's reader open
    found = {name.partition("/")[2]: name for name in archive.namelist()}
    same = found.keys() == set(reader.get_all_records()) and all(
        # Numbers are as large as the model, and no more than that in either reading.
        re.search(r"/(weight|tensor)_\d+$", name) or reader.get_record(inner) == archive.read(name)
        for inner, name in found.items()
    )
    if not same:
        raise ModelError(f"{path} reads otherwise to PyTorch than to Python, so it is not clear what would be loaded.")


def _plain_numbers(texts: Mapping[str, Any]) -> set[str]:
    """The records that the weights and constants indexes declare to be numbers and never pickles."""
    numbers: set[str] = set()
    pickled: set[str] = set()
    for name, content in texts.items():
        entries = content.get("config") if isinstance(content, dict) else None
        for entry in entries.values() if isinstance(entries, dict) else ():
            record = f"{name.rpartition('/')[0]}/{entry['path_name']}"
            (numbers if entry.get("use_pickle") is False else pickled).add(record)
    # Whatever an index says, torch unpickles `weights/model.pt` first: the layout of older versions.
    return {record for record in numbers - pickled if re.search(r"/(weight|tensor)_\d+$", record)}


def _check_pickle(content: bytes, name: str, path: Path) -> None:
    if not content:
        return
    try:
        load_tensors(io.BytesIO(content))
    except Exception as error:
        blocked = blocked_globals(io.BytesIO(content)) if isinstance(error, pickle.UnpicklingError) else []
        asks = f"asks for {listed(blocked, 12)}" if blocked else "is no pickle of tensors"
        raise ModelError(_refusal(path, f"its record {name} {asks}")) from error


def _refusal(path: Path, reason: str) -> str:
    return (
        f"{path} was not loaded: {reason}. Loading such a file can run any program. "
        f"If you trust where it comes from, pass {argument('trust_pickle')}; or export it again."
    )
