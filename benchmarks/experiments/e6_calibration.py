"""E6: how often does the test of a layer cry wolf, what can it see, and does the own gap find a tampered layer?"""

from __future__ import annotations

import copy
import runpy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

import bncheck
from benchmarks.experiments.drawing import band, figure
from benchmarks.experiments.experiment import Experiment, Seen, share_of
from benchmarks.experiments.training import ROOT, Drawn, Labelled, Task, digits, from_scratch
from bncheck.core import MovingAverage, SampleMoments, compare, gap_lower_bound, gap_p_value, noise_floor, rms
from bncheck.data import open_data
from bncheck.formats import from_module
from bncheck.measure.observing import observe
from bncheck.measure.passes import Plan
from bncheck.progress import no_progress
from bncheck.watch.call_moments import together

STEPS = 600
BATCH = 32
MOMENTUM = 0.1
UPDATES = 60
"""Batches behind a simulated moving average; what it started from weighs 0.2 %."""
SAMPLES = 300
"""Samples the simulated layer is measured on."""
REPETITIONS = 80
SHIFTS = (0.0, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2)
"""By how many standard deviations all stored means are moved away."""
Z = 1.96
LEVEL = 0.05
TAMPERED = ("variances x 4", "means in another order")


def one(seed: int, effort: float) -> Seen:
    """A healthy network: its layers' own samples simulate the null hypothesis, its own statistics are tampered with."""
    train, test = digits()
    build = runpy.run_path(str(ROOT / "sample_models" / "digits_net.py"))["build"]
    task = Task(train, test, build, rate=0.05, steps=share_of(STEPS, effort))
    net = from_scratch(task, Drawn(train, None, BATCH, task.steps), seed)
    populations = _populations(net, torch.cat([train[0], test[0]]))
    generator = np.random.default_rng(seed)
    repetitions = share_of(REPETITIONS, effort, least=2)
    alarms, bounds, simple, ratios = [], [], [], []
    for table, eps in populations.values():
        for _ in range(repetitions):
            replicate = _Replicate(table, eps, generator)
            alarms.append([replicate.alarm(shift) for shift in SHIFTS])
            bounds.append(replicate.bound() > 0)
            simple.append(replicate.simple_tests())
            ratios.append(rms(replicate.gap.gap) / replicate.noise)
    power = [float(100 * rate) for rate in np.mean(alarms, axis=0)]
    pixels, samples, both = (float(100 * rate) for rate in np.mean(simple, axis=0))
    found, own, stored = _tampering(net, test, effort)
    numbers = {
        "false alarms: a layer's gap (nominal 5 %)": power[0],
        "false alarms: a layer's lower bound above 0 (at most 5 %)": float(100 * np.mean(bounds)),
        "false alarms: a channel's shift against bncheck's noise (nominal 5 %)": both,
        "... taking the stored mean for exact": samples,
        "... taking pixels for independent samples, too": pixels,
        "gap of a healthy layer, in % of bncheck's noise": 100 * rms(ratios),
        f"power at a shift of {SHIFTS[4]} standard deviations": power[4],
        "tampered layer has the largest own gap": found[0],
        "tampered layer has the largest stored gap": found[1],
        "tampered inner layer is the one BN607 names": found[2],
    }
    return Seen(numbers, {"power": power, "own": own, "stored": stored})


def _populations(net: nn.Module, x: torch.Tensor) -> Mapping[str, tuple[SampleMoments, float]]:
    """What every layer is fed, image by image, with its eps."""
    with from_module(net).session("x", 0) as session:
        seen = observe(session, open_data(x), Plan(), no_progress)
    records = {name: together(calls) for name, calls in seen.stored.by_layer().items()}
    return {name: (record.table(), record.layer.eps) for name, record in records.items()}


class _Replicate:
    """Fresh samples of a population, and the moving average that training on others would have stored."""

    def __init__(self, population: SampleMoments, eps: float, generator: np.random.Generator) -> None:
        order = generator.integers(len(population), size=UPDATES * BATCH)
        means, variances = population.batches(order, BATCH)
        values = BATCH * float(population.count[0])
        self.mean, self.var = _averaged(means), _averaged(variances * values / (values - 1))
        self.table = population.take(generator.integers(len(population), size=SAMPLES))
        self.eps = eps
        self.average = MovingAverage(MOMENTUM, UPDATES, BATCH)
        self.noise = rms(noise_floor(self.table, self.var, eps, self.average))
        pooled = self.table.pooled()
        self.measured = pooled.mean, pooled.variance
        self.gap = compare(*self.measured, self.mean, self.var, eps)

    def alarm(self, shift: float) -> bool:
        """Whether the layer's gap is more than sampling shows, its stored means moved by `shift`."""
        moved = self.mean + shift * np.sqrt(self.var + self.eps)
        gap = rms(compare(*self.measured, moved, self.var, self.eps).gap)
        return gap_p_value(self.table, self.var, self.eps, gap, self.noise) < LEVEL

    def bound(self) -> float:
        """The lower bound of the layer's gap."""
        return gap_lower_bound(self.table, self.mean, self.var, self.eps, self.noise, average=self.average)

    def simple_tests(self) -> tuple[float, float, float]:
        """Share of channels whose mean is "significantly" off: by pixels, by samples, and with the average's noise."""
        measured = self.table.pooled()
        sigma = np.sqrt(self.var + self.eps)
        by_pixels = np.sqrt(measured.variance / measured.count) / sigma
        by_samples = self.table.mean.std(axis=0, ddof=1) / sigma / np.sqrt(len(self.table))
        both = by_samples * np.sqrt(1 + len(self.table) / self.average.effective_samples)
        alive = measured.variance > 1e-6
        shift = np.abs(self.gap.shift)
        return tuple(float(np.mean(shift > Z * error, where=alive)) for error in (by_pixels, by_samples, both))


def _averaged(values: np.ndarray) -> np.ndarray:
    """What momentum leaves of one row per update, started from their mean."""
    average = values.mean(axis=0)
    for value in values:
        average = average + MOMENTUM * (value - average)
    return average


def _tampering(net: nn.Module, test: Labelled, effort: float) -> tuple[list[float], list[float], list[float]]:
    """Tamper with one layer after the other.

    Returns:
        In %, how often the tampered layer has the largest own gap, the largest stored gap, and is named by BN607 (of
        layers not fed by the input alone); and the mean own and stored gap by distance from the tampered layer.
    """
    norms = [name for name, layer in net.named_modules() if isinstance(layer, nn.BatchNorm2d)]
    largest_own, largest_stored, named = [], [], []
    own: dict[int, list[float]] = {distance: [] for distance in range(1 - len(norms), len(norms))}
    stored: dict[int, list[float]] = {distance: [] for distance in own}
    for position, name in enumerate(norms[: share_of(len(norms), effort, least=2)]):
        for how in TAMPERED:
            report = bncheck.inspect(_tampered(net, name, how), test)
            gaps = {layer.name: (layer.own_gap, layer.gap) for layer in report.layers}
            largest_own.append(max(gaps, key=lambda layer: gaps[layer][0]) == name)
            largest_stored.append(max(gaps, key=lambda layer: gaps[layer][1]) == name)
            if position > 0:
                named.append(any(f.code == "BN607" and f.layers == (name,) for f in report.findings))
            for other, layer in enumerate(norms):
                own[other - position].append(gaps[layer][0])
                stored[other - position].append(gaps[layer][1])
    rates = [float(100 * np.mean(cases)) for cases in (largest_own, largest_stored, named)]
    return rates, _means(own), _means(stored)


def _means(by_distance: Mapping[int, list[float]]) -> list[float]:
    """NaN at a distance that no case had."""
    return [float(np.mean(gaps)) if gaps else float("nan") for gaps in by_distance.values()]


def _tampered(net: nn.Module, name: str, how: str) -> nn.Module:
    broken = copy.deepcopy(net)
    layer = broken.get_submodule(name)
    if how == TAMPERED[0]:
        layer.running_var.mul_(4)
    else:
        layer.running_mean.copy_(layer.running_mean.roll(3))
    return broken


def draw(seen: Sequence[Seen]) -> Figure:
    """Left the power of the layer test, right the gaps around a tampered layer."""
    drawn, (power, gaps) = figure(9.2, 3.6, "E6: what the test of a layer sees, and what the own gap finds (digits)", 2)
    band(power, SHIFTS, [one.curves["power"] for one in seen], "p < 5 %", 0)
    power.axhline(5, color="0.4", linestyle=":", linewidth=1)
    power.annotate("5 %", (SHIFTS[-1], 5), (0, 3), textcoords="offset points", ha="right", fontsize=9)
    power.set_ylim(0, 102)
    power.set_xlabel("shift of the stored means (standard deviations)")
    power.set_ylabel("layers with an alarm (%)")
    reach = len(seen[0].curves["own"]) // 2
    distances = range(-reach, reach + 1)
    for index, (name, label) in enumerate((("own", "own gap"), ("stored", "stored gap"))):
        band(gaps, distances, [one.curves[name] for one in seen], label, index)
    gaps.set_xlabel("layers after the tampered one (0: itself)")
    gaps.set_ylabel("gap (standard deviations)")
    gaps.set_ylim(bottom=0)
    gaps.legend(fontsize=9, frameon=False)
    return drawn


ON_DIGITS = Experiment("E6", "digits, six layers of the samples' network", "%", one, draw)
