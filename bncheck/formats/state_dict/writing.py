"""Writing again what `torch.save` wrote: state dicts, bare or nested, and pickled modules."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bncheck.errors import ModelError
from bncheck.formats.format import Container
from bncheck.formats.messages import first_line
from bncheck.formats.pickles.reading import load_pickle
from bncheck.formats.state_dict import PLAIN_PICKLE, TAR_CHECKPOINT, ZIP_CHECKPOINT
from bncheck.formats.state_dict.nesting import choose
from bncheck.formats.state_dict.origin import TensorsOrigin
from bncheck.formats.stored_values import by_file_name, in_form_of
from bncheck.formats.torch_module.by_instance import forget_statistics
from bncheck.formats.torch_module.wrappers import unwrapped
from bncheck.results import BuildByInstance, Note
from bncheck.tensors import torch
from bncheck.vocabulary import with_article

if TYPE_CHECKING:
    from bncheck.formats.backend import Backend


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CheckpointOrigin(TensorsOrigin):
    """A file that `torch.save`, or pickle, wrote."""

    def write(
        self, model: Backend, tensors: Mapping[str, torch.Tensor], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """See `write_checkpoint`."""
        return write_checkpoint(self, tensors, target)

    def write_by_instance(
        self, model: Backend, layers: Sequence[str], target: Path, *, beside: bool
    ) -> tuple[Note, ...]:
        """Leave the statistics of these layers out of the state dict; a whole module is told to go without."""

        def change(holder: Any) -> tuple[Note, ...]:
            if isinstance(holder, torch.nn.Module):
                forget_statistics(unwrapped(holder), layers)
                return ()
            for name in self.of_statistics(layers) & set(holder):
                del holder[name]
            return (BuildByInstance(tuple(layers)),)

        return _changed(self, target, change)


def write_checkpoint(origin: CheckpointOrigin, tensors: Mapping[str, torch.Tensor], target: Path) -> tuple[Note, ...]:
    """Write the checkpoint again in the format it has; only the state dict (or module) that was opened changes.

    An averaged copy that shares tensors with it keeps the old ones. Tensors that were saved from another device
    are written as CPU tensors.
    """

    def change(holder: Any) -> tuple[Note, ...]:
        if isinstance(holder, torch.nn.Module):
            replace_in_module(unwrapped(holder), tensors)
        else:
            holder.update(by_file_name(origin.names, tensors, holder))
        return ()

    return _changed(origin, target, change)


def _changed(origin: CheckpointOrigin, target: Path, change: Callable[[Any], tuple[Note, ...]]) -> tuple[Note, ...]:
    """Read it again, change the state dict (or module) that was opened, and write it to `target`."""
    source, container = origin.path, origin.container
    if container == TAR_CHECKPOINT:
        raise ModelError(
            f"{source} is a tar archive of a PyTorch older than 0.1.10, which is not written any more. Convert it "
            "once, torch.save(torch.load(FILE, weights_only=False), NEW_FILE), and repair that."
        )
    content = load_pickle(source, container, trust_pickle=origin.trust_pickle).content
    holder = choose(content, str(source), key=origin.key)[0].content
    if not isinstance(holder, torch.nn.Module | MutableMapping):
        raise ModelError(f"{source}: its state dict is {with_article(type(holder).__name__)}, which cannot be changed.")
    notes = change(holder)
    save_checkpoint(content, target, container)
    return notes


def replace_in_module(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Put new tensors into a module that is our own, wherever in it the old ones are registered."""
    for name, new in tensors.items():
        owner, _, leaf = name.rpartition(".")
        old = getattr(module.get_submodule(owner), leaf)
        value = in_form_of(old, new, name)
        for child in module.modules():
            for registered in (child._parameters, child._buffers):
                for key in [key for key, held in registered.items() if held is old]:
                    registered[key] = value  # type: ignore[assignment]  # a Parameter where the old one is


def save_checkpoint(content: Any, target: Path, container: Container) -> None:
    """Write what a checkpoint holds to `target`, in the form that it had.

    Raises:
        ModelError: something in it cannot be pickled.
    """
    try:
        if container == PLAIN_PICKLE:
            target.write_bytes(pickle.dumps(content))
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.save(content, target, _use_new_zipfile_serialization=container == ZIP_CHECKPOINT)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        raise ModelError(f"The checkpoint cannot be written again: {first_line(error)}.") from error
