"""Samples that hold NaN or infinity: found when a batch is read, before anything is run on it or judged by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bncheck.data.batches import Batch, Source
from bncheck.data.mixing import limited
from bncheck.data.slicing.asking import Slicing, function_of
from bncheck.data.slicing.names import SliceColumn
from bncheck.data.sources.indexed import IndexedSource, Span
from bncheck.data.sources.share import Share
from bncheck.errors import DataError, UsageError
from bncheck.results import Note, SamplesNotFinite
from bncheck.settings import By
from bncheck.tensors import torch
from bncheck.vocabulary import argument

NAMED = 8
"""How many samples are named."""
_VALUES = 2**20
"""Values looked at together."""
_SCANNED = 256
"""Samples read at once where all that are bad are counted for a message."""


class ScreenedSource:
    """A source whose samples are looked at as they are read: what is not finite is refused, or left out and counted.

    A mask that is added to scores, of 0 and minus infinity alone, is as it should be.

    Args:
        source: the data.
        skip: leave such samples out.

    Attributes:
        slicing: which slices the samples belong to; `None` where nobody has asked.
        left_out: how many were, the most in any one reading.
        left_out_of_share: the numbers of those that were in the last reading of a share.
        is_shared: whether that read no other samples.
    """

    def __init__(self, source: Source, *, skip: bool) -> None:
        self.name, self.samples = source.name, source.samples
        self.own_batches, self.in_order = source.own_batches, source.in_order
        self.hint = source.hint
        self.left_out = 0
        self._source = source
        self._skip = skip
        self.left_out_of_share: list[int] = []
        self.is_shared = False
        self._first: tuple[int, ...] = ()
        self.slicing: Slicing | None = None

    @property
    def notes(self) -> tuple[Note, ...]:
        """The source's own, and how many samples were left out so far."""
        counted = (SamplesNotFinite(self.left_out, self._first),) if self.left_out else ()
        return (*self._source.notes, *counted)

    def sliced(self, by: By | None) -> ScreenedSource:
        """The source itself, whose samples belong to slices by that.

        Raises:
            UsageError: these data have no columns, or the function cannot be imported.
        """
        if by is None:
            return self
        function, known = function_of(by), getattr(self._source, "slices", None)
        if isinstance(known, SliceColumn):
            self.slicing = Slicing(self.name, function, known.names, known.left_out)
        elif function is None and known is None:
            raise UsageError(f"{argument('by')} {by}: {self.name} has no columns; give FILE.py:CALLABLE instead.")
        else:
            self.slicing = Slicing(self.name, function, known)
        return self

    @property
    def can_split(self) -> bool:
        """Whether the samples can be read by number, so that some can be kept apart."""
        return isinstance(self._source, IndexedSource)

    def split(self, share: float, seed: int) -> tuple[ScreenedSource, ScreenedSource]:
        """Two sources that share no sample, see `IndexedSource.split`."""
        if not isinstance(self._source, IndexedSource):
            raise TypeError(f"{self.name} cannot be split")
        rest, drawn = self._source.split(share, seed)
        return ScreenedSource(rest, skip=self._skip), ScreenedSource(drawn, skip=self._skip)

    def batches(self, batch_size: int, *, seed: int = 0, limit: int | None = None) -> Iterator[Batch]:
        """See `Source`."""
        return _kept(self._screened(lambda: self._source.batches(batch_size, seed=seed, limit=limit), drawn=limit))

    def spans(
        self, spans: Sequence[Span], *, seed: int = 0, limit: int | None = None, whole: bool = True
    ) -> Iterator[Batch | None]:
        """Of the samples as `batches` draws them those of each span, `None` where none is left; no others are read.

        Args:
            spans: numbers of samples in the reading.
            seed: of the draw.
            limit: how many are drawn.
            whole: whether these are all spans of the reading, one of which must hold a sample.
        """
        source = self._source
        if not isinstance(source, IndexedSource):
            raise TypeError(f"{self.name} cannot be read in part")
        self.left_out_of_share, self.is_shared = [], True
        held = [span for span in spans if span[0] < span[1]]
        read = self._screened(
            lambda: source.spans(held, seed=seed, limit=limit), limit, found=self.left_out_of_share, whole=whole
        )
        return (next(read) if start < stop else None for start, stop in spans)

    def shared(
        self, batch_size: int, *, seed: int = 0, limit: int | None = None, share: Share
    ) -> tuple[Iterator[Batch], bool]:
        """The batches of a share of a loader, and whether it is: some have to be read whole, and then all is given."""
        from bncheck.data.sources.streams import StreamSource  # by PyTorch's loader, as its own are

        source = self._source
        if not isinstance(source, StreamSource):
            raise TypeError(f"{self.name} is not read in order")
        read, self.is_shared = source.shared(batch_size, seed=seed, limit=limit, share=share)
        is_share, self.left_out_of_share = self.is_shared, []
        screened = self._screened(lambda: read, limit, found=self.left_out_of_share, whole=not is_share)
        return _kept(screened), is_share

    def given_batches(
        self, batch_size: int, *, seed: int = 0, limit: int | None = None, every: int = 1
    ) -> Iterator[Batch]:
        """See `Source`; a few from the beginning are the first that are not left out."""
        within = None if self._skip and every == 1 else limit
        read = _kept(
            self._screened(
                lambda: self._source.given_batches(batch_size, seed=seed, limit=within, every=every), drawn=None
            )
        )
        return limited(read, limit) if within != limit else read

    @property
    def order(self) -> int | None:
        """See `StreamSource.order`."""
        from bncheck.data.sources.streams import StreamSource

        return self._source.order if isinstance(self._source, StreamSource) else None

    def take_in(self, left_out: Sequence[int]) -> None:
        """Count what other processes left out of their shares of the data, by number."""
        self._count(sorted(left_out))

    def _screened(
        self,
        read: Callable[[], Iterator[Batch]],
        drawn: int | None,
        found: list[int] | None = None,
        *,
        whole: bool = True,
    ) -> Iterator[Batch | None]:
        """What is read, without what is left out; `None` in the place of a batch of which nothing is left."""
        found = [] if found is None else found
        passed = samples = 0
        for batch in read():
            bad, first = not_finite(batch), samples
            samples += batch.size
            if not bool(bad.any()):
                passed += batch.size
                yield batch
            elif not self._skip:
                raise DataError(self._refusal(batch, bad, first, drawn))
            else:
                found += _numbers(batch, bad, first)
                self._count(found)
                kept = batch.take(torch.nonzero(~bad).flatten()) if batch.is_in_step else None
                kept = None if kept is None or not kept.size else kept
                passed += 0 if kept is None else kept.size
                yield kept
                del kept
            del batch  # or it was held while the next one is read
        if whole and samples and not passed:
            raise all_left_out(self.name, samples)

    def _count(self, found: list[int]) -> None:
        if len(found) > self.left_out:
            self.left_out, self._first = len(found), tuple(sorted(found)[:NAMED])

    def _refusal(self, batch: Batch, bad: torch.Tensor, before: int, drawn: int | None) -> str:
        """Name the samples: all of the data's where they can be read by number, else those of this batch."""
        numbers, of = _numbers(batch, bad, before), before + batch.size
        if drawn is None and self.can_split:
            numbers, of = [], 0
            for each in self._source.given_batches(_SCANNED):
                numbers += _numbers(each, not_finite(each), of)
                of += each.size
        named = ", ".join(map(str, sorted(numbers)[:NAMED]))
        more = len(numbers) - NAMED
        shown = f"{named} and {more} more" if more > 0 else named
        which = "number" if len(numbers) == 1 else "numbers"
        holds = "holds" if len(numbers) == 1 else "hold"
        return (
            f"{self.name}: {len(numbers)} of {of} samples read {holds} NaN or infinity: {which} {shown}, counted from "
            f"0. Mend what wrote them, or leave them out with {argument('skip_bad_samples')}."
        )


def all_left_out(name: str, samples: int) -> DataError:
    """What is said where no sample is left."""
    return DataError(f"{name}: all {samples} samples read hold NaN or infinity. Look at what wrote them.")


def _kept(batches: Iterator[Batch | None]) -> Iterator[Batch]:
    return (batch for batch in batches if batch is not None)


def not_finite(batch: Batch) -> torch.Tensor:
    """Which samples hold NaN or infinity, (N,) bool; all of them where it cannot be told whose a value is."""
    bad = torch.zeros(batch.size, dtype=torch.bool)
    for tensor in batch.tensors:
        if not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        values = tensor.detach().to_dense() if tensor.layout != torch.strided else tensor.detach()
        if _are_all_finite(values):
            continue
        finite = is_finite(values)
        if _is_additive_mask(values, finite):
            continue
        if batch.is_in_step:
            bad |= ~finite.reshape(batch.size, -1).all(1).cpu()
        else:
            bad[:] = True
    return bad


def _are_all_finite(values: torch.Tensor) -> bool:
    """Whether all are, looked at in parts: PyTorch's answer takes more memory than what it is about."""
    if values.dim() == 0 or not values.numel():
        return bool(is_finite(values).all())
    return all(
        bool(is_finite(part).all()) for part in torch.split(values, max(1, _VALUES // max(1, values[0].numel())))
    )


def is_finite(values: torch.Tensor) -> torch.Tensor:
    """Which values are finite; of 8 bits too, where PyTorch has no answer of its own.

    Raises:
        DataError: they are of a type that PyTorch can only store.
    """
    try:
        return (values.to(torch.float32) if values.itemsize == 1 else values).isfinite()
    except NotImplementedError as error:
        kind = str(values.dtype).removeprefix("torch.")
        raise DataError(f"Values of type {kind} can only be stored: save them as float32.") from error


def _is_additive_mask(values: torch.Tensor, finite: torch.Tensor) -> bool:
    """Whether all that is finite is 0, and all else minus infinity."""
    if values.is_complex():
        return False
    return bool(torch.where(finite, values == 0, values == -torch.inf).all()) and bool(finite.any())


def _numbers(batch: Batch, bad: torch.Tensor, before: int) -> list[int]:
    """Where they stand in the source, or, where nobody has counted, in the reading."""
    places = torch.nonzero(bad).flatten()
    if batch.positions is None:
        return [before + place for place in places.tolist()]
    return [int(number) for number in batch.positions[places].tolist()]
