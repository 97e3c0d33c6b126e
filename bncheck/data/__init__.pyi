from .batches import Batch, Inputs, Labels, Source, foremost, joined, map_labels, map_tensors, tensors
from .forms.conversion import is_only_stored
from .forms.parts import type_name
from .forms.structure import Carrier
from .kinds import FileKind, known_kinds, reading_also
from .mixing import limited
from .opening import open_data
from .options import DataOptions, normalization_of
from .pixels import channel_axis
from .places import Heap, Shelf
from .process_state import OwnSettings, overlapping, same_random_state, seed_torch
from .screening import ScreenedSource, all_left_out, is_finite
from .slicing.asking import Slicing
from .slicing.names import MOST_SLICES, OTHERS
from .sources.arrays import array_source
from .sources.indexed import IndexedSource, Span
from .sources.share import Share
from .sources.streams import StreamSource

__all__ = [
    "MOST_SLICES",
    "OTHERS",
    "Batch",
    "Carrier",
    "DataOptions",
    "FileKind",
    "Heap",
    "IndexedSource",
    "Inputs",
    "Labels",
    "OwnSettings",
    "ScreenedSource",
    "Share",
    "Shelf",
    "Slicing",
    "Source",
    "Span",
    "StreamSource",
    "all_left_out",
    "array_source",
    "channel_axis",
    "foremost",
    "is_finite",
    "is_only_stored",
    "joined",
    "known_kinds",
    "limited",
    "map_labels",
    "map_tensors",
    "normalization_of",
    "open_data",
    "overlapping",
    "reading_also",
    "same_random_state",
    "seed_torch",
    "tensors",
    "type_name",
]
