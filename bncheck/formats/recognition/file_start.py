"""A file as far as telling its format takes: its first bytes, and the names of what an archive holds."""

from __future__ import annotations

import json
import struct
import tarfile
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any

from bncheck.errors import ModelError
from bncheck.formats.declared import require_backed

HEAD = 4096
"""Bytes that are read of every file."""
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


class FileStart:
    """The beginning of a file; the names in an archive are read when they are first asked for.

    Attributes:
        path: the file.
        head: its first bytes.
    """

    def __init__(self, path: Path, head: bytes) -> None:
        self.path = path
        self.head = head

    @property
    def is_zip(self) -> bool:
        """Whether it begins like a zip archive."""
        return self.head.startswith(_ZIP)

    @cached_property
    def members(self) -> tuple[str, ...]:
        """Names of what a zip archive holds; none for other files.

        Raises:
            ModelError: its table of contents cannot be read, or declares much more than the file can hold.
        """
        if not self.is_zip:
            return ()
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = archive.infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error) as error:
            raise ModelError(
                f"{self.path} is cut off or damaged: it begins like a PyTorch (zip) file, but its table of contents, "
                "at the end of the file, cannot be read. Copy or download it again."
            ) from error
        require_backed(
            sum(member.file_size for member in members), self.path.stat().st_size, f"{self.path}: what is packed in it"
        )
        return tuple(member.filename for member in members)

    @cached_property
    def records(self) -> tuple[str, ...]:
        """The same without the folder into which PyTorch puts everything, called as the file once was."""
        return tuple(name.partition("/")[2] for name in self.members)

    @property
    def is_json(self) -> bool:
        """Whether it begins like a JSON object or list."""
        return self.head.lstrip().startswith((b"{", b"["))

    @cached_property
    def json(self) -> Any:
        """The content of a JSON file; `None` for other files.

        Raises:
            ModelError: it only begins like one.
        """
        if not self.is_json:
            return None
        try:
            return json.loads(self.path.read_text("utf-8"))
        except (ValueError, RecursionError) as error:
            raise ModelError(f"{self.path} is a text file, not a model.") from error

    @cached_property
    def tar_members(self) -> frozenset[str] | None:
        """Names of what a tar archive holds; `None` for other files.

        Raises:
            ModelError: it is damaged.
        """
        if self.is_zip or not tarfile.is_tarfile(self.path):
            return None
        try:
            with tarfile.open(self.path) as archive:
                return frozenset(member.name.removeprefix("./") for member in archive)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise ModelError(f"{self.path} is a damaged tar archive. Copy or download it again.") from error
