"""Fine-tuning with Batch Renormalization: for networks whose weights lean on the composition of their mini-batches."""

from __future__ import annotations

from torch import nn

from bncheck.data import Source
from bncheck.formats import Backend
from bncheck.repair.training.options import FineTuneOptions
from bncheck.repair.training.result import FineTuned, TrainingProgress, quiet
from bncheck.repair.training.run import TrainingRun

_DEFAULTS = FineTuneOptions()


def fine_tune(
    model: Backend | nn.Module,
    batches: Source,
    options: FineTuneOptions = _DEFAULTS,
    *,
    heldout: Source | None = None,
    progress: TrainingProgress = quiet,
) -> FineTuned:
    """Train a copy of `model` with Batch Renormalization on `batches` as they come, and give it back with BatchNorm.

    The batches are the point: a network that was trained on batches which are no random sample (one class
    each, one patient each, two images) is trained further on the same kind of batch, while the layers are moved
    from the batch's statistics to the averages. Afterwards it no longer depends on the batch.

    Dropout and the like are active as in any training, except in exported programs: exporting in eval mode took them
    out. r and d are closed for the first 5 % of the run and fully open from 30 %; the learning rate rises over 5 % and
    falls along a cosine. With `heldout` the best state seen is kept, the one that came in included.

    Args:
        model: what `open_model` gives, or an `nn.Module`. It is left as it is.
        batches: the training data; labels are needed by the named losses.
        options: see `FineTuneOptions`.
        heldout: data of the same kind that are not trained on.
        progress: told of every step; an exception it raises (or Ctrl-C) ends the run. With a checkpoint the same call
            then goes on from the last one written, and ends with the same numbers as a run that was not interrupted,
            provided the source gives the same batches again.

    Raises:
        UsageError: the model cannot be trained, or labels, outputs and loss do not fit together.
        DataError: the data cannot be read or do not fit the model.
        RefusedError: the run diverged; nothing is saved.

    Source: Ioffe 2017, sections 3 and 4.3 (arXiv 1702.03275).
    """
    return TrainingRun(model, batches, options, heldout, progress).result()
