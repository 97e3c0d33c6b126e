"""Finding the model in a checkpoint: bare, or under `state_dict`, `model`, `ema` and whatever else people write."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bncheck.errors import ModelError, UsageError
from bncheck.formats.messages import listed
from bncheck.formats.state_dict.names.flat import AVERAGED, models_in, part_named
from bncheck.formats.state_dict.names.together import Together
from bncheck.results import ModelChosen, ModelsTogether, Note
from bncheck.tensors import torch
from bncheck.vocabulary import argument, with_article

_DEPTH = 3
_MOST_NAMES = 100
"""Of one object: a table that stands in each of a thousand, each a thousand times, is no checkpoint."""
_KNOWN = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "params",
    "weights",
    "net_state_dict",
    "network_state_dict",
    "weight",
)
_NOT_A_MODEL = re.compile(r"optim|sched|scaler|hyper_?param|hparams", re.IGNORECASE)
_PARAMETER_LEAVES = ("weight", "bias", "running_mean", "running_var", "gamma", "beta", "moving_mean")


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A state dict or a module inside a checkpoint; `path` is `""` where the checkpoint itself is it."""

    path: str
    content: torch.nn.Module | Mapping[str, Any]

    @property
    def is_module(self) -> bool:
        """Whether it can be run as it is."""
        return isinstance(self.content, torch.nn.Module)

    @property
    def values(self) -> Mapping[str, Any]:
        """What it holds by name."""
        return self.content.state_dict() if isinstance(self.content, torch.nn.Module) else self.content

    @property
    def paths(self) -> tuple[str, ...]:
        """Where it stands: several places, where it is several networks read together."""
        return tuple(self.content.parts) if isinstance(self.content, Together) else (self.path,)

    @property
    def is_averaged(self) -> bool:
        """Whether it is an averaged copy (EMA, SWA) by its name."""
        return AVERAGED.search(self.path) is not None


def choose(
    content: Any,
    source: str,
    *,
    key: str | None = None,
    prefer_modules: bool = True,
    fits: Callable[[Candidate], bool] | None = None,
) -> tuple[Candidate, tuple[Note, ...]]:
    """The model inside a checkpoint's content, and notes on what was chosen.

    Those that fit the architecture come before others, raw weights before averaged copies, known names before unknown.
    Where no architecture asks for one, several state dicts that are equally good are read together.

    Args:
        content: what the file held.
        source: the file's name, for messages.
        key: dotted path of the one to take.
        prefer_modules: take a whole module rather than a state dict where there are both.
        fits: whether one is of the architecture that it is to run in; asked where there are several.

    Raises:
        UsageError: `key` names nothing that is a model, or several candidates are equally good, and cannot be read
            together.
        ModelError: there is none.
    """
    candidates = _candidates(content)
    if key is not None:
        return _named(content, candidates, key, source), ()
    if not candidates:
        raise ModelError(f"{source} holds no model: {_description(content)}.")
    fitting = list(filter(fits, candidates)) if fits is not None and len(candidates) > 1 else []
    among = fitting or candidates
    ranks = [_rank(candidate, prefer_modules=prefer_modules) for candidate in among]
    best = among[ranks.index(min(ranks))]
    equal = [candidate for candidate, rank in zip(among, ranks, strict=True) if rank == min(ranks)]
    if len(equal) > 1 and fits is None and (whole := _together(equal)) is not None:
        left = [candidate for candidate in candidates if candidate not in equal]
        return whole, (ModelsTogether(whole.paths, tuple(other.path for other in left)),)
    if len(equal) > 1:
        that_fit = " that fit the architecture" if fitting else ""
        raise UsageError(
            f"{source} holds several models{that_fit}: {listed(candidate.path for candidate in among)}. "
            f"Choose one with {argument('key')}, for example {argument('key')} {best.path}."
        )
    return best, tuple(_notes(best, [other for other in candidates if other is not best]))


def others(content: Any, chosen: Candidate) -> list[Candidate]:
    """What else in the checkpoint could be a model."""
    return [candidate for candidate in _candidates(content) if candidate.path not in chosen.paths]


def _together(candidates: list[Candidate]) -> Candidate | None:
    """Several state dicts as one; `None` where one is a module, or the checkpoint itself."""
    parts = {candidate.path: candidate.content for candidate in candidates if isinstance(candidate.content, Mapping)}
    return Candidate("", Together(parts)) if len(parts) == len(candidates) and "" not in parts else None


def _candidates(content: Any) -> list[Candidate]:
    found = list(_walk("", content, 0, Counter()))
    modelled = [candidate for candidate in found if candidate.is_module or _has_parameters(candidate.content)]
    found = _each_once(modelled or found)
    # A checkpoint whose top holds a few tensors beside a whole state dict is not itself the state dict.
    largest = max((_size(candidate) for candidate in found if candidate.path), default=0)
    return [candidate for candidate in found if candidate.path or _size(candidate) >= largest]


def _each_once(candidates: list[Candidate]) -> list[Candidate]:
    """A module that several objects of the file lead to is one candidate, under its shortest path."""
    first: dict[tuple[int, bool], Candidate] = {}
    for candidate in sorted(candidates, key=lambda one: one.path.count(".")):
        first.setdefault((id(candidate.content), candidate.is_averaged), candidate)
    kept = {id(candidate) for candidate in first.values()}
    return [candidate for candidate in candidates if not candidate.is_module or id(candidate) in kept]


def _walk(path: str, content: Any, depth: int, met: Counter[int]) -> Iterator[Candidate]:
    met[id(content)] += 1
    if met[id(content)] > _MOST_NAMES:
        return
    if isinstance(content, torch.nn.Module):
        yield Candidate(path, content)
        return
    if not isinstance(content, (Mapping, list, tuple)) or "param_groups" in content:
        return
    items = content if isinstance(content, Mapping) else {str(index): item for index, item in enumerate(content[:16])}
    if isinstance(content, Mapping) and any(_is_entry(name, value) for name, value in items.items()):
        yield Candidate(path, content)
    if depth == _DEPTH:
        return
    for name, value in items.items():
        if isinstance(name, str) and not _NOT_A_MODEL.search(name):
            yield from _walk(f"{path}.{name}" if path else name, value, depth + 1, met)


def _is_entry(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, torch.Tensor)


def _has_parameters(content: Any) -> bool:
    return any(
        _is_entry(name, value) and name.rpartition(".")[2] in _PARAMETER_LEAVES for name, value in content.items()
    )


def _size(candidate: Candidate) -> float:
    if isinstance(candidate.content, torch.nn.Module):
        return math.inf
    return sum(_is_entry(name, value) for name, value in candidate.content.items())


def _rank(candidate: Candidate, *, prefer_modules: bool) -> tuple[bool, bool, float, int]:
    parts = candidate.path.split(".")
    known = min((_KNOWN.index(part) for part in parts if part in _KNOWN), default=math.inf)
    if not candidate.path:
        known = -1
    depth = len(parts) if known < math.inf else 0
    return candidate.is_averaged, candidate.is_module != prefer_modules, known, depth


def _named(content: Any, candidates: list[Candidate], key: str, source: str) -> Candidate:
    for candidate in candidates:
        if candidate.path == key:
            return candidate
    found = _follow(content, key)
    if isinstance(found, torch.nn.Module):
        return Candidate(key, found)
    if isinstance(found, Mapping) and any(_is_entry(name, value) for name, value in found.items()):
        return Candidate(key, found)
    for candidate in sorted(candidates, key=lambda one: _rank(one, prefer_modules=False)):
        if not candidate.is_module and (part := part_named(candidate.values, key)) is not None:
            return Candidate(key, part)
    paths = [candidate.path for candidate in candidates if candidate.path]
    paths += [name for candidate in candidates if not candidate.is_module for name in models_in(candidate.values)]
    offer = f"It offers {listed(paths)}." if paths else f"It holds one bare state dict: leave {argument('key')} out."
    raise UsageError(f"{argument('key')} {key}: {source} has no model under that name. {offer}")


def _follow(content: Any, key: str) -> Any:
    """What a dotted path leads to; names may hold dots themselves."""
    if not key or not isinstance(content, Mapping):
        return content if not key else None
    for name in content:
        if isinstance(name, str) and (key == name or key.startswith(f"{name}.")):
            found = _follow(content[name], key[len(name) + 1 :])
            if found is not None:
                return found
    return None


def _notes(chosen: Candidate, others: list[Candidate]) -> Iterator[Note]:
    if others or chosen.is_averaged:
        yield ModelChosen(chosen.path, tuple(other.path for other in others))


def _description(content: Any) -> str:
    if isinstance(content, torch.Tensor):
        shape = "" if content.is_nested else f" of shape {tuple(content.shape)}"
        return f"one tensor{shape}, which is data, not a model"
    if isinstance(content, Mapping):
        return f"the names at its top are {listed(content)}" if content else "it is an empty dict"
    return f"it is {with_article(type(content).__name__)}"
