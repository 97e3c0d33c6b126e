"""Whether parts belong together, and what they come to together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from bncheck.errors import UsageError
from bncheck.measure.observation import Observation
from bncheck.measure.parts.options import MeasuringOptions
from bncheck.measure.parts.part import Part
from bncheck.measure.parts.problems import listed_parts
from bncheck.measure.parts.seen import observation_of
from bncheck.results import RunCost
from bncheck.vocabulary import argument
from bncheck.watch import Ledger

Parts = Mapping[str, Part]
"""Parts by the names of their files, in the order of the shards."""


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """All parts of one reading together.

    Attributes:
        first: the part of the first shard, for what is the same in all.
        parts: how many there are.
        seen: as one process would have seen it.
        cost: of all parts; the seconds are those of the slowest.
    """

    first: Part
    parts: int
    seen: Observation
    cost: RunCost


def joined(given: Parts) -> Joined:
    """The parts put together.

    Raises:
        UsageError: they are of different models, data or options, one is missing or there twice, a sample would count
            twice, or none holds a sample.
    """
    parts = dict(sorted(given.items(), key=lambda item: item[1].shard.index))
    first = next(iter(parts.values()))
    _require_alike(parts, "another model", lambda part: part.model.identity)
    _require_alike(parts, "another bncheck", lambda part: part.versions.get("bncheck"))
    _require_same_options(parts)
    _require_alike(parts, f"another {argument('amp')}", lambda part: part.typed.get("amp"))
    _require_alike(parts, "other data", lambda part: (part.data.samples, part.data.digest))
    _require_every_shard(parts)
    _require_same_layers(parts)
    seen = observation_of({name: part.seen for name, part in parts.items()}, first.options.seed)
    _require_every_sample(first, seen)
    seen.require_samples(first.data.name)
    ledger = Ledger()
    for part in parts.values():
        ledger.include(part.cost)
    return Joined(first, len(parts), seen, ledger.total())


def _require_alike(parts: Parts, of_what: str, told: Callable[[Part], Any]) -> None:
    """Refuse parts of which most are of one thing and some of another; the few are named."""
    groups: dict[Any, list[str]] = {}
    for name, part in parts.items():
        groups.setdefault(told(part), []).append(name)
    if len(groups) > 1:
        most = max(groups.values(), key=len)
        others = [name for names in groups.values() if names is not most for name in names]
        raise UsageError(
            f"{listed_parts(others)}: of {of_what} than {listed_parts(most)}. Merge parts of one model, read with the "
            "same options from the same data."
        )


def _require_same_options(parts: Parts) -> None:
    for option in fields(MeasuringOptions):
        _require_alike(parts, f"another {argument(option.name)}", partial(_option, option.name))


def _option(name: str, part: Part) -> object:
    return getattr(part.options, name)


def _require_every_shard(parts: Parts) -> None:
    counts = {part.shard.count for part in parts.values()}
    if len(counts) > 1:
        told = ", ".join(f"{name} is {part.named}" for name, part in list(parts.items())[:4])
        raise UsageError(f"The parts are of data shared out in different ways: {told}. Merge those of one sharing.")
    count, held = counts.pop(), dict[int, str]()
    for name, part in parts.items():
        other = held.setdefault(part.shard.index, name)
        if other != name:
            raise UsageError(f"{other} and {name} are both shard {part.named}: it would count twice. Leave out one.")
    missing = [f"{index + 1}/{count}" for index in range(count) if index not in held]
    if missing:
        one = "shard is" if len(missing) == 1 else "shards are"
        raise UsageError(
            f"{len(missing)} of {count} {one} missing: {listed_parts(missing)}. Write each with inspect and "
            f"{argument('shard')}, and name all parts."
        )


def _require_same_layers(parts: Parts) -> None:
    """Refuse numbers that cannot be added up; parts of one model have the same layers, unless somebody wrote them."""
    known: dict[str, tuple[str, tuple[str, int]]] = {}
    for name, part in parts.items():
        for layer, form in _forms(part):
            other, expected = known.setdefault(layer, (name, form))
            if form != expected:
                raise UsageError(f"{other} and {name} tell different things of the layer {layer}: one is damaged.")


def _forms(part: Part) -> Iterator[tuple[str, tuple[str, int]]]:
    for recorder in (part.seen.stored, *(part.seen.folds or ())):
        for call in recorder.calls:
            yield call.name, (call.layer.kind, call.layer.channels)
    for sliced in () if part.seen.slices is None else part.seen.slices.calls:
        yield sliced.name, (sliced.layer.kind, sliced.layer.channels)


def _require_every_sample(first: Part, seen: Observation) -> None:
    """Refuse parts in which samples are missing, where it is known how many there are and all were to be read."""
    limit, samples = first.options.limit, first.data.samples
    if samples is None or first.options.until:
        return
    wanted = samples if limit is None else min(limit, samples)
    held = seen.samples + seen.dropped + seen.bad
    if held != wanted:
        raise UsageError(
            f"The parts hold {held} samples, and {first.data.name} has {wanted} to read: they were not written from "
            "the same data in the same order."
        )
