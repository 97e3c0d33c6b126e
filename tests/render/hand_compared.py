"""Differences of two checkpoints made by hand."""

from __future__ import annotations

from hand_made import NAN, run

from bncheck.results.difference import Difference, DifferenceSummary, LayerChange, TensorChange
from bncheck.results.finding import Finding, Measure
from bncheck.results.report import ModelFacts


def layer(name: str, gap: float, **more: object) -> LayerChange:
    values = {
        "original": name,
        "kind": "batch_norm",
        "channels": 64,
        "moved": gap != 0,
        "expected_frozen": False,
        "gap": gap,
        "gap_max": 2 * gap,
        "worst_channel": None if gap != gap else 7,
        "shift_max": gap,
        "scale_min": 1.0,
        "scale_max": 1 + gap,
        "updates_before": 1000,
        "updates_after": 1500,
    }
    return LayerChange(name=name, **(values | more))


def difference(*layers: LayerChange, tensors: tuple[TensorChange, ...] = (), **more: object) -> Difference:
    values = {
        "version": "0.1.0",
        "run": run(),
        "before": ModelFacts("pretrained.pt", "ab" * 32, "state_dict", 3),
        "after": ModelFacts("finetuned.onnx", None, "onnx", 3),
        "summary": DifferenceSummary(
            "ok", 0, len(layers), sum(each.moved for each in layers), len(tensors), sum(each.moved for each in tensors)
        ),
        "layers": layers,
        "tensors": tensors,
        "only_before": (),
        "only_after": (),
        "findings": (),
    }
    return Difference(**(values | more))


MOVED = difference(
    layer("backbone.layer1.0.bn1", 0.02, expected_frozen=True),
    layer("backbone.layer1.0.bn2", 0.0, expected_frozen=True),
    layer("neck.norm", 0.31, original="fpn.norm"),
    layer("head.norm", 0.0),
    layer("broken", NAN, moved=True),
    tensors=(
        TensorChange("head.weight", "head.weight", (10, 512), True, 0.25),
        TensorChange("head.bias", "head.bias", (10,), True, 0.75),
        TensorChange("scale", "scale", (), True, None),
        TensorChange("neck.weight", "neck.weight", (3, 3), False, 0.0),
    ),
    only_before=tuple(f"old.{at}" for at in range(8)),
    findings=(
        Finding(
            "BN402", "warning", ("backbone.layer1.0.bn1",), "It moved.", "Keep it in eval mode.", Measure("gap", 0.02)
        ),
    ),
)
SAME = difference(layer("a", 0.0), layer("b", 0.0))
UNTOLD = difference(summary=DifferenceSummary("not-checked", 4, 0, 0, 2, 0))
