"""Results of repairs made by hand: every outcome, and every kind of layer and number that the page meets."""

from __future__ import annotations

from dataclasses import replace

from hand_made import NAN, UNTOLD, full_report, healthy_report, static_report

from bncheck.results.finding import Finding
from bncheck.results.notes import OtherNote
from bncheck.results.repair import (
    BETTER,
    CROSS_FITTED,
    HELD_OUT,
    NO_DIFFERENCE,
    NOTHING,
    TOO_FEW,
    UNDECIDED,
    WORSE,
    Comparison,
    LayerRepair,
    RepairResult,
)
from bncheck.results.report import Report
from bncheck.results.scores import Score
from bncheck.vocabulary import Reason

LAYERS = (
    LayerRepair("backbone.stem.bn", True, None, 0.7612, 0.0134, 0.7612, 0.0121, 0.0082),
    LayerRepair("backbone.blocks.0.body.1.a_long_name.of_a_layer.bn", True, None, NAN, 0.0255, NAN, 0.021, 0.0241),
    LayerRepair("head.norm", True, None, 12.345, 0.002, 0.31, None, None),
    LayerRepair("head.unused", False, Reason.NOT_EXERCISED, None, None, None, None, None),
    LayerRepair("head.traced", False, Reason.BY_INPUT, 0.3, 0.3, 0.3, 0.3, None),
)
METRIC = Score("metric", True, -12.5, None, -0.41, 12.09, None, None, 597)
LABELLED = Comparison(0.405, 0.9933, 0.5883, 0.0315, 597, 0.5946, 1.31)


def better() -> RepairResult:
    return RepairResult(
        method="recalibrate",
        path="repaired.ckpt",
        out="repaired.ckpt",
        outcome=BETTER,
        judged=HELD_OUT,
        source="train.npz",
        samples=1200,
        comparison=LABELLED,
        before=full_report(),
        after=healthy_report(),
        layers=LAYERS,
        noted=(OtherNote("After 1200 samples the mean is known to 0.024 standard deviations in the worst layer."),),
    )


def cross_fitted() -> RepairResult:
    weak = replace(LABELLED, accuracy_before=0.645, accuracy_after=0.68, gain=0.035, gain_error=0.011)
    return replace(better(), judged=CROSS_FITTED, method="blend", comparison=weak, noted=())


def worse() -> RepairResult:
    lost = replace(LABELLED, accuracy_before=0.81, accuracy_after=0.7915, gain=-0.0185, gain_error=0.004)
    return replace(better(), outcome=WORSE, path=None, comparison=lost)


def worse_without_labels() -> RepairResult:
    fitting_nothing = worse_by_labels_that_fit_nothing()
    good = fitting_nothing.before
    data = None if good.data is None else replace(good.data, labelled=False)
    return replace(fitting_nothing, before=replace(good, data=data))


def worse_by_labels_that_fit_nothing() -> RepairResult:
    lost = Comparison(None, None, None, None, 597, 0.4, 0.7)
    good = healthy_report()
    assert good.data is not None
    good = replace(good, data=replace(good.data, labelled=True, samples=597))
    grown = replace(good, summary=replace(good.summary, gap=1.7))
    return replace(better(), outcome=WORSE, path=None, comparison=lost, before=good, after=grown)


def undecided() -> RepairResult:
    unknown = Comparison(None, None, None, None, 597, None, 0.37)
    return replace(better(), outcome=UNDECIDED, comparison=unknown, before=unlabelled(), after=full_report())


def unlabelled() -> Report:
    report = full_report()
    return replace(report, data=None if report.data is None else replace(report.data, labelled=False))


def useless() -> RepairResult:
    same = replace(LABELLED, accuracy_before=0.9933, accuracy_after=0.9933, gain=0.0, gain_error=0.0)
    return replace(better(), outcome=NO_DIFFERENCE, comparison=same)


def too_few() -> RepairResult:
    return replace(useless(), outcome=TOO_FEW, path=None, samples=12, samples_needed=30, judged=CROSS_FITTED)


def with_metric() -> RepairResult:
    scored = replace(LABELLED, accuracy_before=-12.5, accuracy_after=-0.41, gain=12.09, gain_error=None, score=METRIC)
    return replace(better(), comparison=scored)


def once_not_finite() -> RepairResult:
    born = Comparison(None, None, None, None, 597, None, NAN)
    return replace(better(), comparison=born)


def on_scaled_data() -> RepairResult:
    whole = replace(LABELLED, accuracy_after=1.0, predictions_changed=None, output_change=None)
    found = Finding(
        code="BN601",
        severity="error",
        layers=(),
        message="The data are fed as 0..255; the network expects 0..1. With the input changed so, the gap falls.",
        fix="Divide the input by 255, as in training. Recalibrating would only hide it.",
        measure=UNTOLD,
        evidence={},
    )
    return replace(better(), comparison=whole, before=replace(full_report(), findings=(found,)))


def of_few() -> RepairResult:
    return replace(better(), samples=12, samples_needed=30)


def nothing() -> RepairResult:
    kept = tuple(layer for layer in LAYERS if not layer.changed)
    return replace(
        better(), outcome=NOTHING, path=None, comparison=None, before=static_report(), after=None, layers=kept, noted=()
    )


def deep(number: int) -> RepairResult:
    """Every third layer of the first half was off, of the second half too little to matter; some are off still."""
    layers = []
    for at in range(number - 1):
        is_off, is_left = at < number // 2 and at % 3 == 1, at % 17 == 16
        before = 0.4 + at / 500 if is_off or is_left else 0.02 + at / 10_000
        after = 0.25 + at / 1000 if is_left else 0.01
        layers.append(
            LayerRepair(f"encoder.stages.{at // 50}.blocks.{at}.norm", True, None, before, after, before, 0.01, 0.02)
        )
    layers.append(LayerRepair("head.unused.norm", False, Reason.NOT_EXERCISED, None, None, None, None, None))
    good = healthy_report()
    after = replace(good, run=replace(good.run, again="bncheck inspect repaired.ckpt --data data/validation.npz"))
    return replace(better(), layers=tuple(layers), after=after)


def deep_5() -> RepairResult:
    return deep(5)


def deep_55() -> RepairResult:
    return deep(55)


def deep_300() -> RepairResult:
    return deep(300)


def fine_55() -> RepairResult:
    """Of 55 layers none was off, and none is."""
    calm = tuple(replace(layer, gap_before=0.03, gap_after=0.01) for layer in deep(55).layers[:-1])
    return replace(useless(), layers=calm, noted=())


ALL = {
    make.__name__: make
    for make in (
        *(better, cross_fitted, worse, worse_without_labels, worse_by_labels_that_fit_nothing, undecided),
        *(useless, with_metric, once_not_finite, on_scaled_data, of_few),
        *(nothing, too_few),
        *(deep_5, deep_55, deep_300, fine_55),
    )
}
