"""What a file is, judged by its content; suffixes lie (`.pt` alone is four formats)."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

from bncheck.errors import ModelError, UsageError

SCRIPT_ARCHIVE = "TorchScript archive"
EXPORT_ARCHIVE = "torch.export archive"
ZIP_CHECKPOINT = "PyTorch checkpoint"
LEGACY_CHECKPOINT = "PyTorch checkpoint (before 1.6)"
TAR_CHECKPOINT = "PyTorch checkpoint (before 0.1.10, a tar archive)"
PLAIN_PICKLE = "Python pickle"
SAFETENSORS_FILE = "safetensors file"
SAFETENSORS_INDEX = "safetensors index"
ONNX_FILE = "ONNX model"

_TORCH_MAGIC = bytes.fromhex("8a0a6cfc9c46f920 6aa85019")  # LONG1 opcode of torch.serialization.MAGIC_NUMBER
_HEAD = 4096

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; fetch the file with `git lfs pull`"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras); bncheck reads PyTorch formats and ONNX"),
    (b"\x93NUMPY", "a NumPy array, which is data; pass it as --data"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "compressed with xz; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"GGUF", "a GGUF model; such models have no running statistics"),
    (b"\x89PNG", "an image, which is data; pass it as --data"),
    (b"\xff\xd8\xff", "an image, which is data; pass it as --data"),
)
_MARKUP = (b"<!doctype", b"<html", b"<?xml")


def recognise(path: Path) -> str:
    """Which of the containers above `path` is.

    Raises:
        UsageError: there is no such file.
        ModelError: it is something else; the message says what it looks like and what to do.
    """
    if not path.exists():
        raise UsageError(f"There is no file {path}.")
    if path.is_dir():
        raise ModelError(_about_folder(path))
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not head:
        raise ModelError(f"{path} is empty (0 bytes): was it saved or copied completely?")
    return _by_head(path, head)


def _by_head(path: Path, head: bytes) -> str:
    for magic, meaning in _FOREIGN:
        if head.startswith(magic):
            raise ModelError(f"{path} is {meaning}.")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _by_members(path)
    if _opens_safetensors(head):
        return SAFETENSORS_FILE
    if head[0] == 0x80:
        return LEGACY_CHECKPOINT if head[2:].startswith(_TORCH_MAGIC) else PLAIN_PICKLE
    if head.lstrip().startswith((b"{", b"[")):
        return _by_json(path)
    if _opens_onnx(head):
        return ONNX_FILE
    if tarfile.is_tarfile(path):
        return _by_tar(path)
    raise ModelError(_about_unknown(path, head))


def _opens_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32


def _opens_onnx(head: bytes) -> bool:
    """A ModelProto: field 1 (ir_version) as a small varint, then another of its fields."""
    return len(head) > 2 and head[0] == 0x08 and 0 < head[1] < 32 and head[2] in b"\x12\x1a\x22\x28\x32\x3a\x42"


def _by_members(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise ModelError(
            f"{path} is cut off or damaged: it begins like a PyTorch (zip) file, but its table of contents, "
            "at the end of the file, cannot be read. Copy or download it again."
        ) from error
    # PyTorch puts everything into one folder, whose name is the file's when it was written.
    inner = [name.partition("/")[2] for name in names]
    if any(name in ("archive_format", "serialized_exported_program.json") for name in (*inner, *names)):
        return EXPORT_ARCHIVE
    if any(name.startswith("models/") and name.endswith(".json") for name in inner):
        return EXPORT_ARCHIVE
    if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
        return SCRIPT_ARCHIVE
    if "data.pkl" in inner:
        return ZIP_CHECKPOINT
    raise ModelError(_about_zip(path, names))


def _by_json(path: Path) -> str:
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ModelError(f"{path} is a text file, not a model.") from error
    if isinstance(content, dict) and isinstance(content.get("weight_map"), dict):
        return SAFETENSORS_INDEX
    raise ModelError(f"{path} is a JSON file without a `weight_map`, so not the index of a sharded model.")


def _by_tar(path: Path) -> str:
    try:
        with tarfile.open(path) as archive:
            names = {member.name.removeprefix("./") for member in archive}
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ModelError(f"{path} is a damaged tar archive. Copy or download it again.") from error
    if {"storages", "tensors", "pickle"} <= names:
        return TAR_CHECKPOINT
    raise ModelError(
        f"{path} is a tar archive, not a model. Unpack it first, or pass it as --data if it holds samples."
    )


def _about_folder(path: Path) -> str:
    if (path / "saved_model.pb").exists():
        return f"{path} is a TensorFlow SavedModel; bncheck reads PyTorch formats and ONNX."
    if (path / ".metadata").exists():
        return (
            f"{path} is a distributed checkpoint. Convert it to one file with "
            "`python -m torch.distributed.checkpoint.format_utils dcp_to_torch SRC DST`."
        )
    candidates = sorted(
        entry.name
        for pattern in (
            "*.safetensors",
            "*.safetensors.index.json",
            "*.pt",
            "*.pth",
            "*.ckpt",
            "*.pt2",
            "*.onnx",
            "*.bin",
        )
        for entry in path.glob(pattern)
    )
    hint = f"Name one of its files: {', '.join(candidates[:6])}." if candidates else "Name a model file."
    return f"{path} is a folder, not a model file. {hint}"


def _about_zip(path: Path, names: list[str]) -> str:
    if names and all(name.endswith(".npy") for name in names):
        return f"{path} is an .npz file, which is data, not a model; pass it as --data."
    if any(name.endswith("model.weights.h5") for name in names):
        return f"{path} is a Keras model; bncheck reads PyTorch formats."
    models = [name for name in names if name.endswith((".pt", ".pth", ".ckpt", ".safetensors", ".pt2"))]
    hint = f" Unpack it and name {models[0]}." if models else ""
    return f"{path} is a zip archive, but not one that PyTorch wrote.{hint}"


def _about_unknown(path: Path, head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(_MARKUP):
        return f"{path} is a web page, not a model: the download failed (a login page or an error). Download it again."
    if head[4:8] == b"TFL3":
        return f"{path} is a TensorFlow Lite model; bncheck reads PyTorch formats."
    if b"\0" not in head and _is_text(head):
        return f"{path} is a text file, not a model."
    return (
        f"{path} is in no format that bncheck knows, or damaged at its start. It reads state dicts and modules saved "
        "by torch.save, safetensors, TorchScript, torch.export and ONNX files."
    )


def _is_text(head: bytes) -> bool:
    try:
        head[: _HEAD - 4].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
