"""Reports on networks of 5, 55 and 300 layers: a few wrong by themselves, those behind them, and many that are fine."""

from __future__ import annotations

from dataclasses import replace

from hand_made import full_report, measured, run, summary, unmeasured

from bncheck.results.finding import Cost, Finding, Measure
from bncheck.results.report import AUDITED, FINDINGS, OK, SKIPPED, Accuracy, Effect, Report
from bncheck.vocabulary import Severity

REPAIR = "bncheck repair resnet.pt --data TRAIN --out resnet-repaired.pt"


def deep_report(number: int) -> Report:
    """Every fifth layer of the second half has a finding, its successor inherits; one was not reached."""
    layers, wrong = [], []
    for at in range(number - 1):
        name, is_late = f"encoder.stages.{at // 50}.blocks.{at}.norm", at >= number // 2
        if is_late and at % 5 == 2:
            wrong.append(name)
            layers.append(measured(name, [0.5 + at / 1000, 0.1], [1.3, 0.9], [0.5, 0.4], codes=("BN607",)))
        elif is_late and at % 5 == 3:
            layers.append(measured(name, [0.4, 0.3], [1.1, 1.0], [0.02, 0.03]))
        else:
            layers.append(measured(name, [0.01 + at / 5000, 0.0], [1.01, 0.98], [0.01, 0.01]))
    layers.append(unmeasured("head.group_norm", SKIPPED, "no-running-statistics", kind="group_norm"))
    findings = (
        Finding(
            code="BN607",
            severity=Severity.ERROR,
            layers=tuple(wrong),
            message=f"The statistics of {len(wrong)} layers are wrong by themselves, while the others fit.",
            fix="Recalibrate them on training data. Look at what wrote them.",
            measure=Measure("gap", 0.7),
            cost=Cost("accuracy", 0.81, 0.99),
            command=REPAIR,
        ),
    )
    whole = tuple(layers)
    return replace(
        full_report(),
        run=run(("Two samples of the same file are alike.",)),
        findings=findings,
        layers=whole,
        effect=Effect(0.2, 0.3, Accuracy(0.81, 0.985, 0.99)),
        summary=replace(summary(whole, FINDINGS, 1, 0.02), next=REPAIR),
    )


def fine_report(number: int) -> Report:
    """A network of that many layers of which nothing is to be said."""
    layers = tuple(measured(f"blocks.{at}.norm", [0.01 + at / 5000], [1.01], [0.01]) for at in range(number))
    return replace(
        deep_report(number), run=run(), findings=(), layers=layers, summary=summary(layers, OK, 0, 0.02),
        effect=Effect(0.002, 0.01, Accuracy(0.99, 0.99, 0.99)),
    )  # fmt: skip


def audited_report(number: int) -> Report:
    """A healthy file of that many layers that nothing was run on."""
    layers = tuple(unmeasured(f"blocks.{at}.norm", AUDITED, stored_updates=1200) for at in range(number))
    report = replace(fine_report(number), data=None, effect=None, batch_sizes=(), layers=layers)
    return replace(
        report,
        summary=summary(layers, OK, 0),
        model=replace(report.model, path="resnet.safetensors", runnable=False, norm_layers=number),
    )
