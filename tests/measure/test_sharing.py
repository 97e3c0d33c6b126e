"""One pass over the whole, and passes over shards of it in any number of processes, come to the same."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
import pytest
import torch
from sharing import PLAN, data, network, shared
from torch.utils.data import DataLoader, TensorDataset

from bncheck.api.assembling import assemble
from bncheck.core.thresholds import in_force
from bncheck.data import DataOptions, open_data
from bncheck.data.batches import Source
from bncheck.errors import DataError
from bncheck.formats import from_module
from bncheck.measure.collect import completed, measured_evidence
from bncheck.measure.folds import Folds, Halves
from bncheck.measure.observation import NO_SAMPLE, BatchPass, Observation, StoredPass
from bncheck.measure.observing import observe
from bncheck.measure.passes import Passes
from bncheck.measure.processes.portions import Shard
from bncheck.probes.case import Subject
from bncheck.probes.runner import run_probes
from bncheck.progress import no_progress
from bncheck.results.report import Run
from bncheck.rules import judge


@pytest.fixture(scope="module")
def whole() -> Observation:
    with from_module(network()).session("data", PLAN.seed) as session:
        return observe(session, data(), PLAN, no_progress)


def reported(seen: Observation) -> dict[str, Any]:
    """The report on what was seen, with the probes asked."""
    model = from_module(network())
    evidence = measured_evidence(model, seen, PLAN, source_name="data", sizes=(1, 4, 16))
    with model.session("data", PLAN.seed) as session:
        evidence = run_probes(session, Subject(model, data(), PLAN, None, no_progress), seen, evidence)
    evidence = completed(model, seen, evidence)
    run = Run("test", {}, PLAN.seed, {}, in_force(), evidence.notes)
    findings = judge(evidence)
    report = assemble(model, evidence, findings, run)
    return json.loads(json.dumps(report.to_dict()))


@pytest.fixture(scope="module")
def whole_report(whole: Observation) -> dict[str, Any]:
    return reported(whole)


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two JSON documents differ by more than 1e-10."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [found for key in one for found in differences(one[key], other[key], f"{path}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for place, pair in pairs for found in differences(*pair, f"{path}/{place}")]
    if isinstance(one, float) and isinstance(other, float):
        return [] if math.isclose(one, other, rel_tol=1e-10, abs_tol=1e-10) else [f"{path}: {one} {other}"]
    return [] if one == other else [f"{path}: {one} {other}"]


def assert_same(seen: Observation, expected: Observation) -> None:
    assert (seen.samples, seen.dropped, seen.labelled) == (expected.samples, expected.dropped, expected.labelled)
    assert seen.notes == expected.notes
    for mine, theirs in ((seen.stored, expected.stored), *zip(seen.folds, expected.folds, strict=True)):
        assert set(mine.sites) == set(theirs.sites)
        for site, calls in mine.sites.items():
            others = theirs.sites[site]
            assert calls.moments.count == others.moments.count
            np.testing.assert_allclose(calls.moments.mean, others.moments.mean, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(calls.moments.variance, others.moments.variance, rtol=1e-10)
            tables = calls.table(), others.table()
            if tables[1] is not None:
                np.testing.assert_allclose(tables[0].mean, tables[1].mean, rtol=1e-10, atol=1e-10)
    kept, known = seen.reservoir.samples(), expected.reservoir.samples()
    assert kept.positions.tolist() == known.positions.tolist()
    assert kept.inputs.equal(known.inputs)
    groups = [[group.positions.tolist() for group in one.reservoir.groups()] for one in (seen, expected)]
    assert groups[0] == groups[1]
    assert [check.layer for check in seen.session.runtime] == [check.layer for check in expected.session.runtime]
    effect, effects = seen.effect.result(), expected.effect.result()
    assert effect.accuracy == effects.accuracy
    assert (effect.predictions, effect.predictions_changed) == (effects.predictions, effects.predictions_changed)
    assert effect.changed_by_noise == effects.changed_by_noise
    assert effect.output_change == pytest.approx(effects.output_change, rel=1e-10)
    assert effect.task.score == effects.task.score
    assert effect.task.loss.gain == pytest.approx(effects.task.loss.gain, rel=1e-10)


@pytest.mark.parametrize(
    "how",
    [
        {"shards": 3},
        {"shards": 3, "backwards": True},
        pytest.param({"shards": 2, "in_processes": True}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_shards_come_to_what_the_whole_comes_to(
    whole: Observation, whole_report: dict[str, Any], how: dict[str, Any]
) -> None:
    seen = shared(**how)
    assert_same(seen, whole)
    assert differences(reported(seen), whole_report) == []


def test_the_report_finds_what_is_wrong(whole_report: dict[str, Any]) -> None:
    """Else two empty reports would be compared above."""
    assert any(finding["layers"] == ["4"] for finding in whole_report["findings"])


def folds(shard: Shard, fixed: int | None = None) -> Folds:
    return Folds(
        data(), fixed=fixed, batch_size=8, limit=None, seed=0, progress=no_progress, halves=Halves(16), shard=shard
    )


@pytest.mark.parametrize("fixed", [None, 24])
@pytest.mark.parametrize("shards", [2, 5, 40])
def test_every_pair_belongs_to_one_shard(fixed: int | None, shards: int) -> None:
    def read(shard: Shard) -> tuple[list[tuple[Any, ...]], int]:
        reader = folds(shard, fixed)
        pairs = [
            (pair.start, pair.is_large, *(half.positions.tolist() for half in pair.folds))
            for pair in reader.read("reading")
        ]
        return pairs, reader.dropped

    expected, dropped = read(Shard())
    found = [read(Shard(index, shards)) for index in range(shards)]
    assert sorted(pair for pairs, _ in found for pair in pairs) == sorted(expected)
    assert sum(left for _, left in found) == dropped == (430 % 24 if fixed else 0)


def test_a_look_ends_where_that_of_one_process_ends_whoever_left_samples_out() -> None:
    """Of 1,200 samples half are looked at closer; the numbers of those left out count, and not how many are left."""
    x = torch.randn(1200, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x[::7] = torch.nan
    plan = replace(PLAN, large_batch=40)

    def source() -> Source:
        return open_data(x, DataOptions(skip_bad_samples=True))

    def passes(data: Source, shard: Shard, session: Any) -> Passes:
        return Passes(session, data, plan, no_progress, shard=shard)

    with from_module(network()).session("data", plan.seed) as session:
        alone = observe(session, source(), plan, no_progress)
        shares = [Shard(index, 3) for index in range(3)]
        measured = reduce(BatchPass.merge, [passes(source(), one, session).batch_pass() for one in shares])
        stored = [passes(source(), one, session).stored_pass(measured) for one in shares]
    seen = Observation.of(measured, reduce(StoredPass.merge, stored), source())
    assert (seen.samples, seen.bad, seen.compared) == (alone.samples, alone.bad, alone.compared)
    assert alone.bad == 172
    assert alone.compared is not None
    assert seen.notes == alone.notes
    assert seen.folds is not None
    assert alone.folds is not None
    for mine, its in zip(seen.folds, alone.folds, strict=True):
        for site, entry in mine.sites.items():
            assert entry.moments.count == its.sites[site].moments.count
            np.testing.assert_allclose(entry.moments.mean, its.sites[site].moments.mean, atol=1e-10)


def test_processes_that_draw_different_orders_are_told() -> None:
    """A callable that seeds by its process, say: shares of two orders have samples in common, and lack others."""
    x = torch.randn(90, 1, 6, 6, dtype=torch.float64)

    def stored(index: int, seed: int) -> StoredPass:
        def loader() -> Any:
            torch.manual_seed(seed)
            return DataLoader(TensorDataset(x), batch_size=10, sampler=torch.randperm(90).tolist())

        plan = replace(PLAN, fast=True)
        with from_module(network()).session("data", plan.seed) as session:
            passes = Passes(session, open_data(loader), plan, no_progress, shard=Shard(index, 2))
            return passes.stored_pass(passes.batch_pass())

    assert stored(0, 1).merge(stored(1, 1)).samples == 90
    with pytest.raises(DataError, match="draws another order of its samples in each process"):
        stored(0, 1).merge(stored(1, 2))


def test_a_shard_without_samples_adds_nothing(whole: Observation) -> None:
    with from_module(network()).session("data", PLAN.seed) as session:
        passes = Passes(session, data(), PLAN, no_progress, shard=Shard(50, 51))
        measured = passes.batch_pass()
        stored = passes.stored_pass(measured)
    assert (measured.is_complete, stored.samples, stored.session.first) == (False, 0, NO_SAMPLE)
    with pytest.raises(DataError, match="gave no samples"):
        Observation.of(measured, stored, data())


def test_each_shard_stops_where_all_together_know_the_means_well_enough() -> None:
    plan = replace(PLAN, until=0.05)
    parts: list[BatchPass] = []
    for index in range(3):
        with from_module(network()).session("data", plan.seed) as session:
            parts.append(Passes(session, data(), plan, no_progress, shard=Shard(index, 3)).batch_pass())
    assert all(part.stop.is_reached and part.stop.error > plan.until for part in parts)
    together = parts[0].merge(parts[1]).merge(parts[2])
    assert together.stop.read == sum(sum(part.samples) for part in parts)
    assert together.stop.is_reached
    assert together.stop.error <= plan.until
    assert together.stop.error == parts[2].merge(parts[1].merge(parts[0])).stop.error
