"""Comparing two checkpoints: which layers' statistics moved, and which other tensors."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import numpy.typing as npt

from bncheck import __version__
from bncheck.api.opening import model_of
from bncheck.core import PRECISION, NormLayer, compare, in_force, rms
from bncheck.errors import UsageError
from bncheck.evidence import ComparedLayer, Comparison, Evidence
from bncheck.formats import Backend, best_names, compare_layers, dtype_name, plain
from bncheck.gate import Coverage, judge_findings
from bncheck.results import Difference, DifferenceSummary, EpsUnknown, LayerChange, ModelFacts, Note, Run, TensorChange
from bncheck.rules import judge
from bncheck.settings import Edge, ModelSettings, ModelSource, texts
from bncheck.tensors import HAS_TORCH, torch
from bncheck.vocabulary import Kind, argument

USUAL_EPS = 1e-5
"""Taken where neither file says (state dicts do not): PyTorch's own."""
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked", "moving_mean", "moving_var", "moving_variance")
_ROUNDED = {"float16": 6e-8, "bfloat16": 1e-40}
"""How far the smallest numbers of a type are from their neighbours."""


def diff(
    before: ModelSource,
    after: ModelSource,
    *,
    expect_frozen: Sequence[str] = (),
    key: str | None = None,
    key_after: str | None = None,
    trust_pickle: bool = False,
    allow_ops: Collection[str] = (),
) -> Difference:
    """What moved from one checkpoint to another; they may be of different formats.

    Layers and tensors are matched by name, prefixes such as `module.` or `model.` aside, layers also by gamma and
    beta. Nothing is run.

    Args:
        before: the first file, or a module.
        after: the second.
        expect_frozen: names of layers, with `*` and `?`, whose statistics must not have moved (BN402).
        key: which nested state dict of the first file; of the second too unless `key_after` is given.
        key_after: which nested state dict of the second file.
        trust_pickle: unpickle files that can run code.
        allow_ops: operators, `NAMESPACE::NAME`, that programs may call besides those that compute.

    Raises:
        UsageError: no such file or key, or no layer has a name that `expect_frozen` means.
        ModelError: a file cannot be read.
    """
    frozen = texts("expect_frozen", expect_frozen)
    typed = {"expect_frozen": list(frozen), "key": key, "key_after": key_after}
    allowed = texts("allow_ops", allow_ops)
    first = ModelSettings(before, key=key, trust_pickle=trust_pickle, allow_ops=allowed)
    second = ModelSettings(after, key=key_after or key, trust_pickle=trust_pickle, allow_ops=allowed)
    return compared(first, second, frozen, Edge("bncheck.diff", typed=typed))


@np.errstate(all="ignore")  # values out of a file may be of any size
def compared(before: ModelSettings, after: ModelSettings, expect_frozen: tuple[str, ...], edge: Edge) -> Difference:
    """The difference between the models that settings mean; see `diff`.

    Raises:
        BncheckError: as `diff`.
    """
    first, second = model_of(before), model_of(after)
    names = _names(first, second)
    pairs = list(_pairs(first.layers, second.layers, names))
    _require_layers(expect_frozen, first, second)
    layers = tuple(_change(old, new, expect_frozen) for old, new in pairs)
    tensors = tuple(_tensor_changes(first, second, names, {new.name for _, new in pairs}))
    comparison = Comparison(first.path, tuple(map(_compared, layers)), ())
    evidence = Evidence(second.layers, comparison=comparison, expect_frozen=expect_frozen)
    findings = tuple(finding.told(edge.spelling) for finding in judge(evidence, {"BN402"}))
    coverage = _coverage(first, second, layers, tensors, expect_frozen)
    verdict = judge_findings(findings, coverage)
    known_before = {change.original for change in layers} | {change.original for change in tensors}
    known_after = {change.name for change in layers} | {change.name for change in tensors}
    return Difference(
        version=__version__,
        run=Run(
            command=edge.command,
            options={name: value for name, value in (edge.typed or {}).items() if value},
            seed=0,
            versions={"bncheck": __version__, "python": platform.python_version(), **_torch_version()},
            thresholds=in_force(),
            noted=_notes(first, second, pairs),
        ),
        before=_facts(first),
        after=_facts(second),
        summary=DifferenceSummary(
            verdict=verdict.verdict,
            exit_code=verdict.exit_code,
            layers_compared=len(layers),
            layers_moved=sum(layer.moved for layer in layers),
            tensors_compared=len(tensors),
            tensors_moved=sum(tensor.moved for tensor in tensors),
        ),
        layers=layers,
        tensors=tensors,
        only_before=tuple(name for name in _all_names(first) if name not in known_before),
        only_after=tuple(name for name in _all_names(second) if name not in known_after),
        findings=findings,
    )


def _torch_version() -> dict[str, str]:
    """Of what read the files, where it is installed."""
    return {"torch": torch.__version__} if HAS_TORCH else {}


def _names(first: Backend, second: Backend) -> dict[str, str]:
    """What the layers and tensors of the second are called in the first, wrappers' prefixes exchanged."""
    return best_names(_shapes(second), _shapes(first))[0]


def _shapes(model: Backend) -> dict[str, torch.Size]:
    layers = {_of_layer(layer.name): torch.Size([layer.channels]) for layer in model.layers if layer.has_statistics}
    return layers | {name: tensor.shape for name, tensor in tensors_of(model).items()}


def _of_layer(name: str) -> str:
    return f"{name}.running_mean" if name else "running_mean"


def _pairs(
    first: Sequence[NormLayer], second: Sequence[NormLayer], names: Mapping[str, str]
) -> Iterator[tuple[NormLayer, NormLayer]]:
    """Each layer of the second with the same one of the first."""
    leaf = len(_of_layer("")) + 1
    called = {layer.name: names.get(_of_layer(layer.name), _of_layer(layer.name))[:-leaf] for layer in second}
    renamed = [replace(layer, name=called[layer.name]) for layer in second]
    found = {compared.name: compared.original for compared in compare_layers(renamed, first)}
    known = {layer.name: layer for layer in first}
    for layer, other in zip(second, renamed, strict=True):
        if other.name in found:
            yield known[found[other.name]], layer


def _require_layers(patterns: Sequence[str], first: Backend, second: Backend) -> None:
    """Refuse a pattern that means no layer: what was never looked at cannot be called frozen."""
    names = list(dict.fromkeys(layer.name for model in (first, second) for layer in model.layers))
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            close = get_close_matches(pattern.rstrip("*."), names, n=1, cutoff=0.3) or names[:1]
            example = f", like {close[0]!r}" if close else ""
            raise UsageError(
                f"{argument('expect_frozen')} {pattern}: no normalization layer has such a name. Names are those of "
                f"the layers{example}, with * for any characters."
            )


def _change(old: NormLayer, new: NormLayer, patterns: Sequence[str]) -> LayerChange:
    eps = next((layer.eps for layer in (old, new) if layer.eps is not None), USUAL_EPS)
    mean, var, other_mean, other_var = map(np.asarray, (old.mean, old.var, new.mean, new.var))
    found = compare(other_mean, other_var, mean, var, eps)
    finite = bool(np.isfinite(found.gap).all())
    moved = not (_same(mean, other_mean, old.dtype, new.dtype) and _same(var, other_var, old.dtype, new.dtype))
    return LayerChange(
        name=new.name,
        original=old.name,
        kind=Kind(new.kind),
        channels=new.channels,
        moved=moved,
        expected_frozen=any(fnmatchcase(name, pattern) for name in (old.name, new.name) for pattern in patterns),
        gap=rms(found.gap),
        gap_max=float(np.max(found.gap)),
        worst_channel=int(np.argmax(found.gap)) if finite else None,
        shift_max=float(np.max(np.abs(found.shift))),
        scale_min=float(np.min(found.scale)),
        scale_max=float(np.max(found.scale)),
        updates_before=old.updates,
        updates_after=new.updates,
    )


def _same(one: npt.NDArray[Any], other: npt.NDArray[Any], dtype: str | None, other_dtype: str | None) -> bool:
    """Whether they are equal: exactly in one type, but for its rounding in two. Broken values equal themselves."""
    if dtype == other_dtype or dtype is None or other_dtype is None:
        return bool(np.array_equal(one, other, equal_nan=True))
    coarser = max((dtype, other_dtype), key=lambda name: PRECISION.get(name, 0.0))
    rounding, smallest = PRECISION.get(coarser, 0.0), _ROUNDED.get(coarser, 0.0)
    return bool(np.allclose(one, other, rtol=rounding, atol=smallest, equal_nan=True))


def tensors_of(model: Backend) -> dict[str, torch.Tensor]:
    """Every tensor of the file by its name, complex ones left out."""
    return {name: value for name, value in model.tensors().items() if not value.is_complex()}


def _tensor_changes(
    first: Backend, second: Backend, names: Mapping[str, str], layers: set[str]
) -> Iterator[TensorChange]:
    """All tensors that both have, but for the statistics of the layers that were compared."""
    known = tensors_of(first)
    for name, tensor in tensors_of(second).items():
        module, _, leaf = name.rpartition(".")
        original = names.get(name, name)
        if original in known and not (leaf in _STATISTICS and module in layers):
            yield _tensor_change(name, original, known[original], tensor)


def _tensor_change(name: str, original: str, old: torch.Tensor, new: torch.Tensor) -> TensorChange:
    """Numerics: norms in float64; the difference of large tensors is taken in one piece, tensor by tensor."""
    shape = tuple(new.shape)
    if old.shape != new.shape:
        return TensorChange(name, original, shape, moved=True, change=None)
    one, other = (plain(tensor).to("cpu", torch.float64).numpy() for tensor in (old, new))
    if _same(one, other, dtype_name(old), dtype_name(new)):
        return TensorChange(name, original, shape, moved=False, change=0.0)
    change = np.linalg.norm((other - one).ravel()) / max(np.linalg.norm(one.ravel()), np.linalg.norm(other.ravel()))
    return TensorChange(name, original, shape, moved=True, change=float(change) if np.isfinite(change) else None)


def _compared(layer: LayerChange) -> ComparedLayer:
    return ComparedLayer(
        layer.name, layer.original, layer.gap, layer.worst_channel or 0, agrees=not layer.moved, folded=False
    )


def _coverage(
    first: Backend,
    second: Backend,
    layers: Sequence[LayerChange],
    tensors: Sequence[TensorChange],
    patterns: Sequence[str],
) -> Coverage:
    """How much was compared; tensors count only where neither file has statistics.

    Too little was, where a layer that must be frozen is in one file only, or no layer is in both: an export whose
    layers are folded away must not read as unmoved.
    """
    compared = {layer.name for layer in layers} | {layer.original for layer in layers}
    named = {layer.name for model in (first, second) for layer in model.layers if layer.expects_statistics}
    wanted = {name for name in named if any(fnmatchcase(name, pattern) for pattern in patterns)}
    whole = wanted <= compared and (bool(wanted) or not patterns)
    return Coverage(
        with_statistics=len(layers) if patterns or named else len(tensors),
        measured=None,
        conclusive=whole,
        incomplete=not whole,
    )


def _notes(first: Backend, second: Backend, pairs: Sequence[tuple[NormLayer, NormLayer]]) -> tuple[Note, ...]:
    notes = [*first.notes, *(note for note in second.notes if note not in first.notes)]
    if any(old.eps is None and new.eps is None for old, new in pairs):
        notes.append(EpsUnknown(USUAL_EPS))
    return tuple(notes)


def _all_names(model: Backend) -> Iterator[str]:
    """Layers with statistics, and the tensors that are none of theirs."""
    layers = dict.fromkeys(layer.name for layer in model.layers if layer.has_statistics)
    yield from layers
    for name in tensors_of(model):
        module, _, leaf = name.rpartition(".")
        if not (leaf in _STATISTICS and module in layers):
            yield name


def _facts(model: Backend) -> ModelFacts:
    return ModelFacts(model.path, model.sha256, model.format, len(model.layers), model.runnable)
