"""BN102: every mean is exactly 0 and every variance exactly 1, under weights that were trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bncheck.core import FloatArray, NormLayer, identities
from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of, in_words, or_leave, repair_or_check
from bncheck.rules.judging.harm import fits_as_shipped
from bncheck.rules.judging.initial import is_initial, was_trained, would_have_learned
from bncheck.rules.judging.measures import layers_counted
from bncheck.rules.judging.naming import name_some
from bncheck.rules.judging.weights import instead_in_evidence, predicted_of, said_instead
from bncheck.vocabulary import Severity, argument


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield one finding where all layers are initial, else one for each that is; a remark where nothing tells why."""
    layers = [layer for layer in evidence.with_statistics() if not layer.missing]
    found = identities(layers)
    if found.untold and evidence.data is None:
        yield _untold([layer for layer in layers if layer.name in found.untold], evidence)
    suspects = [
        layer
        for layer in layers
        if is_initial(layer) and (would_have_learned(layer) or layer.name in found.never_updated)
    ]
    trained = [layer for layer in suspects if was_trained(layer)]
    if not trained:
        return
    if len(suspects) == len(layers):
        yield _finding(suspects, trained[0], evidence)
        return
    for layer in trained:
        yield _finding([layer], layer, evidence)


def _finding(layers: Sequence[NormLayer], trained: NormLayer, evidence: Evidence) -> Finding:
    # Weights that were trained around the identity, in eval mode, need it.
    severity = Severity.INFO if fits_as_shipped(evidence.effect) else Severity.ERROR
    names = tuple(layer.name for layer in layers)
    predicted = predicted_of(evidence, names)
    return Finding(
        code="BN102",
        severity=severity,
        layers=names,
        message=(
            f"The statistics of {name_some(layers)} are the initial ones, mean 0 and variance 1 in every channel, "
            f"although the weights were trained.{said_instead(predicted)}"
            + (f" They serve these data: {_uncapped(in_words(evidence.effect))}" if severity == Severity.INFO else "")
        ),
        fix=or_leave(
            evidence,
            severity,
            f"Recalibrate the statistics on training data{'' if evidence.effect else _unless()}. If these are averaged "
            "weights (SWA, EMA), average the buffers along with them next time, or recalibrate after averaging; if "
            "training ran in eval mode, train in train mode.",
        ),
        measure=layers_counted(names),
        cost=cost_of(evidence.effect, evidence),
        command=repair_or_check(evidence),
        evidence={
            "layers": list(names),
            "mean": 0.0,
            "variance": 1.0,
            "updates": layers[0].updates,
            "gamma_min_max": _spread(trained.weight),
            "beta_min_max": _spread(trained.bias),
            **instead_in_evidence(predicted),
        },
    )


def _untold(layers: Sequence[NormLayer], evidence: Evidence) -> Finding:
    names = tuple(layer.name for layer in layers)
    return Finding(
        code="BN102",
        severity=Severity.INFO,
        layers=names,
        message=(
            f"The statistics of {name_some(layers)} are mean 0 and variance 1 in every channel under trained weights: "
            "either never updated, or folded into gamma and beta on purpose. Without update counters the file does not "
            "tell which."
        ),
        fix=evidence.advice.identity,
        measure=layers_counted(names),
        evidence={"layers": list(names), "mean": 0.0, "variance": 1.0, "updates": None},
    )


def _unless() -> str:
    shown = argument("data")
    return f", unless training ran in eval mode: then the weights need them as they are, which {shown} would show"


def _uncapped(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def _spread(values: FloatArray | None) -> list[float] | None:
    return None if values is None else [float(values.min()), float(values.max())]
