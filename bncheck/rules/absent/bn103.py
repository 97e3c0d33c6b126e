"""BN103: nothing but forwards of zeros ever updated the statistics, under weights that were trained."""

from __future__ import annotations

from collections.abc import Iterator

from bncheck.evidence import Evidence
from bncheck.results import Finding
from bncheck.rules.judging.cost import cost_of, or_leave, repair_or_check
from bncheck.rules.judging.harm import weighed
from bncheck.rules.judging.initial import learning_layers, was_trained
from bncheck.rules.judging.measures import layers_counted
from bncheck.rules.judging.naming import name_some
from bncheck.rules.judging.warm_up import warm_up_of
from bncheck.rules.judging.weights import instead_in_evidence, predicted_of, said_instead
from bncheck.vocabulary import Severity


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning; with data, by what it costs."""
    layers = [layer for layer in learning_layers(evidence, unclassed=True) if warm_up_of(layer)]
    found = warm_up_of(layers[0]) if layers else None
    if found is None or not any(was_trained(layer) for layer in layers):
        return
    names = tuple(layer.name for layer in layers)
    predicted = predicted_of(evidence, names)
    variance = float(layers[0].statistics[1][0])
    severity = weighed(evidence, Severity.WARNING)
    forwards = "1 forward" if found.forwards == 1 else f"{found.forwards} forwards"
    yield Finding(
        code="BN103",
        severity=severity,
        layers=names,
        message=(
            f"The statistics of {name_some(layers)} are the initial ones after {forwards} of zeros in training mode: "
            f"mean 0 and variance {variance:.4g} in every channel, although the weights were "
            f"trained.{said_instead(predicted)}"
        ),
        fix=or_leave(
            evidence,
            severity,
            "Recalibrate the statistics on training data, and find out why training did not update them (eval mode, "
            "averaged weights without buffers). Run warm-up forwards in eval mode.",
        ),
        measure=layers_counted(names),
        cost=cost_of(evidence.effect, evidence),
        command=repair_or_check(evidence),
        evidence={
            "layers": list(names),
            "mean": 0.0,
            "variance": variance,
            "forwards": found.forwards,
            "momentum": found.momentum,
            "updates": layers[0].updates,
            **instead_in_evidence(predicted),
        },
    )
