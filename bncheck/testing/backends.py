"""The contract that every format keeps, checked on one file whose numbers are known."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bncheck.data import Batch
from bncheck.formats import Backend, open_any, sha256_of
from bncheck.predictions import choose_output
from bncheck.testing.numbers import LayerNumbers, ReferenceNumbers
from bncheck.watch import BATCH, STORED, CallMoments, Given, Recorder, Session, Site, Statistics

Model = str | Path | torch.nn.Module | torch.export.ExportedProgram
FloatArray = npt.NDArray[np.float64]
Moments = Callable[[LayerNumbers], tuple[FloatArray, FloatArray]]


def check_backend(model: Model, numbers: ReferenceNumbers, *, tolerance: float = 1e-5, **how: Any) -> None:
    """Assert that a model's format keeps the contract of `bncheck.formats.Backend`.

    It is checked that

    - every layer of `numbers` is listed once, with statistics, and no further one with statistics is;
    - as shipped, each layer is fed what `numbers` says, sample by sample, and the outputs are those;
    - looking at the first layer alone shows the same of it;
    - under the batch policy layers are fed, and the model gives, what `numbers` says of that;
    - by given statistics, the batch's, the model gives the same as under the batch policy, and where only the last
      layer's are given all others are fed what they are as shipped;
    - nothing of this changes the model in memory, its tensors or its files;
    - written with other statistics and opened again it is of the same format and container, holds those statistics,
      and gives what they give; all other tensors are what they were to the last bit. Models from memory are not
      written.

    Args:
        model: what `bncheck.inspect` takes.
        numbers: of the very network, see `reference_numbers`.
        tolerance: relative difference allowed, of means in standard deviations, of outputs from the largest.
        how: how it is opened: `arch`, `key`, ...

    Raises:
        AssertionError: it does not; the message says in what.

    >>> import torch
    >>> from bncheck.testing import check_backend, reference_numbers
    >>> network = torch.nn.Sequential(torch.nn.BatchNorm1d(3)).eval()
    >>> check_backend(network, reference_numbers(network, torch.randn(50, 3)))
    """
    before = _state(model)
    opened = open_any(model, **how)
    known = {name: value.clone() for name, value in opened.tensors().items()}
    files = sha256_of(*opened.files())
    _check_layers(opened, numbers)
    with opened.session("the reference numbers", 0) as session:
        _check_session(session, numbers, tolerance)
    _require(_same(known, opened.tensors()), "running it changed the model's own copy")
    if opened.origin is not None:
        _check_written(opened, numbers, tolerance, how)
    _require(_state(model) == before, "the model that was handed over was changed")
    _require(sha256_of(*opened.files()) == files, "its files were changed")


def _check_layers(opened: Backend, numbers: ReferenceNumbers) -> None:
    listed = [layer.name for layer in opened.layers if layer.has_statistics]
    wanted = [layer.name for layer in numbers.layers]
    _require(sorted(listed) == sorted(wanted), f"layers {wanted} are to be listed once each, and {listed} are")


def _check_session(session: Session, numbers: ReferenceNumbers, tolerance: float) -> None:
    batch = _batch(numbers)
    given = {layer.name: Statistics(layer.batch_mean, layer.batch_var) for layer in numbers.layers}
    stored = Recorder(per_sample=True)
    _check_outputs("as shipped", session.run(batch, STORED, stored), numbers.outputs, tolerance)
    _check_records("as shipped", stored, numbers.layers, _shipped, tolerance)
    _check_samples(stored, numbers, tolerance)
    by_batch = Recorder(per_sample=False)
    _check_outputs("by the batch", session.run(batch, BATCH, by_batch), numbers.batch_outputs, tolerance)
    _check_records("by the batch", by_batch, numbers.layers, _by_batch, tolerance)
    _check_outputs("as given", session.run(batch, Given(given), None), numbers.batch_outputs, tolerance)
    last = numbers.layers[-1].name
    moved = choose_output(session.run(batch, Given({last: given[last]}), None), None)
    _require(
        moved is not None and not np.allclose(moved.numpy(), numbers.outputs, rtol=1e-3),
        f"statistics given for {last} alone change nothing",
    )
    _check_outputs("as shipped again", session.run(batch, STORED, None), numbers.outputs, tolerance)
    looked = Recorder(per_sample=False)
    session.look(batch, looked, {Site(numbers.layers[0].name, 0)})
    _check_records("looking at the first layer", looked, numbers.layers[:1], _shipped, tolerance)


def _batch(numbers: ReferenceNumbers) -> Batch:
    return Batch(torch.from_numpy(numbers.inputs.copy()), None, len(numbers.inputs))


def _check_outputs(said: str, outputs: Any, wanted: FloatArray, tolerance: float) -> None:
    got = choose_output(outputs, None)
    if got is None:
        raise AssertionError(f"{said}: the model gives no tensor of floats")
    _check_close(f"{said}: outputs", got.numpy(), wanted, tolerance * np.abs(wanted).max())


def _check_samples(recorder: Recorder, numbers: ReferenceNumbers, tolerance: float) -> None:
    for layer in numbers.layers:
        table = recorder.by_layer()[layer.name][0].table()
        if table is None or len(table) != len(numbers.inputs):
            raise AssertionError(f"as shipped: the samples of {layer.name} cannot be told apart")
        pooled = table.pooled()
        _check_moments(
            f"as shipped, by samples: {layer.name}", pooled.mean, pooled.variance, _shipped(layer), tolerance
        )


def _check_moments(said: str, mean: Any, var: Any, wanted: tuple[FloatArray, FloatArray], tolerance: float) -> None:
    spread = np.sqrt(wanted[1])
    _check_close(f"{said}: mean", mean, wanted[0], tolerance * (spread + np.abs(wanted[0])))
    _check_close(f"{said}: variance", var, wanted[1], tolerance * (wanted[1] + wanted[1].max()))


def _check_records(
    said: str, recorder: Recorder, layers: Iterable[LayerNumbers], moments: Moments, tolerance: float
) -> None:
    records: Mapping[str, list[CallMoments]] = recorder.by_layer()
    for layer in layers:
        if len(records.get(layer.name, ())) != 1:
            raise AssertionError(f"{said}: {layer.name} was recorded {len(records.get(layer.name, ()))} times")
        found = records[layer.name][0].statistics()
        _check_moments(f"{said}: {layer.name}", found.mean, found.var, moments(layer), tolerance)


def _check_written(opened: Backend, numbers: ReferenceNumbers, tolerance: float, how: Mapping[str, Any]) -> None:
    new = {layer.name: (layer.batch_mean, layer.batch_var) for layer in numbers.layers}
    roles = ("running_mean", "running_var")
    tensors = {
        f"{name}.{role}": torch.from_numpy(value.copy())
        for name, values in new.items()
        for role, value in zip(roles, values, strict=True)
    }
    with tempfile.TemporaryDirectory(prefix="bncheck-") as folder:
        target = Path(folder) / Path(opened.path).name
        opened.write(tensors, target, beside=False)
        again = open_any(target, **how)
        _require(
            (again.format, again.container) == (opened.format, opened.container),
            f"written, it is {again.format} ({again.container}) instead of {opened.format} ({opened.container})",
        )
        for layer in (one for one in again.layers if one.name in new):
            _check_moments(f"written: {layer.name}", layer.mean, layer.var, new[layer.name], 1e-6)
        _check_rest(opened, again)
        with again.session("the reference numbers", 0) as session:
            outputs = session.run(_batch(numbers), STORED, None)
        _check_outputs("written: as shipped", outputs, numbers.batch_outputs, tolerance)


def _check_rest(opened: Backend, again: Backend) -> None:
    """All but the statistics is what it was; those are told by their old values, whatever they are called."""
    statistics = [value for layer in opened.layers for value in (layer.mean, layer.var) if value is not None]
    written = again.tensors()
    for name, old in opened.tensors().items():
        _require(name in written, f"written: {name} is gone")
        was_statistic = any(value.shape == old.shape and np.array_equal(old.numpy(), value) for value in statistics)
        _require(was_statistic or _equal(old, written[name]), f"written: {name} has changed")


def _shipped(layer: LayerNumbers) -> tuple[FloatArray, FloatArray]:
    return layer.mean, layer.var


def _by_batch(layer: LayerNumbers) -> tuple[FloatArray, FloatArray]:
    return layer.batch_mean, layer.batch_var


def _state(model: Model) -> object:
    """What of a model in memory must not change: its tensors and modes; nothing for paths."""
    if isinstance(model, str | Path):
        return None
    held: Any = model.state_dict  # of an exported program, a mapping
    held = held() if callable(held) else held
    tensors = {name: value.clone() for name, value in held.items() if isinstance(value, torch.Tensor)}
    modes = [part.training for part in model.modules()] if isinstance(model, torch.nn.Module) else []
    return [(name, value.dtype, value.cpu().numpy().tobytes()) for name, value in tensors.items()], modes


def _same(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> bool:
    return list(before) == list(after) and all(_equal(value, after[name]) for name, value in before.items())


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """To the last bit, NaN included."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return bool(((one == other) | ((one != one) & (other != other))).all())


def _check_close(what: str, got: Any, wanted: FloatArray, allowed: npt.ArrayLike) -> None:
    values = np.asarray(got, dtype=np.float64)
    _require(values.shape == wanted.shape, f"{what}: shape {values.shape} instead of {wanted.shape}")
    error = np.abs(values - wanted)
    _require(bool((error <= allowed).all()), f"{what}: off by up to {float(error.max()):.3g}")


def _require(holds: bool, said: str) -> None:
    if not holds:
        raise AssertionError(said)
