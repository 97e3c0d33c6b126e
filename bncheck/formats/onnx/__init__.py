"""ONNX models: reading, running, provenance metadata, and the writer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bncheck.formats.format import Container, Format, Request

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend
    from bncheck.formats.recognition.file_start import FileStart

ONNX_FILE = Container("ONNX model", (".onnx",))
_VERSION_FIELD = 0x08
_LAST_VERSION = 32
_OTHER_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42"


class Onnx(Format):
    """ONNX."""

    name = "onnx"
    title = "ONNX"
    rank = 50
    containers = (ONNX_FILE,)

    def recognise(self, start: FileStart) -> Container | None:
        """A ModelProto: field 1 (ir_version) as a small varint, then another of its fields."""
        head = start.head
        begins = len(head) > 2 and head[0] == _VERSION_FIELD and 0 < head[1] < _LAST_VERSION
        return ONNX_FILE if begins and head[2] in _OTHER_FIELDS else None

    def open(self, request: Request) -> Backend:
        """See `open_onnx`."""
        from bncheck.formats.onnx.opening import open_onnx

        return open_onnx(request)

    def parts(self, path: Path, container: Container) -> tuple[Path, ...]:
        """The files of external data."""
        from bncheck.formats.onnx.reading import external_named

        return external_named(path)

    def parts_written(self, path: Path, container: Container, target: Path, *, beside: bool) -> tuple[Path, ...]:
        """The files of external data, named after the new model."""
        from bncheck.formats.onnx.writing import external_name

        numbers = range(len(self.parts(path, container)))
        return tuple(target.parent / external_name(number, target) for number in numbers)


FORMAT = Onnx()
