"""Watching an ONNX model: sessions on copies of its graph that tell what its layers are fed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from onnx import TensorProto

from bncheck.core import Moments, NormLayer, SampleMoments
from bncheck.data import Batch
from bncheck.errors import UnreadableError, UsageError, is_out_of_memory
from bncheck.evidence import RuntimeCheck
from bncheck.formats.messages import beyond_memory
from bncheck.formats.onnx.graph import OnnxGraph
from bncheck.formats.onnx.model import OnnxBackend
from bncheck.formats.onnx.running.dialect import adapted
from bncheck.formats.onnx.running.feeds import Feeds
from bncheck.formats.onnx.running.loaded import LoadedModel, telling_line
from bncheck.formats.onnx.running.rewriting import (
    compute_types,
    with_batch_statistics,
    with_constants,
    with_given_statistics,
    with_taps,
)
from bncheck.formats.onnx.running.runtime import answerers, with_answers
from bncheck.formats.onnx.running.tap_names import (
    BATCH_TAPS,
    MEAN,
    SHAPE,
    STORED_MEAN,
    STORED_VAR,
    VARIANCE,
    tap_name,
)
from bncheck.formats.onnx.running.taps import Arrays, stored_taps
from bncheck.formats.programs.runtime import SAMPLES
from bncheck.results import Note, RuntimeNotCompared
from bncheck.vocabulary import argument
from bncheck.watch import STORED, Given, Policy, Recorder, Site, Stored
from bncheck.watch import Batch as ByBatch

_READINGS = 3
"""Runs of one batch at the most: as known, in blocks of the right length, with further channels centred."""


class OnnxSession:
    """Instrumented copies of a graph, made when first needed: by the stored, by given, and by batch statistics.

    Raises:
        ModelError: onnxruntime cannot run the model.
    """

    def __init__(self, model: OnnxBackend, source_name: str) -> None:
        self._path = model.path
        # Folded layers divide by 1 on purpose: they are left as they are, as the tap leaves them.
        described = tuple(node for node in model.graph.nodes if not node.layer.is_folded)
        run = adapted(replace(model.graph, nodes=described), model.fixed_batch, model.path)
        self.fixed_batch = run.fixed_batch
        self._graph, self._weights = run.graph, run.weights
        self.notes: list[Note] = list(run.notes)
        self.runtime: list[RuntimeCheck] = []
        self._feeds = Feeds(self._graph.inputs, f"{model.path} cannot be run on {source_name}")
        self._taps = stored_taps(self._graph.nodes)
        self._sites = _sites(self._graph)
        self._types = [_NUMPY[kind] for kind in compute_types(self._graph)]
        self._unsupported = set(model.unsupported)
        self._shapes: list[torch.Size] = []
        self._compared = False

    @property
    def found(self) -> dict[str, NormLayer]:
        """Nothing: a graph declares every layer."""
        return {}

    @property
    def unsupported(self) -> set[str]:
        """Layers in bodies of control flow, and others the file already told of."""
        return self._unsupported

    def run(self, batch: Batch, policy: Policy, recorder: Recorder | None) -> Any:
        """See `Session.run`; outputs come back by name."""
        match policy:
            case ByBatch(together) if together is not None:
                raise UsageError(
                    f"{argument('sync')} is of models that PyTorch runs: ONNX Runtime normalizes by what one process "
                    "sees. Leave it out."
                )
            case ByBatch():
                values = self._read_by_batch(batch, BATCH_TAPS if recorder else (SHAPE,))
                if recorder is not None:
                    self._record_batch(values, recorder)
            case Stored() if recorder is not None:
                values, tables = self._read_exactly(batch, range(len(self._taps)), self._graph.outputs)
                if not self._compared:
                    self._compare_with_float64(batch, tables)
                for number, table in enumerate(tables):
                    self._take(number, table, batch, recorder)
            case _:
                values = self._run(self._by_given, batch, self._statistics(policy), self._graph.outputs)
        return {name: _tensor(values[name]) for name in self._graph.outputs}

    def restrict(self, batch_size: int) -> None:
        """See `Session.restrict`."""
        self.fixed_batch = batch_size

    def look(self, batch: Batch, recorder: Recorder, sites: Collection[Site]) -> None:
        """See `Session.look`: onnxruntime runs what leads to the outputs it is asked for."""
        numbers = [number for number, site in enumerate(self._sites) if site in sites]
        _, tables = self._read_exactly(batch, numbers, ())
        for number, table in zip(numbers, tables, strict=True):
            self._take(number, table, batch, recorder)

    def _take(self, number: int, table: SampleMoments, batch: Batch, recorder: Recorder) -> None:
        tap = self._taps[number]
        seen = table if tap.fold is None else tap.fold.input_moments(table)
        recorder.take(self._sites[number], tap.layer, seen, batch.size)

    @cached_property
    def _by_stored(self) -> LoadedModel:
        # The statistics could be fed here too; as constants they let the runtime choose its faster layouts.
        return LoadedModel(with_constants(with_taps(self._graph), self._statistics(STORED)), self._path, self._weights)

    @cached_property
    def _by_given(self) -> LoadedModel:
        return LoadedModel(with_given_statistics(self._graph), self._path, self._weights)

    @cached_property
    def _by_batch(self) -> LoadedModel:
        return LoadedModel(with_batch_statistics(self._graph), self._path, self._weights)

    def _read_exactly(
        self, batch: Batch, numbers: Sequence[int], outputs: Sequence[str]
    ) -> tuple[dict[str, Any], list[SampleMoments]]:
        """Run the batch for the taps of those numbers, and again where their sums would not be exact."""
        self._note_size(batch)
        taps = [self._taps[number] for number in numbers]
        for _ in range(_READINGS):
            values: dict[str, Any] = {}  # or what the last run gave were held during this one
            names = [*outputs, *(name for tap in taps for name in tap.wanted())]
            values = self._run(self._by_stored, batch, _merged(tap.feeds() for tap in self._taps), names)
            tables = [tap.table(values) for tap in taps]
            again = [tap.refine(values, table) for tap, table in zip(taps, tables, strict=True)]
            if not any(again):
                break
        return values, tables

    def _read_by_batch(self, batch: Batch, taps: Sequence[str]) -> dict[str, Any]:
        """Run the batch by its own statistics, and again where its maps are of another size than was thought."""
        self._note_size(batch)
        blocks = [tap.blocks for tap in self._taps]
        names = [*self._graph.outputs, *(tap_name(what, number) for number in range(len(blocks)) for what in taps)]
        for _ in range(_READINGS):
            values: dict[str, Any] = {}  # or what the last run gave were held during this one
            values = self._run(self._by_batch, batch, _merged(one.feeds() for one in blocks), names)
            again = [one.refine(values) for one in blocks]
            if not any(again):
                break
        return values

    def _note_size(self, batch: Batch) -> None:
        shapes = [tensor.shape[1:] for tensor in batch.tensors]
        if shapes != self._shapes:
            for tap in self._taps:
                tap.blocks.forget_size()
            self._shapes = shapes

    def _compare_with_float64(self, batch: Batch, tables: list[SampleMoments]) -> None:
        """See `Session.runtime`: one more run, of a few samples, of the graph with its own nodes."""
        self._compared = True
        nodes = answerers(self._graph, self._sites)
        if not nodes:
            return
        few = batch.between(0, SAMPLES) if self.fixed_batch is None else batch
        further: dict[str, Any] = {}
        for node in nodes:
            table = tables[node.number]
            positions = int(table.count[0]) if len(table) else 1  # a layer may be fed no rows at all
            further |= node.positions(len(table) * few.size // batch.size, positions)
        try:
            session = LoadedModel(with_answers(self._graph, nodes), self._path, self._weights)
            values = self._run(session, few, further, [name for node in nodes for name in node.taps])
        except UnreadableError as error:
            self.notes.append(RuntimeNotCompared(telling_line(error.__cause__ or error)))
            return
        checks = (node.check(values, further) for node in nodes)
        self.runtime += [check for check in checks if check is not None]

    def _run(
        self, session: LoadedModel, batch: Batch, further: dict[str, Any], wanted: Sequence[str]
    ) -> dict[str, Any]:
        feeds = self._feeds(batch.inputs) | further
        try:
            return session.run(feeds, wanted)
        except Exception as error:
            if is_out_of_memory(error):
                raise beyond_memory(self._path, batch.size, fixed=self.fixed_batch is not None) from error
            raise self._feeds.refusal(batch.inputs, telling_line(error)) from error

    def _statistics(self, policy: Policy) -> dict[str, npt.NDArray[Any]]:
        """What every node is to normalize by: as stored, or as given for its layer."""
        feeds: dict[str, npt.NDArray[Any]] = {}
        for number, (site, tap, dtype) in enumerate(zip(self._sites, self._taps, self._types, strict=True)):
            chosen = policy.at(site) if isinstance(policy, Given) else None
            mean, var = (tap.layer.mean, tap.layer.var) if chosen is None else (chosen.mean, chosen.var)
            feeds[tap_name(STORED_MEAN, number)] = np.asarray(mean, dtype=dtype)
            feeds[tap_name(STORED_VAR, number)] = np.asarray(var, dtype=dtype)
        return feeds

    def _record_batch(self, values: Arrays, recorder: Recorder) -> None:
        for number, (site, tap) in enumerate(zip(self._sites, self._taps, strict=True)):
            count = float(math.prod(tap.blocks.size(values)))
            mean, var = (np.asarray(values[tap_name(what, number)], np.float64) for what in (MEAN, VARIANCE))
            recorder.add(site, tap.layer, Moments(count, mean, var * count))


_NUMPY: dict[int, type] = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64}


def _sites(graph: OnnxGraph) -> list[Site]:
    """Where each node stands among its layer's calls."""
    calls: Counter[str] = Counter()
    sites = []
    for node in graph.nodes:
        sites.append(Site(node.layer.name, calls[node.layer.name]))
        calls[node.layer.name] += 1
    return sites


def _merged(feeds: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: array for one in feeds for name, array in one.items()}


def _tensor(value: Any) -> Any:
    """An array as a tensor; sequences and maps, which some graphs give, as they are."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(value)
    return value
