"""The order of an inspection once the model and the data are open: passes, looks, questions, findings."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from bncheck.api.asking import Request
from bncheck.api.assembling import assemble, versions_of
from bncheck.api.next_step import advised
from bncheck.core import in_force
from bncheck.data import Source
from bncheck.formats import Backend
from bncheck.measure import (
    AGREEMENT_STAGE,
    COMPARING_STAGE,
    Plan,
    compare_outputs,
    completed,
    look_further,
    measured_evidence,
    observe,
    observe_training,
    static_evidence,
)
from bncheck.probes import Subject, run_probes
from bncheck.progress import Progress, Relayed, begin, foresee
from bncheck.results import Report, Run
from bncheck.rules import is_decided, judge
from bncheck.watch import CountedSession, Ledger
from bncheck.weights import FirstBatch, copies_of, predictions_of, training_input_of

FINDINGS = "findings"
"""The stage after passes and questions."""


def report_on(
    opened: Backend,
    source: Source | None,
    plan: Plan,
    how: Request,
    progress: Progress,
    *,
    not_run: str | None = None,
    reference: Backend | None = None,
    training: Source | None = None,
) -> Report:
    """The report on a model and data that are open already.

    Args:
        opened: the model.
        source: the data; `None` to audit the file alone.
        plan: how the data are read.
        how: what is judged, and how it was asked for.
        progress: told how far the passes are.
        not_run: why the model cannot be run on the data that were given.
        reference: whose outputs are to be compared with the model's.
        training: the training sampling, to tell stale statistics from other data.

    Raises:
        DataError: the data cannot be read, or do not fit the model.
        RankIsDone: this process is another than the first.
    """
    ledger, fed = Ledger(), training_input_of(opened)
    first = FirstBatch(fed, progress)
    if source is None:
        evidence = static_evidence(opened, how.judging.max_gap, not_run=not_run)
        evidence = replace(evidence, predicted=predictions_of(opened), copies=copies_of(opened))
    else:
        # A session of its own, which must end before the next begins: both watch the same program.
        sampling = None
        progress = Relayed(progress, later=(FINDINGS,) if reference is None else (AGREEMENT_STAGE, FINDINGS))
        foresee(progress, plan.stages(training=training is not None), more=not plan.fast)
        if training is not None and plan.ranks.rank == 0:
            sampling = observe_training(opened, training, plan, progress, ledger)
        name, gap = source.name, how.judging.max_gap
        evidence_of = partial(measured_evidence, opened, plan=plan, source_name=name, max_gap=gap, training=sampling)
        with opened.session(source.name, plan.seed) as watched:
            session = CountedSession(watched, ledger, first)
            seen = observe(session, source, plan, progress, ledger=ledger)
            begin(progress, COMPARING_STAGE)
            evidence = evidence_of(seen, sizes=how.batch_sizes)
            while seen.compared is not None and not is_decided(evidence, judge(evidence, how.codes)):
                seen = look_further(session, source, plan, progress, seen)
                # What-ifs are of what every sample is as shipped: another look changes none.
                evidence = replace(evidence_of(seen, sizes=()), batch_sizes=evidence.batch_sizes)
            evidence = replace(evidence, drift=None if how.earlier is None else how.earlier.drift(seen, evidence))
            if how.keep is not None:
                how.keep(seen, ledger.total())
            if not plan.fast:
                subject = Subject(opened, source, plan, training, progress, ledger, None if fed is None else fed.family)
                evidence = run_probes(session, subject, seen, evidence)
        foresee(progress, ())
        evidence = completed(opened, seen, evidence)
        if reference is not None:
            begin(progress, AGREEMENT_STAGE)
            agreement, note = compare_outputs(opened, reference, source, plan, ledger)
            evidence = replace(evidence, agreement=agreement, notes=(*evidence.notes, note))
    begin(progress, FINDINGS)
    evidence = replace(evidence, deploy_dtype=how.judging.deploy_dtype, training_planned=training is not None)
    notes = (*evidence.notes, *first.notes)
    run = Run(how.edge.command, how.options, plan.seed, versions_of(opened), in_force(), notes, how.asked)
    run = replace(run, training_input=fed, training_eps=evidence.eps, cost=None if source is None else ledger.total())
    call = replace(how.call, can_be_trained=opened.advice.can_be_trained, has_layers=opened.stored_samples is None)
    return advised(assemble(opened, evidence, judge(evidence, how.codes), run), call)
