"""What the shards of one reading come to: their files are put together and judged, without model and data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bncheck.api.asking import plan_of, request_of
from bncheck.api.assembling import assemble
from bncheck.api.next_step import advised
from bncheck.core import in_force
from bncheck.encoding import one_line
from bncheck.errors import UnreadableError, UsageError
from bncheck.extras import require_installed
from bncheck.measure import Joined, Part, completed, joined, measured_evidence, read_part
from bncheck.progress import Progress, begin, foresee, no_progress
from bncheck.results import PutTogether, Report, Run
from bncheck.rules import judge
from bncheck.settings import (
    BATCH_SIZES,
    Edge,
    InspectionSettings,
    JudgingSettings,
    ModelSettings,
    SamplingSettings,
    texts,
)
from bncheck.vocabulary import FailOn

_IN_PYTHON = Edge("bncheck.merge")
_TOGETHER = "what all parts show"


def merge(
    parts: Sequence[str | Path],
    *,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    max_gap: float | None = None,
    deploy_dtype: str | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    fail_on: str = FailOn.WARNING.value,
    strict: bool = False,
) -> Report:
    """The report that the files of all shards come to, without the model and without the data.

    Gaps, noise and intervals are those of all samples together. What takes running samples again (probes for causes,
    another look at the predictions) is not asked, and a note says so.

    Args:
        parts: files of `write_moments`, or of `inspect --write-moments`; all shards of one reading.
        batch_sizes: of the what-if table.
        max_gap: a layer above it is finding BN600.
        deploy_dtype: judge the stored values for this precision, `float16` or `bfloat16` (BN204).
        select: only these rules, codes or prefixes.
        ignore: not these rules.
        fail_on: severity from which the exit code is 1: `error`, `warning` or `never`.
        strict: exit code 4 if any layer was skipped or any sample left out.

    Raises:
        UsageError: the parts do not belong together, or a shard is missing or there twice.
        UnreadableError: a file is no part.
    """
    judging = JudgingSettings(texts("select", select), texts("ignore", ignore), max_gap, fail_on, strict, deploy_dtype)
    return merged(parts, judging, tuple(batch_sizes), _IN_PYTHON)


def merged(
    paths: Sequence[str | os.PathLike[str]],
    judging: JudgingSettings,
    sizes: tuple[int, ...],
    edge: Edge,
    progress: Progress = no_progress,
) -> Report:
    """The report on all parts together.

    Args:
        paths: of the parts.
        judging: which rules judge, and what fails.
        sizes: batch sizes of the what-ifs.
        edge: where it is asked for.
        progress: told the stages: a part each, then what they come to.

    Raises:
        UsageError: see `merge`.
        UnreadableError: see `merge`.
    """
    if isinstance(paths, str | os.PathLike) or not paths:
        raise UsageError("merge takes the files of all shards: name one or more, in a list.")
    require_installed("torch", "Putting parts together")
    parts: dict[str, Part] = {}
    foresee(progress, [*map(_reading, paths), _TOGETHER])
    for path in paths:
        if os.fspath(path) in parts:
            raise UsageError(f"{path} is named twice: it would count twice. Name it once.")
        begin(progress, _reading(path))
        parts[os.fspath(path)] = read_part(os.fspath(path))
    begin(progress, _TOGETHER)
    asked = [_settings_of(part, name, judging, sizes, edge) for name, part in parts.items()]
    return _judged(joined(parts), asked[0])


def _reading(path: str | os.PathLike[str]) -> str:
    return f"reading {one_line(os.fspath(path))}"


def _judged(whole: Joined, settings: InspectionSettings) -> Report:
    """The report on what all parts show; options that all have are those of any."""
    first, seen, judging = whole.first, whole.seen, settings.judging
    how, plan, model = request_of(settings), plan_of(settings), first.model
    evidence = measured_evidence(
        model, seen, plan, source_name=first.data.name, sizes=how.batch_sizes, max_gap=judging.max_gap
    )
    evidence = completed(model, seen, evidence)
    evidence = replace(
        evidence, deploy_dtype=judging.deploy_dtype, notes=(*evidence.notes, PutTogether(whole.parts, seen.samples))
    )
    run = Run(
        settings.edge.command,
        how.options,
        plan.seed,
        first.versions,
        in_force(),
        evidence.notes,
        how.asked,
        cost=whole.cost,
    )
    call = replace(
        how.call,
        model=how.call.model if model.sha256 is not None else None,
        can_be_trained=model.advice.can_be_trained,
    )
    return advised(assemble(model, evidence, judge(evidence, how.codes), run), call)


def _settings_of(
    part: Part, name: str, judging: JudgingSettings, sizes: tuple[int, ...], edge: Edge
) -> InspectionSettings:
    """The inspection that one process would have been asked for."""
    typed = {**part.typed, **(edge.typed or {})}
    sampling = SamplingSettings(batch_sizes=sizes)
    try:
        return InspectionSettings(
            model=ModelSettings(part.model.path, part.options.arch, key=part.options.key),
            data=part.data.name,
            reading=part.options.reading(),
            sampling=part.options.sampling(sampling.batch_sizes),
            predictions=part.options.predictions(),
            judging=judging,
            edge=replace(edge, typed=typed),
        )
    except UsageError as error:
        raise UnreadableError(f"{name} is damaged: nothing is measured with its options ({error}).") from error
