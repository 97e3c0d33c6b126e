"""The formats that are tried, one file per family: its valid files, and its documents with hostile values."""

from __future__ import annotations

from functools import cache

from fuzz.case import Format


@cache
def formats() -> tuple[Format, ...]:
    """All of them, in the order of the table; those for which a library is missing are left out."""
    from fuzz.formats import (
        archives,
        arrays,
        checkpoints,
        distributed,
        documents,
        images,
        keras_files,
        onnx_graphs,
        programs,
        safetensor,
        tables,
    )

    models = (checkpoints, safetensor, distributed, programs, onnx_graphs, keras_files)
    families = (*models, arrays, tables, images, archives, documents)
    return tuple(format for family in families for format in family.formats())
