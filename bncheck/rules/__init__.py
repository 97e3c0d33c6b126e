"""The rules: one function each, from the evidence to findings. They never see a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from bncheck.evidence import Evidence
from bncheck.results.finding import Finding
from bncheck.results.report import INFO
from bncheck.rules.absent import missing_statistics, never_updated
from bncheck.rules.catalogue import RULES, SEVERITY_ORDER
from bncheck.rules.composition import leans_on_composition
from bncheck.rules.copies import statistics_of_another
from bncheck.rules.counter import contradicting_counter, not_burnt_in
from bncheck.rules.coverage import folded_away, not_exercised, too_few_samples
from bncheck.rules.drift import above_limit, drift
from bncheck.rules.dummies import polluted
from bncheck.rules.eps import eps_decides
from bncheck.rules.half_range import out_of_half_range
from bncheck.rules.input import permuted, scaled
from bncheck.rules.invariance import depends_on_mates
from bncheck.rules.lag import dropout_before, lag
from bncheck.rules.mode import pickled_in_training, training_mode
from bncheck.rules.near_zero import near_zero_variance
from bncheck.rules.precision import cancellation, half_precision
from bncheck.rules.reference import export_differs, frozen_moved
from bncheck.rules.runtime import wrong_answers
from bncheck.rules.sampling import noisy_batches, not_exchangeable, tiny_batches
from bncheck.rules.settings import no_statistics, unlikely_momentum
from bncheck.rules.single_layers import padded, unlike_calls, wrong_alone
from bncheck.rules.updates import counted_more_often
from bncheck.rules.values import negative_variance, not_finite

JUDGES: dict[str, Callable[[Evidence], Iterable[Finding]]] = {
    "BN101": missing_statistics,
    "BN102": never_updated,
    "BN103": polluted,
    "BN104": contradicting_counter,
    "BN105": not_burnt_in,
    "BN201": not_finite,
    "BN202": negative_variance,
    "BN203": near_zero_variance,
    "BN204": out_of_half_range,
    "BN205": half_precision,
    "BN206": cancellation,
    "BN301": unlikely_momentum,
    "BN302": eps_decides,
    "BN303": no_statistics,
    "BN401": statistics_of_another,
    "BN402": frozen_moved,
    "BN403": export_differs,
    "BN501": counted_more_often,
    "BN600": above_limit,
    "BN601": scaled,
    "BN602": permuted,
    "BN603": drift,
    "BN604": unlike_calls,
    "BN605": not_exchangeable,
    "BN606": padded,
    "BN607": wrong_alone,
    "BN608": lag,
    "BN609": noisy_batches,
    "BN610": leans_on_composition,
    "BN611": dropout_before,
    "BN612": tiny_batches,
    "BN701": training_mode,
    "BN702": pickled_in_training,
    "BN703": depends_on_mates,
    "BN704": wrong_answers,
    "BN705": folded_away,
    "BN706": not_exercised,
    "BN707": too_few_samples,
}
ALL = frozenset(JUDGES)
SUPPRESSED_BY = {rule.code: rule.suppresses for rule in RULES}


def judge(evidence: Evidence, codes: Collection[str] = ALL) -> tuple[Finding, ...]:
    """Every finding of the rules `codes` that the evidence supports, one cause once, the gravest first."""
    findings = [finding for code in sorted(codes) for finding in JUDGES[code](evidence)]
    kept = [finding for finding in findings if not any(_explains(other, finding) for other in findings)]
    return tuple(sorted(kept, key=lambda finding: (SEVERITY_ORDER[finding.severity], finding.code)))


def _explains(cause: Finding, finding: Finding) -> bool:
    """Whether `cause` makes `finding` superfluous.

    A remark does not, nor does what lists no layer of this model.
    """
    of_this_model = bool(cause.layers) or "layers" not in cause.evidence
    return finding.code in SUPPRESSED_BY[cause.code] and cause.severity != INFO and of_this_model
