"""BN705: a convolutional model without any normalization layer."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.measures import single
from bncheck.vocabulary import Severity, argument


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a remark that asks for the file from before the folding."""
    if evidence.layers or not evidence.has_convolutions:
        return
    if evidence.model_format == "onnx":
        lost = "both of PyTorch's exporters fold it into them by default"
        fix = (
            f"Name the checkpoint it was exported from: {argument('reference')} model.pt. Or write its statistics into "
            "the file once, so that it can be checked alone: `bncheck stamp MODEL.onnx --reference model.pt --out "
            "stamped.onnx`."
        )
    elif evidence.runnable:
        lost = "it was folded into them (jit.freeze, optimize_for_inference, an export for inference)"
        fix = (
            "Name the file from before the folding, the training checkpoint or its state dict: "
            f"{argument('reference')} model.pt. "
            "Or inspect that file itself."
        )
    else:
        lost = "it was folded into them, or its statistics were not saved"
        fix = (
            f"Name the architecture with {argument('arch')}: it shows whether statistics are missing. Else inspect the "
            "checkpoint."
        )
    yield Finding(
        code="BN705",
        severity=Severity.INFO,
        layers=(),
        message=(
            "There are convolutions but no stored normalization statistics in this file: if the model was trained with "
            f"BatchNorm, {lost}."
        ),
        fix=fix,
        measure=single("model", 1),
        evidence={"norm_layers": 0},
    )
