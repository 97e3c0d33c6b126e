"""Group 7: the mode a model was exported or pickled in."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.evidence import Evidence
from bncheck.results.finding import Finding
from bncheck.results.report import ERROR, INFO
from bncheck.rules.absent import name_some

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


def training_mode(evidence: Evidence) -> Iterator[Finding]:
    """BN701: layers that store statistics and, by what the file says, normalize by their input all the same."""
    layers = [layer for layer in evidence.layers if layer.by_input and layer.expects_statistics]
    if not layers:
        return
    total = sum(layer.expects_statistics for layer in evidence.layers)
    consequence = _RUNS.get(evidence.model_format, "predictions depend on the batch, and the statistics go unused")
    yield Finding(
        code="BN701",
        severity=ERROR,
        layers=tuple(layer.name for layer in layers),
        message=(
            f"The model was exported in training mode: {len(layers)} of {total} layers with statistics normalize by "
            f"their batch instead ({name_some(layers)}); {consequence}."
        ),
        fix=_ANEW.get(evidence.model_format, "Call model.eval() and export the model again."),
        evidence={"layers": [layer.name for layer in layers], "with_statistics": total},
    )


def pickled_in_training(evidence: Evidence) -> Iterator[Finding]:
    """BN702: whoever loads the module and runs it as it is, runs it in training mode."""
    layers = [layer for layer in evidence.with_statistics() if layer.name in evidence.in_training]
    if not layers:
        return
    yield Finding(
        code="BN702",
        severity=INFO,
        layers=tuple(layer.name for layer in layers),
        message=(
            f"The module was pickled in training mode ({len(layers)} of {len(evidence.with_statistics())} layers with "
            "statistics): run as it is loaded, it normalizes by the batch and overwrites its statistics. This "
            "inspection took it in eval mode."
        ),
        fix="Call model.eval() after loading; better, before saving.",
        evidence={"layers": [layer.name for layer in layers]},
    )
