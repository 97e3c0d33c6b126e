"""The tap: one dispatch mode that sees, and may answer, every normalization call of any torch program.

Inside `torch.inference_mode()` eager modules, TorchScript, `torch.export` programs and compiled modules
all dispatch normalization through the same few operators, so no hook is needed (they raise on scripted
modules and never fire in traced ones). Nothing is written to the model: a policy answers a call by
running the operator with other statistics.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bncheck.core import INSTANCE_NORM, NormLayer, SampleMoments
from bncheck.evidence import RuntimeCheck
from bncheck.formats.folding import Fold
from bncheck.formats.programs.calls import NormCall, read_call
from bncheck.formats.programs.folds import AFFINE, fits, normalized_again
from bncheck.formats.programs.running.called import layer_of_call
from bncheck.formats.programs.runtime import compared_tensors
from bncheck.formats.programs.sites import CallSites
from bncheck.watch import (
    STORED,
    Batch,
    ByInstance,
    Given,
    MomentsElsewhere,
    Policy,
    Recorder,
    Site,
    Statistics,
    batch_moments,
    lies_elsewhere,
    positions_of,
    sample_moments,
    sent,
)

if TYPE_CHECKING:
    from bncheck.formats.programs.backend import ProgramBackend


_MOST_SENT = 4096
"""Pairs of statistics that are kept on a device for the next forward."""


class Tap(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every normalization call of `model`, records its input, and answers it by a policy.

    One tap serves all forwards of an inspection; `watching` says what it does during one of them.

    Attributes:
        raised: what the last operator that failed in this forward raised.
    """

    def __init__(self, model: ProgramBackend) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.sites = CallSites(model)
        self.without_statistics: dict[str, NormLayer] = {}
        self.running_modules: list[str] = []
        self.served: set[str] = set()
        self.unsupported: set[str] = set()
        self._layers: dict[str, NormLayer] = {}
        self._folds = model.folds
        self._policy: Policy = STORED
        self._recorder: Recorder | None = None
        self._checks: list[RuntimeCheck] | None = None
        self._samples = 0
        self._aside = False
        self._sent: dict[tuple[int, torch.device], tuple[Statistics, torch.Tensor, torch.Tensor]] = {}
        self.raised: BaseException | None = None

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: a guard against being compiled would import the compiler, which takes longer than most inspections."""
        return False

    @contextlib.contextmanager
    def watching(
        self, policy: Policy, recorder: Recorder | None, samples: int, checks: list[RuntimeCheck] | None = None
    ) -> Iterator[None]:
        """Be active for one forward of `samples` samples.

        Under `STORED`, the operators' own answers can be compared with their formula: `checks` takes the result.
        """
        self.sites.start_forward()
        self.running_modules.clear()
        self.raised = None
        self._policy, self._recorder, self._checks, self._samples = policy, recorder, checks, samples
        ended = False
        try:
            with torch.inference_mode(), _uncompiled(), self:
                yield
            ended = True
        finally:
            if recorder is not None:
                recorder.arrive(ended=ended)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Our own arithmetic within a forward, which is none of the model's."""
        self._aside = True
        try:
            yield
        finally:
            self._aside = False

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Pass every operator on but the normalizing ones, and keep what it raises: TorchScript loses the message."""
        try:
            return self._dispatched(func, args, kwargs or {})
        except BaseException as error:
            self.raised = error
            raise

    def _dispatched(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        call = None if self._aside else read_call(func, args, kwargs)
        if call is not None:
            return self._answer(call)
        if self._folds and not self._aside and (fold := self._fold_of(func, args, kwargs)) is not None:
            return self._answer_folded(fold, func._schema.name, func(*args, **kwargs))
        if func._schema.name == "aten::equal" and not all(isinstance(arg, torch.Tensor) for arg in args):
            # TorchScript's optimiser compares plain constants through the dispatcher while a mode is active.
            return args[0] == args[1]
        return func(*args, **kwargs)

    def _answer(self, call: NormCall) -> Any:
        if not call.has_statistics:
            self._note_without_statistics(call)
            return call.as_called()
        site = self.sites.locate(call, self.running_modules)
        self.served.update(self.running_modules[-1:])
        answer = self.answer_at(site, call)
        self._compare_with_float64(site, call, answer)
        return answer

    def answer_at(self, site: Site, call: NormCall) -> Any:
        """Record the call and answer it by the policy in force; a folded layer is left as it is."""
        layer = self._layer(site.layer, call)
        if layer.is_folded:
            return call.as_called()
        if lies_elsewhere(call.input):
            return self._answer_elsewhere(site, layer, call)
        measured = None
        if self._recorder is not None:
            measured = self._recorder.record(site, layer, call.input, self._samples)
        match self._policy:
            case Batch() as batch if _goes_by_batch(call):
                moments = batch.whole(site, measured or batch_moments(call.input))
                return call.with_statistics(torch.from_numpy(moments.mean), torch.from_numpy(moments.variance))
            case _:
                return self._answer_without(site, call)

    def _answer_elsewhere(self, site: Site, layer: NormLayer, call: NormCall) -> Any:
        """The same on an accelerator, which the host does not wait for: moments stay there until the forward ends."""
        by_batch = isinstance(self._policy, Batch) and _goes_by_batch(call)
        seen = self._seen_elsewhere(layer, call) if self._recorder is not None or by_batch else None
        if self._recorder is not None and seen is not None:
            self._recorder.queue(site, layer, seen, self._samples)
        match self._policy:
            case Batch(together) as batch if seen is not None and by_batch:
                if together is None:
                    return call.with_statistics(*seen.statistics())
                moments = batch.whole(site, seen.moments())
                return call.with_statistics(torch.from_numpy(moments.mean), torch.from_numpy(moments.variance))
            case _:
                return self._answer_without(site, call)

    def _seen_elsewhere(self, layer: NormLayer, call: NormCall) -> MomentsElsewhere:
        seen = call.input if self._recorder is None else self._recorder.seen_of(layer, call.input)
        return MomentsElsewhere.of(seen, positions_of(call.input))

    def _answer_without(self, site: Site, call: NormCall) -> Any:
        """The answer by a policy that needs no moments of the call's input."""
        match self._policy:
            case Batch() if call.by_input:
                return call.as_called()
            case Batch():
                return call.by_instance()
            case ByInstance(layers) if site.layer in layers:
                return call.by_instance()
            case Given() as given if (chosen := given.at(site)) is not None:
                return call.with_statistics(*self._at(call.input.device, chosen))
            case _:
                return call.as_called()

    def _at(self, device: torch.device, chosen: Statistics) -> tuple[torch.Tensor, torch.Tensor]:
        """Statistics on a device, sent there once."""
        if device.type == "cpu":
            return chosen.tensors()
        known = self._sent.get((id(chosen), device))
        if known is None:
            kind = torch.float32 if device.type == "mps" else torch.float64
            mean, var = (sent(tensor, device, kind) for tensor in chosen.tensors())
            if len(self._sent) >= _MOST_SENT:
                self._sent.clear()
            known = self._sent[id(chosen), device] = (chosen, mean, var)  # held, so that no other gets its id
        return known[1], known[2]

    def _fold_of(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Fold | None:
        """The layer that went into the operation called, if it is one that layers were folded into."""
        if func._schema.name not in AFFINE:
            return None
        tensors = (value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor))
        addresses = (tensor.data_ptr() for tensor in tensors if tensor.layout == torch.strided)
        return next((self._folds[address] for address in addresses if address in self._folds), None)

    def _answer_folded(self, fold: Fold, operator: str, output: torch.Tensor) -> torch.Tensor:
        """Record what the folded layer is fed, and answer by the policy in force."""
        if not fits(fold, operator, output):
            self.unsupported.add(fold.layer.name)
            return output
        site = self.sites.visit(fold.layer.name)
        with self.aside():
            seen = self._seen_folded(fold, output)
            moments = None
            if self._recorder is not None and seen is not None:
                moments = self._recorder.take(site, fold.layer, seen, self._samples)
            match self._policy:
                case Batch() as batch if seen is not None:
                    moments = batch.whole(site, moments or seen.pooled())
                    return normalized_again(fold, output, Statistics(moments.mean, moments.variance))
                case Given() as given if (chosen := given.at(site)) is not None:
                    return normalized_again(fold, output, chosen)
                case _:
                    return output

    def _seen_folded(self, fold: Fold, output: torch.Tensor) -> SampleMoments | None:
        """What the folded layer is fed, where anybody wants to know."""
        if self._recorder is not None:
            return fold.input_moments(self._recorder.moments_of(fold.layer, output))
        return fold.input_moments(sample_moments(output)) if isinstance(self._policy, Batch) else None

    def _compare_with_float64(self, site: Site, call: NormCall, answer: Any) -> None:
        """Check the operator's own answer, where that is wanted and the layer is not left as it is."""
        if self._checks is None or call.by_input or self._layer(site.layer, call).is_folded:
            return
        layer = layer_of_call(call, site.layer, None)  # of this very call: others of that name may hold other tensors
        output = answer[0] if isinstance(answer, tuple | list) else answer
        check = compared_tensors(site, layer, call.input, output, call.mean, call.var, call.weight, call.bias)
        if check is not None:
            self._checks.append(check)

    def _layer(self, name: str, call: NormCall) -> NormLayer:
        if name not in self._layers:
            self._layers[name] = layer_of_call(call, name, self.sites.declared(name))
        return self._layers[name]

    def _note_without_statistics(self, call: NormCall) -> None:
        """Remember a layer that has parameters but no stored statistics (LayerNorm, GroupNorm, RMSNorm)."""
        if self.sites.is_parameter(call.input):
            return  # weight standardisation: the input is a kernel, so this is no layer
        if call.weight is None and call.bias is None:
            return  # nothing names it; where a module owns it, the model has declared it
        name = self.sites.locate(call, self.running_modules).layer
        if self.sites.declared(name) is None and name not in self.without_statistics:
            self.without_statistics[name] = layer_of_call(call, name, None)


def _goes_by_batch(call: NormCall) -> bool:
    """Whether the layer, trained, would normalize by what all samples of the batch show together."""
    return not call.by_input and call.kind != INSTANCE_NORM


def _uncompiled() -> contextlib.AbstractContextManager[Any]:
    """Keep compiled code from running, where there can be any: who compiled has imported the compiler."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else contextlib.nullcontext()
