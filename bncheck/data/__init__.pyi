from .batches import Batch, Inputs, Source, tensors
from .conversion import type_name
from .mixing import limited
from .opening import open_data, require_named
from .options import DataOptions, normalization_of
from .pixels import channel_axis
from .sources.indexed import IndexedSource
from .sources.streams import StreamSource

__all__ = [
    "Batch",
    "DataOptions",
    "IndexedSource",
    "Inputs",
    "Source",
    "StreamSource",
    "channel_axis",
    "limited",
    "normalization_of",
    "open_data",
    "require_named",
    "tensors",
    "type_name",
]
