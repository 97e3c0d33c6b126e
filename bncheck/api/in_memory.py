"""Recalibrating a module in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch

from bncheck.data import DataOptions, Source, open_data
from bncheck.errors import UsageError
from bncheck.formats import copied, from_module, put_into, unwrapped
from bncheck.measure import Plan
from bncheck.progress import Progress, no_progress
from bncheck.repair import measure, tensors_of
from bncheck.settings import BATCH_SIZE, DEVICE, SEED, UNTIL_OF_REPAIR, DataSettings, SamplingSettings, device_name
from bncheck.vocabulary import with_article

Module = TypeVar("Module", bound=torch.nn.Module)


def recalibrate(
    module: Module,
    data: Any,
    *,
    until: float = UNTIL_OF_REPAIR,
    batch_size: int = BATCH_SIZE,
    limit: int | None = None,
    seed: int = SEED,
    device: str = DEVICE,
    data_options: DataOptions | None = None,
    progress: Progress = no_progress,
) -> Module:
    """A copy of `module` whose normalization layers hold the statistics of `data`.

    The module given is left exactly as it is; in the copy nothing differs but running means and variances (also
    not `num_batches_tracked`, nor the mode it is in). Layers that the data do not reach keep theirs. This proves
    nothing: `bncheck.repair` does, and `bncheck.inspect` on the copy.

    Args:
        module: an `nn.Module`, also scripted, traced, compiled or wrapped in DataParallel.
        data: a path, an array (N, C, ...), a pair (x, y) or an iterable of batches.
        until: stop reading once every layer's mean is known so well, in standard deviations; 0 reads everything.
        batch_size: samples in a forward that does not have to be large.
        limit: draw so many samples at random.
        seed: of every draw.
        device: where to run bncheck's own copy; the copy that is returned stays where `module` is.
        data_options: preprocessing of images.
        progress: called with what is being done, how many samples are done, and of how many; see `bncheck.inspect`.

    Numerics: pooled population variance (divisor n), float64, Chan's merge; see `bncheck.repair.measuring`.

    Raises:
        UsageError: it is no module, or has no layer that stores statistics and is reached by the data.
        ModelError: the module cannot be copied.
        DataError: the data cannot be read, do not fit the module, or are not finite.

    >>> import torch, bncheck
    >>> stale = torch.nn.Sequential(torch.nn.BatchNorm1d(3)).eval()
    >>> fresh = bncheck.recalibrate(stale, 5 + torch.randn(400, 3))
    >>> stale[0].running_mean.tolist(), fresh[0].running_mean.round().tolist()
    ([0.0, 0.0, 0.0], [5.0, 5.0, 5.0])
    """
    if not isinstance(module, torch.nn.Module):
        raise UsageError(
            f"recalibrate takes an nn.Module, not {with_article(type(module).__name__)}; for files: bncheck.repair."
        )
    sampling = SamplingSettings(batch_size, limit, until, seed)
    place = device_name("device", device)
    source = open_data(data, data_options or DataSettings())
    plan = Plan(sampling.batch_size, sampling.limit, sampling.seed)
    found = statistics_of(module, source, plan, until=sampling.until, device=place, progress=progress)
    fresh = copied(module)
    store(fresh, found)
    return fresh


def statistics_of(
    module: torch.nn.Module,
    source: Source,
    plan: Plan,
    *,
    until: float = UNTIL_OF_REPAIR,
    device: str = DEVICE,
    progress: Progress = no_progress,
) -> dict[str, torch.Tensor]:
    """The running means and variances that recalibrating `module` on `source` stores, by their names in it.

    Numerics: see `bncheck.repair.measuring`.

    Raises:
        UsageError: the module has no layer that stores statistics and is reached by the data.
        ModelError: the module cannot be copied.
        DataError: the data cannot be read, do not fit the module, or are not finite.
    """
    model = from_module(module, device=device)
    measured = measure(model, source, plan, until, progress)
    if not measured.whole:
        reasons = (*(reason.words for reason in measured.kept.values()), *(note.sentence for note in measured.notes))
        kept = "; ".join(dict.fromkeys(reasons))
        raise UsageError(f"There is nothing to recalibrate in {model.path}{f': {kept}' if kept else ''}.")
    return tensors_of(model, measured.whole)


def store(module: torch.nn.Module, statistics: Mapping[str, torch.Tensor]) -> None:
    """Write `statistics`, named as `statistics_of` names them, into `module` itself."""
    inner = unwrapped(module)
    own = dict(inner.named_buffers(remove_duplicate=False)) | dict(inner.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for name, value in statistics.items():
            put_into(own[name], value, name)
