"""Which of the model's own tensors are not finite, where what its layers see is not."""

from __future__ import annotations

from bncheck.formats.model import Model


def broken_tensors(model: Model) -> tuple[str, ...]:
    """Names of the parameters, buffers or initializers that hold NaN or infinity, in the model's order."""
    return tuple(
        name
        for name, value in model.tensors().items()
        if value.is_floating_point() and not bool(value.isfinite().all())
    )
