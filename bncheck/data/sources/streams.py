"""Sources that make their own batches: loaders, callables, generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, DistributedSampler

from bncheck.data.batches import Batch, Inputs, length, map_tensors, tensors
from bncheck.data.forms.conversion import inputs_and_labels, slices_in
from bncheck.data.forms.parts import left_out
from bncheck.data.forms.structure import PerSample, columns
from bncheck.data.forms.targets import labels_of_batch, number_of, unread
from bncheck.data.mixing import limited, mixed
from bncheck.data.options import DataOptions
from bncheck.data.preprocess import Preprocessing
from bncheck.data.slicing.asking import function_of, named_by, takes_batch
from bncheck.data.slicing.names import SliceNames, one_each
from bncheck.data.sources.loader import LoaderPass, refuse_non_loader
from bncheck.data.sources.samples import batches_of
from bncheck.data.sources.share import ALL, Share, asks_for_share, told_share
from bncheck.data.sources.shares import OwnBatches
from bncheck.errors import DataError
from bncheck.results import DrawnFromTheFirst, InputsLeftOut, LabelsUnread, Note, ReadByOneWorker
from bncheck.user_code import users_code
from bncheck.vocabulary import argument

_MOST_EMPTY = 1000
"""Empty batches in a row after which no more samples are waited for: a stream need not end."""


class StreamSource:
    """A source over an iterable of batches, which is iterated anew for every pass.

    Args:
        name: what errors and reports call it.
        open_loader: gives the iterable; called once per pass, with `rank` and `world_size` where it asks for both.
        options: the preprocessing, which acts on the loader's batches too.
        samples: how many samples a pass has, where that is known.
    """

    def __init__(
        self, name: str, open_loader: Callable[[], Any], options: DataOptions, samples: int | None = None
    ) -> None:
        self.name = name
        self.samples = samples
        self.own_batches = self.in_order = True
        self.hint = ""
        self._drawn_from: tuple[Note, ...] = ()
        self._left_out: tuple[str, ...] = ()
        self._unread: str | None = None
        self._workers_left = 0
        self._labelled: bool | None = None
        self._own: OwnBatches | None = None
        self.slices = SliceNames()
        function = function_of(options.by)
        self._by = function if function is not None and takes_batch(function) else None
        self._open_loader = open_loader
        self._asks = asks_for_share(open_loader)
        self._options = options
        self._preprocess = Preprocessing(options, name)
        self._room = options.memory.shuffled

    @property
    def notes(self) -> tuple[Note, ...]:
        """What the reader of a report should know of the batches, as far as they were read."""
        texts = (InputsLeftOut(self._left_out),) if self._left_out else ()
        labels = (LabelsUnread(self._unread),) if self._unread is not None else ()
        workers = (ReadByOneWorker(self._workers_left),) if self._workers_left else ()
        return (*self._drawn_from, *texts, *labels, *workers)

    def batches(self, batch_size: int, *, seed: int = 0, limit: int | None = None) -> Iterator[Batch]:
        """Batches of `batch_size` drawn at random, as far as `bncheck.data.mixing.mixed` can."""
        yield from self.shared(batch_size, seed=seed, limit=limit)[0]

    def shared(
        self, batch_size: int, *, seed: int = 0, limit: int | None = None, share: Share = ALL
    ) -> tuple[Iterator[Batch], bool]:
        """Batches drawn at random from a share of the loader's, where no others have to be read.

        A share is every n-th batch of a loader over a data set with random access, or what a function gives that asks
        for `rank` and `world_size`; samples have the numbers that they have among all. Of any other loader all is read.

        Returns:
            The batches, and whether they are of the share alone.
        """
        loader = LoaderPass(self.name, told_share(self._open_loader, share), seed, ALL if self._asks else share)
        is_share = share.count > 1 and (self._asks or loader.own is not None)
        self._own = loader.own
        read, rng = self._read(loader, share if is_share else ALL), np.random.default_rng(seed)
        limit = share.of(limit) if is_share else limit
        if limit == 0:
            return iter(()), is_share
        if loader.is_shuffled:  # its first samples are a random draw already
            drawn = mixed(limited(read, limit), batch_size, rng, room=self._room)
        else:
            drawn = mixed(read, batch_size, rng, limit, room=self._room, ends=loader.ends, goes_on=self._tell_of_more)
        return self._preprocessed(drawn), is_share

    @property
    def order(self) -> int | None:
        """What tells the order that the last reading shared out from another; `None` where none was."""
        return None if self._own is None else self._own.order

    def given_batches(
        self, batch_size: int, *, seed: int = 0, limit: int | None = None, every: int = 1
    ) -> Iterator[Batch]:
        """The loader's own batches; `batch_size` is not used."""
        loader = LoaderPass(self.name, told_share(self._open_loader, ALL), seed)
        yield from self._preprocessed(islice(limited(self._read(loader), limit), None, None, every))

    def _read(self, loader: LoaderPass, share: Share = ALL) -> Iterator[Batch]:
        read = empty = 0
        self._workers_left = loader.workers_left
        for item in loader.items():
            batch = self.batch_of(item)
            if batch.size > 0:
                self._require_labelled_alike(batch)
                first, read = read, read + batch.size
                empty = 0
                yield replace(batch, positions=_positions(first, batch.size, share, loader.own))
            else:
                empty += 1
                _positions(0, 0, share, loader.own)
            del item, batch  # or they were held while the next one is made
            if empty == _MOST_EMPTY:
                raise DataError(f"{self.name} gave {_MOST_EMPTY} batches without a sample, one after the other.")
        if not read and share.count == 1:
            raise DataError(f"{self.name} gave no samples. Is it empty, or can it be read only once?")

    def batch_of(self, item: object) -> Batch:
        """What the loader gave, as a batch; labels that no output can be judged by are left out.

        Raises:
            DataError: it is none.
        """
        if isinstance(item, Batch):  # read before
            return item.copy()
        with users_code(lambda said: DataError(f"{self.name}: reading a batch raised {said}")):
            inputs, given_labels = inputs_and_labels(item, self.name, self._options)
            slices = slices_in(item, given_labels, self.name, self._options)
            self._left_out = self._left_out or left_out(item, self._options)
        inputs = map_tensors(inputs, torch.clone)  # a model may write to its input, a loader may use its memory again
        held = [*columns(inputs), *tensors(inputs)]
        sizes = [size for one in held if (size := length(one)) is not None]
        odd = unread(given_labels, sizes[0]) if sizes else None
        self._unread = self._unread or odd
        labels = labels_of_batch(given_labels, self.name) if odd is None else None
        sizes += [] if labels is None else [len(one) for one in tensors(labels) if one.ndim]
        if not sizes:
            raise DataError(f"{self.name}: a batch without a tensor that has axes; the first axis must be the sample.")
        batch = Batch(inputs, labels, sizes[0], slices=self._slices(item, slices, sizes[0]))
        if labels is not None and not batch.is_in_step and replace(batch, targets=None).is_in_step:
            raise DataError(
                f"{self.name}: a batch of {batch.size} samples, but {number_of(labels, batch.size)}; there must be as "
                "many. The first axis is the sample."
            )
        return batch

    def _slices(self, item: object, named: object, size: int) -> torch.Tensor | None:
        """Which slice each sample belongs to, where the batch tells or the user's function does by the batch."""
        if self._by is not None:
            return named_by(self._by, (item,), size, self.slices)
        if named is None:
            return None
        return self.slices.codes(one_each(named, size, f"{self.name}: {argument('by')} {self._options.by}"))

    def _tell_of_more(self, read: int) -> None:
        self._drawn_from = (DrawnFromTheFirst(read, self.name),)

    def _require_labelled_alike(self, batch: Batch) -> None:
        """Samples without a label among others that have one would be left out of all that is said of predictions."""
        labelled = batch.targets is not None
        if self._labelled is None:
            self._labelled = labelled
        if labelled != self._labelled:
            raise DataError(
                f"{self.name}: some of its batches have labels and some have none; give all of them labels, or none."
            )

    def _preprocessed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            yield replace(batch, inputs=self._fed(batch.inputs))
            del batch

    def _fed(self, inputs: Inputs) -> Inputs:
        """The inputs preprocessed; images of several sizes that are of one now are one tensor."""
        fed = self._preprocess(inputs)
        if isinstance(fed, PerSample) and (self._options.resize or self._options.crop or self._options.preset):
            shapes = {one.shape if isinstance(one, torch.Tensor) else None for one in fed}
            return torch.stack(list(fed)) if len(shapes) == 1 and None not in shapes else fed
        return fed


def stream_source(name: str, loader: object, options: DataOptions) -> StreamSource:
    """A source over `loader`; a one-shot iterator is read to its end now, and its batches are kept in memory.

    Raises:
        DataError: it is no iterable of batches, or it raised when it was read.
    """
    with users_code(lambda said: DataError(f"{name}: the loader raised {said}")):
        given = batches_of(loader, name)
        refuse_non_loader(given, name)
        known = _known_length(given)
    if not isinstance(loader, Iterator):
        return StreamSource(name, lambda: loader, options, known)
    kept: list[Batch] = []
    source = StreamSource(name, lambda: kept, options)
    kept += [source.batch_of(item) for item in LoaderPass(name, lambda: loader, seed=0).items()]
    source.samples = sum(batch.size for batch in kept)
    return source


def _known_length(loader: object) -> int | None:
    if not isinstance(loader, DataLoader) or loader.batch_size is None or loader.drop_last:
        return None
    if isinstance(loader.sampler, DistributedSampler):  # of one share it knows, and how often that repeats samples not
        return None
    try:
        return len(loader.sampler)  # type: ignore[arg-type]  # samplers need not have a length
    except TypeError:
        return None


def _positions(first: int, size: int, share: Share, own: OwnBatches | None) -> torch.Tensor:
    """Where the samples of a batch stand among those of all shares, `first` of its own having come before."""
    if own is None:
        return torch.arange(first, first + size) * share.count + share.index
    before, asked = own.places.popleft()
    before *= max(1, -(-size // max(1, asked)))  # what puts batches together may make several samples of one
    return torch.arange(before, before + size)
