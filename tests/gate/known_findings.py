"""A finding of every rule, made by hand: what a baseline is given to know."""

from __future__ import annotations

from bncheck.results.finding import Finding, Measure
from bncheck.results.report import ERROR, INFO, WARNING
from bncheck.rules.catalogue import RULES
from bncheck.vocabulary import Worse

LAYERS = ("0.bn", "1.bn")


def of_layers(unit: str, *values: float, noise: float = 0.0, worse: Worse = Worse.HIGHER) -> Measure:
    return Measure(unit, max(values), dict(zip(LAYERS, values, strict=False)), worse, noise)


MEASURES = {
    "BN101": of_layers("layer", 1, 1),
    "BN102": of_layers("layer", 1, 1),
    "BN103": of_layers("layer", 1),
    "BN104": of_layers("layer", 1),
    "BN105": of_layers("share of the initial statistics", 0.3, 0.3),
    "BN201": of_layers("value", 3),
    "BN202": of_layers("channel", 1),
    "BN203": of_layers("channel", 2, 5),
    "BN204": of_layers("channel", 1, 64),
    "BN205": of_layers("standard deviation", 0.3),
    "BN206": of_layers("standard deviation", 4100.0),
    "BN301": of_layers("layer", 1),
    "BN302": of_layers("gap", 0.5, 0.3, noise=0.01),
    "BN303": of_layers("layer", 1),
    "BN401": of_layers("gap", 1.5, 0.3),
    "BN402": of_layers("gap", 0.2),
    "BN403": Measure("output change", 0.3),
    "BN501": of_layers("factor", 2, 2),
    "BN600": of_layers("gap", 0.8, noise=0.01),
    "BN601": Measure("gap", 2.5),
    "BN602": Measure("gap", 1.2),
    "BN603": of_layers("gap", 0.8, 0.6, noise=0.02),
    "BN604": of_layers("gap", 0.9, noise=0.1),
    "BN605": Measure("gap", 0.4, noise=0.03),
    "BN606": of_layers("share of the positions", 0.7),
    "BN607": of_layers("gap", 3.0),
    "BN608": Measure("share of the way", 0.2),
    "BN609": Measure("gap", 0.6),
    "BN610": Measure("accuracy", 0.7, worse=Worse.LOWER, noise=0.01),
    "BN611": of_layers("gap", 0.4),
    "BN612": of_layers("gap", 0.5),
    "BN701": of_layers("layer", 1),
    "BN702": of_layers("layer", 1),
    "BN703": Measure("output change", 0.2, noise=0.001),
    "BN704": of_layers("gap", 0.3),
    "BN705": Measure("model", 1),
    "BN706": of_layers("layer", 1),
    "BN707": Measure("gap", 0.4),
}


def finding_of(code: str) -> Finding:
    """A finding of that rule, as grave as it can be; of the whole model where it measures no layer by itself."""
    rule, measure = next(rule for rule in RULES if rule.code == code), MEASURES[code]
    return Finding(
        code=code,
        severity=rule.severity,
        layers=tuple(measure.layers),
        message=f"{rule.title}, it says.",
        fix="Do something.",
        measure=measure,
        evidence={"gap": 0.00001, "layers": list(measure.layers), "channels": [0], "count": 1},
    )


FAILING = [rule.code for rule in RULES if rule.severity in (ERROR, WARNING)]
REMARKS = [rule.code for rule in RULES if rule.severity == INFO]
