"""The copy of a model that is fine-tuned: Batch Renormalization inside, BatchNorm again at the end."""

from __future__ import annotations

import copy
import warnings

import torch
from torch import nn
from torch.fx import GraphModule
from torch.nn.modules.batchnorm import _BatchNorm

from bncheck.errors import ModelError, UsageError
from bncheck.formats import Backend, first_line, require_not_compiled, require_values, runs_operators, unwrapped
from bncheck.nn import BatchRenorm, RenormSchedule, is_frozen, to_batch_norm, to_batch_renorm
from bncheck.repair.training.programs import renormalized_program, write_variances
from bncheck.vocabulary import argument

State = dict[str, torch.Tensor]
_HALF = (torch.float16, torch.bfloat16)


class Trainee:
    """A deep copy of a module or exported program with its BatchNorm layers renormalized.

    Half-precision modules are trained in float32. Frozen BatchNorm layers stay in eval mode throughout; those
    without statistics train as they are. A module in which nothing requires gradients was loaded to be
    run: all of its parameters are trained. An exported program has its modes written into its graph, so that only
    the renormalized layers train: dropout, which exporting in eval mode took out, stays out.

    Attributes:
        given: the state that came in.
        net: what is trained.
        layers: its Batch Renormalization layers.

    Raises:
        UsageError: it is scripted, was exported in training mode, or has no layer to renormalize.
        ModelError: it cannot be copied.
    """

    def __init__(
        self, module: nn.Module, schedule: RenormSchedule, *, norm_momentum: float, train: str, device: str
    ) -> None:
        require_not_compiled(module)
        own = _copied(module).to(device)
        tensors = {name: value for name, value in own.state_dict().items() if isinstance(value, torch.Tensor)}
        self.given: State = {name: value.detach().to("cpu", copy=True) for name, value in tensors.items()}
        self._is_program = runs_operators(own)
        if not any(parameter.requires_grad for parameter in own.parameters()):
            own.requires_grad_(True)
        self._frozen: list[nn.Module] = []
        if isinstance(own, GraphModule) and self._is_program:
            self.net: nn.Module = renormalized_program(own, schedule, norm_momentum)
        else:
            if any(p.dtype in _HALF for p in own.parameters()):
                own = own.float()
            self.net = to_batch_renorm(own, momentum=norm_momentum, schedule=schedule, inplace=True)
            self._frozen = [layer for layer in self.net.modules() if _is_frozen_norm(layer, self.net)]
        self.layers = [module for module in self.net.modules() if isinstance(module, BatchRenorm)]
        if not self.layers:
            raise UsageError(
                "There is no BatchNorm layer to fine-tune with Batch Renormalization: the model has none that keeps "
                "statistics, or all of them are frozen. Frozen are layers with requires_grad=False on gamma and beta, "
                "and those in eval mode inside a module in train mode (then call .eval() on the whole)."
            )
        if train == "norm":
            self._only_norms()

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters that learn."""
        return [parameter for parameter in self.net.parameters() if parameter.requires_grad]

    def set_training(self, training: bool) -> None:
        """Switch to train or eval mode, frozen layers excepted."""
        if self._is_program:
            for layer in self.layers:
                layer.train(training)
            return
        self.net.train(training)
        for frozen in self._frozen:
            frozen.eval()

    def set_step(self, step: int) -> None:
        """Tell the layers which step of the run comes, whatever number of times they are called in one."""
        for layer in self.layers:
            layer.schedule_step.fill_(step)

    def clipped(self) -> tuple[float, float]:
        """Shares of channels whose r and whose d were clipped in the last step, over all layers."""
        shares = torch.stack([layer.clipped for layer in self.layers]).mean(0).tolist()
        return shares[0], shares[1]

    def snapshot(self) -> State:
        """Copies of everything that training changes."""
        return {name: tensor.detach().clone() for name, tensor in self._tensors().items()}

    def restore(self, snapshot: State) -> None:
        """Take the values of a snapshot."""
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(snapshot[name])

    def batch_norm_state(self) -> State:
        """The state with plain BatchNorm, under the names and in the dtypes of the model it was copied from."""
        if self._is_program:
            write_variances(self.net)
            state = self.net.state_dict()
        else:
            with warnings.catch_warnings():  # a state from before the schedule opens is no end of the training
                warnings.simplefilter("ignore", RuntimeWarning)
                state = to_batch_norm(self.net).state_dict()
        return {name: state[name].detach().to("cpu", value.dtype, copy=True) for name, value in self.given.items()}

    def _tensors(self) -> State:
        return dict(self.net.named_parameters()) | dict(self.net.named_buffers())

    def _only_norms(self) -> None:
        norms = {id(parameter) for layer in self.layers for parameter in layer.parameters()}
        for parameter in self.net.parameters():
            parameter.requires_grad_(parameter.requires_grad and id(parameter) in norms)
        if not self.parameters:
            raise UsageError(
                f"{argument('train')} norm: the BatchNorm layers have no gamma and beta to train; use "
                f"{argument('train')} all."
            )


def module_of(model: Backend | nn.Module) -> nn.Module:
    """The module to be trained.

    Raises:
        UsageError: the model is of a format that cannot be trained, or holds tensors only.
    """
    if isinstance(model, nn.Module):
        inner = unwrapped(model)
        require_values(inner)
        return inner
    return model.module()


def _copied(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module)
    except Exception as error:
        raise ModelError(
            f"The {type(module).__name__} cannot be copied ({first_line(error)}), and bncheck never trains the model "
            "it is given. Save model.state_dict() and pass the file with its architecture."
        ) from error


def _is_frozen_norm(layer: nn.Module, root: nn.Module) -> bool:
    return isinstance(layer, _BatchNorm) and layer.track_running_stats and is_frozen(layer, root)
