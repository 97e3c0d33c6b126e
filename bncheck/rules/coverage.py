"""What was not looked at, or not closely enough: no fault by itself, but no all-clear either."""

from __future__ import annotations

import math
from collections.abc import Iterator

from bncheck.core.noise import FEWEST_GROUPS
from bncheck.core.thresholds import MARGIN
from bncheck.evidence import Evidence
from bncheck.results.finding import Finding
from bncheck.results.report import INFO
from bncheck.vocabulary import Reason


def folded_away(evidence: Evidence) -> Iterator[Finding]:
    """BN705: a convolutional model without any normalization layer."""
    if evidence.layers or not evidence.has_convolutions:
        return
    if evidence.model_format == "onnx":
        lost = "both of PyTorch's exporters fold it into them by default"
        fix = (
            "Name the checkpoint it was exported from: --reference model.pt. Or write its statistics into the file "
            "once, so that it can be checked alone: bncheck stamp MODEL.onnx --reference model.pt --out stamped.onnx."
        )
    elif evidence.runnable:
        lost = "it was folded into them (jit.freeze, optimize_for_inference, an export for inference)"
        fix = (
            "Name the file from before the folding, the training checkpoint or its state dict: --reference model.pt. "
            "Or inspect that file itself."
        )
    else:
        lost = "it was folded into them, or its statistics were not saved"
        fix = "Name the architecture with --arch: it shows whether statistics are missing. Else inspect the checkpoint."
    yield Finding(
        code="BN705",
        severity=INFO,
        layers=(),
        message=(
            "There are convolutions but no stored normalization statistics in this file: if the model was trained with "
            f"BatchNorm, {lost}."
        ),
        fix=fix,
        evidence={"norm_layers": 0},
    )


def not_exercised(evidence: Evidence) -> Iterator[Finding]:
    """BN706: layers with statistics that no sample reached."""
    if evidence.data is None:
        return
    for layer in evidence.layers:
        if evidence.skipped.get(layer.name) is Reason.NOT_EXERCISED:
            yield Finding(
                code="BN706",
                severity=INFO,
                layers=(layer.name,),
                message=f"{layer.name} was never run: these data do not reach it in eval mode.",
                fix=(
                    "Nothing, if it serves training only (an auxiliary head) or another input; else give data or a "
                    "call that reaches it."
                ),
                evidence={"calls": 0},
            )


def too_few_samples(evidence: Evidence) -> Iterator[Finding]:
    """BN707: sampling noise alone would show gaps larger than those that matter."""
    smallest = evidence.smallest_detectable_gap
    if evidence.data is None or smallest is None or smallest <= MARGIN:
        return
    samples = evidence.data.samples
    needed = evidence.samples_needed
    if math.isinf(smallest) and samples >= FEWEST_GROUPS:
        shown = f"The {samples} samples do not differ from one another, so they tell no more than one"
        fix = "Give samples that differ, as those of training do; look at what reads them."
    elif math.isinf(smallest):
        shown = f"From {samples} {'sample' if samples == 1 else 'samples'} no gap can be told from noise"
        fix = "Give more samples, a hundred at the least."
    else:
        shown = f"{samples} samples can only show gaps above {smallest:.2g}; gaps above {MARGIN} matter"
        fix = (
            f"Give at least {_with_headroom(needed)} samples."
            if needed
            else "More samples will not do: the stored statistics were averaged over too few batches themselves."
        )
    yield Finding(
        code="BN707",
        severity=INFO,
        layers=(),
        message=f"{shown}.",
        fix=fix,
        evidence={
            "samples": samples,
            "smallest_detectable_gap": smallest if math.isfinite(smallest) else str(smallest),
            "samples_needed": needed,
        },
    )


def _with_headroom(needed: int) -> int:
    """A quarter more, in tens: what few samples say of the noise is itself uncertain."""
    return math.ceil(1.25 * needed / 10) * 10
