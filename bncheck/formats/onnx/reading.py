"""Reading an ONNX file: its protobuf, the files that hold its tensors, its functions."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
import onnx.inliner
from google.protobuf.message import DecodeError

from bncheck.errors import ModelError
from bncheck.formats.messages import first_line
from bncheck.formats.onnx.graph import all_tensors, opset_of
from bncheck.formats.onnx.soundness import bytes_of, require_finite_functions, require_sound

_LONGEST_LOCATION = 4096
OLDEST_OPSET = 7
"""Before it BatchNormalization told by an attribute whether it was in training."""


def read_onnx(path: Path) -> tuple[onnx.ModelProto, tuple[Path, ...]]:
    """The model with its tensors in memory and its functions inlined, and the files its tensors came from.

    Raises:
        ModelError: the file is damaged or too old, or its external data are missing or outside its folder.
    """
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ModelError(
            f"{path} begins like an ONNX model but is cut off or damaged. Copy, download or export it again."
        ) from error
    if not proto.graph.node:
        raise ModelError(f"{path} begins like an ONNX model but holds no graph: is the file complete?")
    _require_opset(proto, path)
    files = _load_external_data(proto, path)
    inlined = _inlined(proto, path)
    require_sound(inlined)
    return inlined, files


def external_locations(proto: onnx.ModelProto) -> tuple[str, ...]:
    """Where a model whose tensors were not loaded keeps them besides, relative to its folder, each place once."""
    return tuple(
        dict.fromkeys(
            entry.value
            for tensor in all_tensors(proto)
            if tensor.data_location == onnx.TensorProto.EXTERNAL
            for entry in tensor.external_data
            if entry.key == "location"
        )
    )


def external_named(path: Path) -> tuple[Path, ...]:
    """The files beside the one at `path` that it says hold its tensors, whether or not they are there.

    Raises:
        OSError: it cannot be read.
    """
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except DecodeError:
        return ()
    return tuple(dict.fromkeys(path.parent / location for location in external_locations(proto)))


def _require_opset(proto: onnx.ModelProto, path: Path) -> None:
    opset = opset_of(proto)
    if opset is not None and opset < OLDEST_OPSET:
        raise ModelError(
            f"{path} uses version {opset} of the ONNX operators; bncheck reads {OLDEST_OPSET} and newer. Convert it "
            "with onnx.version_converter.convert_version, or export it again."
        )


def _inlined(proto: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Without functions, so that every normalization is a node of the graph."""
    if not proto.functions:
        return proto
    require_finite_functions(proto)
    try:
        return onnx.inliner.inline_local_functions(proto)
    except Exception as error:  # the inliner is C++ and raises plain RuntimeErrors among others
        raise ModelError(f"The functions of {path} cannot be inlined: {first_line(error)}.") from error


def _load_external_data(proto: onnx.ModelProto, path: Path) -> tuple[Path, ...]:
    """Put tensors that stand in other files into the model; those files, in the order they are first named."""
    files: dict[Path, None] = {}
    for tensor in all_tensors(proto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            file = confined(entries.get("location", ""), path)
            tensor.raw_data = _read_part(file, entries, tensor, path)
            tensor.data_location = onnx.TensorProto.DEFAULT
            del tensor.external_data[:]
            files.setdefault(file)
    return tuple(files)


def confined(location: str, path: Path) -> Path:
    """The file `location` names, which must lie in the model's folder, also once symbolic links are followed.

    Raises:
        ModelError: it lies elsewhere, or is not there.
    """
    if "\0" in location or len(location) > _LONGEST_LOCATION:
        raise ModelError(f"{path} keeps tensors in {location!r}, which names no file. Export the model again.")
    parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
    absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).anchor
    folder = path.parent.resolve()
    file = folder / location
    if not location or absolute or ".." in parts or not file.resolve().is_relative_to(folder):
        raise ModelError(
            f"{path} keeps tensors in {location!r}, outside its own folder, which is refused. Put the file beside "
            "the model and save the model with a plain file name as its location."
        )
    if not file.is_file():
        raise ModelError(f"{path} keeps tensors in {location}, which is not there: copy it into the same folder.")
    return file


def _read_part(file: Path, entries: dict[str, str], tensor: onnx.TensorProto, path: Path) -> bytes:
    """The bytes of one tensor: as many as its shape takes, if the file has them."""
    length = bytes_of(tensor)
    try:
        offset = int(entries.get("offset") or 0)
        declared = int(entries.get("length") or length)
        held = file.stat().st_size
        if declared == length and 0 <= offset <= held - length:
            with file.open("rb") as opened:
                opened.seek(offset)
                return opened.read(length)
    except (OSError, ValueError) as error:
        raise ModelError(f"The external data of {path} cannot be read: {first_line(error)}.") from error
    if declared != length or offset < 0:
        raise ModelError(
            f"{path} has {length} bytes of {tensor.name} stand at {offset} in {file}, and declares {declared} of them: "
            "it is damaged or was edited. Export the model again."
        )
    raise ModelError(
        f"{file} ends before the tensor {tensor.name} does: it is cut off, or belongs to another model than {path}."
    )
