"""BN701: layers that store statistics and, by what the file says, normalize by their input all the same."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import layers_counted
from bncheck.rules.judging.naming import name_some
from bncheck.vocabulary import Severity

_ANEW = {
    "onnx": (
        "Call model.eval() and export again; to keep BatchNorm visible in the file, with "
        "`torch.onnx.export(..., dynamo=False, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False)`."
    ),
    "torchscript": "Call model.eval() before torch.jit.trace, and save it again.",
    "exported": "Call model.eval() before torch.export.export, and save it again.",
}
_RUNS = {
    "onnx": "runtimes made for inference, onnxruntime among them, refuse it",
}


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield an error that names every such layer."""
    layers = [layer for layer in evidence.layers if layer.by_input and layer.expects_statistics]
    if not layers:
        return
    names = tuple(layer.name for layer in layers)
    total = sum(layer.expects_statistics for layer in evidence.layers)
    consequence = _RUNS.get(evidence.model_format, "predictions depend on the batch, and the statistics go unused")
    yield Finding(
        code="BN701",
        severity=Severity.ERROR,
        layers=names,
        message=(
            f"The model was exported in training mode: {len(layers)} of {total} layers with statistics normalize by "
            f"their batch instead ({name_some(layers)}); {consequence}."
        ),
        fix=_ANEW.get(evidence.model_format, "Call model.eval() and export the model again."),
        measure=layers_counted(names),
        evidence={"layers": list(names), "with_statistics": total},
    )
