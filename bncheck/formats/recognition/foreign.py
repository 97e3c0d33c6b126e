"""Files that people hand in by mistake: what they are, and what to do instead."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from bncheck.formats.recognition.file_start import HEAD, FileStart
from bncheck.vocabulary import argument

_AS_DATA = f"which is data; pass it as {argument('data')}"
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; fetch the file with `git lfs pull`"),
    (b"\x93NUMPY", f"a NumPy array, {_AS_DATA}"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "compressed with xz; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"GGUF", "a GGUF model; such models have no running statistics"),
    (b"\x89PNG", f"an image, {_AS_DATA}"),
    (b"\xff\xd8\xff", f"an image, {_AS_DATA}"),
)
_SAVED_MODEL = (
    "a TensorFlow SavedModel, a program of TensorFlow's that is not read: load it there and save it as Keras does "
    "(`model.save('model.keras')`), or convert it to ONNX (`python -m tf2onnx.convert --saved-model FOLDER --output "
    "model.onnx`), and name that file"
)
_MARKUP = (b"<!doctype", b"<html", b"<?xml")
_INSIDE = (".pt", ".pth", ".ckpt", ".safetensors", ".pt2")
"""Suffixes of models that people zip."""
_OFFERED = 6
"""Files of a folder that are named."""


def foreign_file(head: bytes) -> str | None:
    """What a file with these first bytes is, where no format can be meant; `None` where one may be."""
    if _is_saved_model(head):
        return _SAVED_MODEL
    return next((meaning for magic, meaning in _FOREIGN if head.startswith(magic)), None)


def _is_saved_model(head: bytes) -> bool:
    """Its version, 1, then a graph whose first field are its facts; ONNX has a text there, who wrote it."""
    if not head.startswith(b"\x08\x01\x12"):
        return False
    end = next((at for at in range(3, min(len(head), 13)) if head[at] < 0x80), len(head))  # of a length, 7 bits a byte
    return head[end + 1 : end + 2] == b"\x0a"


def about_folder(path: Path, suffixes: Collection[str]) -> str:
    """What a folder is, and which of its files, by their suffixes, may have been meant."""
    if (path / "saved_model.pb").exists():
        return f"{path} is {_SAVED_MODEL}."
    candidates = sorted(entry.name for entry in path.glob("*") if _may_be_model(entry, suffixes))
    hint = f"Name one of its files: {', '.join(candidates[:_OFFERED])}." if candidates else "Name a model file."
    return f"{path} is a folder, not a model file. {hint}"


def _may_be_model(entry: Path, suffixes: Collection[str]) -> bool:
    # Of JSON files only an index is a model, configurations lie beside every one; tar archives are mostly data.
    if entry.suffix in (".json", ".tar"):
        return entry.name.endswith(".index.json")
    return entry.suffix in suffixes


def about_unknown(start: FileStart, titles: Sequence[str]) -> str:
    """What a file seems to be that no format has recognised.

    Args:
        start: its beginning.
        titles: what can be read.
    """
    path = start.path
    if start.is_zip:
        return _about_zip(path, start.members)
    if isinstance(start.json, dict) and {"schema_version", "bncheck"} <= start.json.keys():
        return f"{path} is a report that bncheck wrote, not a model. Reports are judged again by `bncheck gate`."
    if start.json is not None:
        return f"{path} is a JSON file without a `weight_map`, so not the index of a sharded model."
    if start.tar_members is not None:
        return (
            f"{path} is a tar archive, not a model. Unpack it first, or pass it as {argument('data')} if it holds "
            "samples."
        )
    return _about_bytes(path, start.head, titles)


def _about_zip(path: Path, names: Sequence[str]) -> str:
    if names and all(name.endswith(".npy") for name in names):
        return f"{path} is an .npz file, which is data, not a model; pass it as {argument('data')}."
    models = [name for name in names if name.endswith(_INSIDE)]
    hint = f" Unpack it and name {models[0]}." if models else ""
    return f"{path} is a zip archive, but not one that PyTorch wrote.{hint}"


def _about_bytes(path: Path, head: bytes, titles: Sequence[str]) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(_MARKUP):
        return f"{path} is a web page, not a model: the download failed (a login page or an error). Download it again."
    if head[4:8] == b"TFL3":
        return f"{path} is a TensorFlow Lite model; bncheck reads PyTorch formats."
    if head[4:8] == b"PTMF":
        return (
            f"{path} is a PyTorch Mobile model as a flatbuffer, which tells no statistics by name: inspect what it was "
            "made from, or save it without `_use_flatbuffer`."
        )
    if b"\0" not in head and _is_text(head):
        return f"{path} is a text file, not a model."
    return (
        f"{path} is in no format that bncheck knows, or damaged at its start. It reads "
        f"{', '.join(titles[:-1])} and {titles[-1]} files."
    )


def _is_text(head: bytes) -> bool:
    try:
        head[: HEAD - 4].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
