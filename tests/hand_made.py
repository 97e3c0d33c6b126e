"""Reports made by hand: every kind of layer, number and finding that a renderer meets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bncheck.results.beside.slices import SliceLayer, SliceReport
from bncheck.results.finding import Finding, Measure
from bncheck.results.notes import notes_of
from bncheck.results.report import (
    AUDITED,
    ERROR,
    FINDINGS,
    INFO,
    MEASURED,
    NOT_CHECKED,
    OK,
    SKIPPED,
    WARNING,
    Accuracy,
    BatchSize,
    ChannelTable,
    DataFacts,
    Effect,
    LayerReport,
    ModelFacts,
    Report,
    Run,
    Summary,
    asked_in,
)
from bncheck.results.run import RunCost, StageCost

NAN, INF = float("nan"), float("inf")
REPAIR = (
    "bncheck repair checkpoints/run_17/epoch_090.ckpt --arch 'my nets/resnet.py:build' --data data/validation.npz "
    "--out checkpoints/run_17/epoch_090-repaired.ckpt"
)
AGAIN = "bncheck inspect checkpoints/run_17/epoch_090.ckpt --arch 'my nets/resnet.py:build' --data data/validation.npz"
UNTOLD = Measure("finding", None)
"""How bad a finding is, where a test does not ask."""
THRESHOLDS = {
    "margin": 0.25,
    "changed_margin": 0.05,
    "gain_margin": 0.01,
    "output_margin": 0.1,
    "large_effect": 0.2,
}


def measured(
    name: str, shift: list[float], scale: list[float], own: list[float] | None = None, **more: Any
) -> LayerReport:
    """A measured layer of those shifts and scales; its stored values are mean 1 and variance 4, eps 0."""
    d, r = np.array(shift), np.array(scale)
    gap = np.sqrt(d**2 + (r - 1) ** 2)
    own_gap = np.full(len(d), np.nan) if own is None else np.array(own)
    noise = np.full(len(d), 0.0123)
    table = ChannelTable(
        stored_mean=np.ones(len(d)),
        stored_var=np.full(len(d), 4.0),
        measured_mean=1 + 2 * d,
        measured_var=4 * r**2,
        shift=d,
        scale=r,
        gap=gap,
        own_gap=own_gap,
        noise=noise,
    )
    values = {
        "kind": "batch_norm",
        "calls": 1,
        "stored_eps": 1e-5,
        "stored_momentum": 0.1,
        "stored_updates": 44_400,
        "worst_channel": int(np.nanargmax(gap)) if np.isfinite(gap).any() else None,
        "own_gap": None if own is None else _rms(own_gap),
    } | more
    return LayerReport(
        name=name,
        channels=len(d),
        status=MEASURED,
        gap=_rms(gap),
        gap_max=float(gap.max()),
        noise=_rms(noise),
        shift_max=float(np.abs(d).max()),
        scale_min=float(r.min()),
        scale_max=float(r.max()),
        table=table,
        **values,
    )


def sliced(name: str, samples: int, gap: float, sure: float, accuracy: float | None = None) -> SliceReport:
    """A slice of the data, in which two layers were measured."""
    layers = tuple(SliceLayer(layer, gap, 0.04, sure, gap, 0.9, 1.1) for layer in ("stem.bn", "head.bn"))
    effect = Effect(0.125, 0.3, None)
    return SliceReport(name, samples, gap, 0.04, sure, "stem.bn", accuracy, effect, layers)


SLICES = (sliced("north", 1200, 0.71, 0.6, 0.5), sliced("south", 8, 0.3, 0.0))
"""By site, the farthest first."""


def unmeasured(name: str, status: str, reason: str | None = None, **more: Any) -> LayerReport:
    """A layer that was audited or skipped."""
    values = {"kind": "batch_norm", "channels": 64} | more
    return LayerReport(name=name, status=status, reason=reason, **values)


def run(notes: Sequence[str] = (), **more: Any) -> Run:
    """A run with notes of which the words alone are known."""
    values = {
        "command": "bncheck inspect",
        "options": {"batch_size": 64, "fail_on": "warning"},
        "seed": 0,
        "versions": {"bncheck": "0.1.0", "python": "3.11.9", "torch": "2.13.0", "numpy": "2.1.0"},
        "thresholds": THRESHOLDS,
        "noted": notes_of(notes),
    }
    values |= more
    return Run(**({"asked": asked_in(values["options"])} | values))


def summary(layers: tuple[LayerReport, ...], verdict: str, exit_code: int, smallest: float | None = None) -> Summary:
    """The summary that those layers add up to."""
    taken = [layer for layer in layers if layer.status == MEASURED]
    own = [layer.own_gap for layer in taken if layer.own_gap is not None]
    return Summary(
        verdict=verdict,
        exit_code=exit_code,
        gap=_rms(np.array([layer.gap for layer in taken])) if taken else None,
        own_gap=_rms(np.array(own)) if own else None,
        smallest_detectable_gap=smallest,
        layers_measured=len(taken),
        layers_skipped=sum(layer.status == SKIPPED for layer in layers),
    )


def full_report() -> Report:
    """Measured, audited and skipped layers with names of every length, findings, batch sizes and notes."""
    layers = (
        measured("backbone.stem.bn", [0.02, -0.12, 0.05], [1.02, 0.91, 1.0], [0.03, 0.12, 0.04]),
        measured(
            "backbone.features.denseblock3.denselayer24.norm2",
            [12.5, -0.4, 0.001],
            [0.001, 1.6, 1500.0],
            [2.5, 0.9, 1.0],
            codes=("BN600",),
        ),
        measured("backbone.transition.norm", [0.8, 0.6, 0.7], [1.1, 1.2, 1.3], [0.1, 0.05, 0.07]),
        measured(
            "head.shared",
            [0.5, 0.6, 0.4],
            [1.1, 0.9, 1.0],
            calls=2,
            call_gaps=(0.1, 0.95),
            stored_eps=0.001,
            stored_momentum=None,
            kind="instance_norm",
        ),
        unmeasured("auxiliary_classifier.branch3x3dbl.bn", SKIPPED, "not-exercised", stored_eps=1e-3),
        unmeasured("decoder.group_norm", SKIPPED, "no-running-statistics", kind="group_norm", channels=1280),
        unmeasured("decoder.frozen", AUDITED, stored_updates=0),
    )
    findings = (
        Finding(
            code="BN600",
            severity=ERROR,
            layers=("backbone.features.denseblock3.denselayer24.norm2",),
            message="backbone.features.denseblock3.denselayer24.norm2: the gap is 865, above the limit of 0.5.",
            fix="See the other findings for the cause; raise --max-gap only if this gap is meant to be there.",
            measure=Measure("gap", 865.4),
            evidence={"gap": 865.4, "limit": 0.5},
        ),
        Finding(
            code="BN603",
            severity=WARNING,
            layers=("backbone.features.denseblock3.denselayer24.norm2", "backbone.transition.norm"),
            message=(
                "The stored statistics of 2 layers do not describe these data (gap 0.76 in backbone.transition.norm). "
                "Accuracy is 71.2% as shipped and 74.0% with statistics measured on other samples of these data."
            ),
            fix=(
                "Check the preprocessing first (scaling, mean and std, channel order): if it matches training, "
                "recalibrate the statistics, which was measured to help here."
            ),
            command=REPAIR,
            measure=Measure(
                "gap",
                0.76,
                layers={
                    "backbone.features.denseblock3.denselayer24.norm2": 865.5,
                    "backbone.transition.norm": 0.7371,
                },
                noise=0.0123,
            ),
            evidence={
                "layers": ["backbone.features.denseblock3.denselayer24.norm2", "backbone.transition.norm"],
                "margin": 0.25,
                "gap": NAN,
            },
        ),
        Finding(
            code="BN706",
            severity=INFO,
            layers=("auxiliary_classifier.branch3x3dbl.bn",),
            message="auxiliary_classifier.branch3x3dbl.bn was never run: these data do not reach it in eval mode.",
            fix="Nothing, if it serves training only (an auxiliary head) or another input; else give other data.",
            measure=Measure("layer", 1),
            evidence={"calls": 0},
        ),
    )
    return Report(
        version="0.1.0",
        run=run(
            ("Took 'state_dict' from the checkpoint; --key chooses another: ema.", "3 samples left out"),
            again=AGAIN,
            cost=RunCost(2410, 3.25, (StageCost("batch statistics", 597, 0.75), StageCost("padding", 1813, 2.0))),
        ),
        model=ModelFacts("checkpoints/run_17/epoch_090.ckpt", "ab" * 32, "state_dict", len(layers), True),
        data=DataFacts("data/validation.npz", 597, 64, True),
        summary=replace(summary(layers, FINDINGS, 1, smallest=0.0213), next=REPAIR),
        effect=Effect(0.0934, 0.31, Accuracy(0.712, 0.751, 0.74)),
        batch_sizes=(
            BatchSize(1, 3.14159, 4.25, 0.003, 1.9),
            BatchSize(8, 1.5, 1.75, 0.45, 1.6),
            BatchSize(256, 0.9, 0.95, 0.88, 1.21),
        ),
        findings=findings,
        layers=layers,
    )


def static_report() -> Report:
    """A state dict alone: nothing was run."""
    layers = (
        unmeasured("stem.bn", AUDITED, stored_momentum=None, stored_updates=1200, channels=32),
        unmeasured("blocks.0.body.bn", AUDITED, stored_updates=1200, codes=("BN202",)),
        unmeasured("blocks.0.norm", SKIPPED, "no-running-statistics", kind="layer_norm", channels=1024),
    )
    finding = Finding(
        code="BN202",
        severity=ERROR,
        layers=("blocks.0.body.bn",),
        message="blocks.0.body.bn stores a negative variance in channel 5, the lowest -0.25 in channel 5.",
        fix="Recalibrate the statistics on training data; then look at what wrote them.",
        measure=Measure("channel", 1),
        evidence={"channels": [5], "count": 1, "lowest": -0.25},
    )
    return replace(
        full_report(),
        run=run(),
        model=ModelFacts("weights.safetensors", "cd" * 32, "safetensors", len(layers), False),
        data=None,
        summary=summary(layers, FINDINGS, 1),
        effect=None,
        batch_sizes=(),
        findings=(finding,),
        layers=layers,
    )


def empty_report() -> Report:
    """No layer at all: normalization was folded away."""
    finding = Finding(
        code="BN705",
        severity=INFO,
        layers=(),
        message="There are convolutions but no stored normalization statistics in this file.",
        fix="Inspect the file from before the folding.",
        measure=Measure("layer", 0),
        evidence={"norm_layers": 0},
    )
    return replace(
        static_report(),
        model=ModelFacts("deploy.pt", "ef" * 32, "torchscript", 0),
        summary=summary((), NOT_CHECKED, 4),
        findings=(finding,),
        layers=(),
    )


def healthy_report() -> Report:
    """Nothing found, no labels, outputs that are no class scores, two layers."""
    layers = (
        measured("0.bn", [0.01, -0.02], [1.01, 0.99], [0.02, 0.03]),
        measured("1.bn", [0.04, 0.0], [0.97, 1.02], [0.04, 0.01]),
    )
    return replace(
        full_report(),
        run=run(),
        model=ModelFacts("model.pt2", "01" * 32, "exported", 2),
        data=DataFacts("loader.py:validation", 1, 1, False),
        summary=summary(layers, OK, 0, smallest=0.0021),
        effect=Effect(None, 0.012, None),
        batch_sizes=(),
        findings=(),
        layers=layers,
    )


def broken_report() -> Report:
    """Statistics that are not finite: NaN and infinity wherever a number can stand."""
    layers = (
        measured("fine", [0.1, 0.2], [1.0, 1.1], [0.1, 0.1]),
        measured("broken", [NAN, INF], [NAN, INF], [NAN, NAN], call_gaps=(NAN, 0.5), calls=2, codes=("BN201",)),
    )
    finding = Finding(
        code="BN201",
        severity=ERROR,
        layers=("broken",),
        message="broken holds values that are not finite: variance (channel 0).",
        fix="Go back to a checkpoint from before they appeared.",
        measure=Measure("channel", 1),
        evidence={"variance": {"channels": [0], "values": ["nan"]}, "raw": [NAN, {"deep": (INF, 1.0)}]},
    )
    return replace(
        healthy_report(),
        run=run(again="bncheck inspect model.pt --data data.npy"),
        data=DataFacts("data.npy", 40, 64, False),
        summary=replace(summary(layers, FINDINGS, 1, smallest=INF), next="bncheck inspect model.pt --data data.npy"),
        effect=Effect(None, NAN, Accuracy(NAN, None, 0.5)),
        batch_sizes=(BatchSize(1, NAN, INF, NAN, NAN),),
        findings=(finding,),
        layers=layers,
    )


def accepted_report() -> Report:
    """The full one, whose warning is in a baseline; its layers and files are named to break markup."""
    report = full_report()
    error, warning, info = report.findings
    known = replace(warning, accepted="in the baseline at 0.76, now 0.74")
    return replace(
        report,
        run=run(notes=("Accepted BN603: in the baseline at 0.76, now 0.74",), options={"fail_on": "warning"}),
        summary=replace(report.summary, next=None),
        model=replace(report.model, path="run 17/*a|b*, <i>100%</i>.ckpt"),
        findings=(replace(error, layers=(HOSTILE,), message=f"{HOSTILE}: the gap is 865."), known, info),
        layers=(replace(report.layers[0], name=HOSTILE, codes=("BN600",)), *report.layers[1:]),
    )


HOSTILE = "head`s|__x__.<b>\x1b[31m*n*\n# 1"


def many_layers(number: int = 500) -> Report:
    """A very deep network, all of whose layers exceed the limit that was set."""
    layers = tuple(
        measured(f"encoder.stages.{index // 50}.blocks.{index}.norm", [0.5 + index / 1000], [1.0], [0.1])
        for index in range(number)
    )
    findings = tuple(
        Finding(
            code="BN600",
            severity=ERROR,
            layers=(layer.name,),
            message=f"{layer.name}: the gap is {layer.gap:.3g}, above the limit of 0.1.",
            fix="See the other findings for the cause; raise --max-gap only if this gap is meant to be there.",
            measure=Measure("gap", layer.gap),
            evidence={"gap": layer.gap, "limit": 0.1},
        )
        for layer in layers
    )
    layers = tuple(replace(layer, codes=("BN600",)) for layer in layers)
    return replace(
        replace(full_report(), run=run()), summary=summary(layers, FINDINGS, 1, 0.1), findings=findings, layers=layers
    )


ALL = {
    "full": full_report,
    "static": static_report,
    "empty": empty_report,
    "healthy": healthy_report,
    "broken": broken_report,
}


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
