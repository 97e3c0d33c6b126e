"""Keras: `.keras` archives of Keras 3, and HDF5 files of Keras 2 and 3, whole models or weights alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bncheck.formats.format import Container, Format, Request

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend
    from bncheck.formats.recognition.file_start import FileStart

KERAS_ARCHIVE = Container("Keras archive", (".keras",))
KERAS_HDF5 = Container("Keras HDF5 file", (".h5", ".hdf5"))
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
"""What an archive holds: the architecture as JSON, the weights as HDF5."""
_OTHER_WEIGHTS = "model.weights.npz"
_HDF5 = b"\x89HDF\r\n\x1a\n"


class Keras(Format):
    """A model that Keras saved, read with h5py and json alone."""

    name = "keras"
    title = "Keras"
    rank = 40
    containers = (KERAS_ARCHIVE, KERAS_HDF5)

    def recognise(self, start: FileStart) -> Container | None:
        """By the signature of HDF5; an archive by its members."""
        if start.head.startswith(_HDF5):
            return KERAS_HDF5
        members = start.members if start.is_zip else ()
        is_archive = CONFIG in members and (WEIGHTS in members or _OTHER_WEIGHTS in members)
        return KERAS_ARCHIVE if is_archive else None

    def open(self, request: Request) -> Backend:
        """See `open_keras`."""
        from bncheck.formats.keras.opening import open_keras

        return open_keras(request)


FORMAT = Keras()
