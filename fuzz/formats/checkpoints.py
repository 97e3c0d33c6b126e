"""State dicts and pickled modules: tensors and counters of every kind, nested and named anyhow, and payloads."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st

from fuzz.case import Files, Format
from fuzz.repeatable import old_form
from fuzz.samples import ARCH, Net, net, weights
from fuzz.samples import saved as sound_file
from fuzz.tensors import PAYLOADS, PLAIN, files, saved, tensors
from fuzz.values import NUMBERS, SURROGATES, TEXTS

_STATE = ["bn.running_mean", "bn.running_var", "bn.num_batches_tracked", "bn.weight", "bn.bias", "conv.weight"]
_HOLDERS = ["state_dict", "model", "net", "ema", "model_state_dict", "module", "optimizer", "a\n::error::x", "0"]


@st.composite
def _state_dicts(draw: st.DrawFn) -> Any:
    state: dict[Any, Any] = dict(weights())
    for _ in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(_STATE))
        match draw(st.sampled_from(["tensor", "tensor", "tensor", "plain", "gone", "named", "filled"])):
            case "tensor":
                state[key] = draw(tensors())
            case "filled":
                state[key] = torch.full((4,), draw(st.sampled_from([float("nan"), float("inf"), -1.0, 0.0, 1e30])))
            case "plain":
                state[key] = draw(PLAIN)
            case "gone":
                state.pop(key, None)
            case _:
                name = draw(st.one_of(TEXTS, SURROGATES, st.integers(-3, 3), st.just(None)))
                state[f"{name}.{key.split('.')[1]}" if isinstance(name, str) else name] = draw(tensors())
    return draw(_wrapped(state))


@st.composite
def _wrapped(draw: st.DrawFn, state: Any) -> Any:
    """A checkpoint around a state dict, with an optimizer that counts in odd ways, or a payload."""
    for _ in range(draw(st.sampled_from([0, 0, 1, 2, 40]))):
        state = {draw(st.sampled_from(_HOLDERS)): state}
    if draw(st.integers(0, 3)) == 0 and isinstance(state, dict):
        step = draw(st.one_of(NUMBERS, TEXTS, tensors([(), (1,), (4,)])))
        groups = draw(st.one_of(PLAIN, st.just([]), st.just([{"params": [0], "lr": 1e400}])))
        state = {**state, "optimizer": {"state": {0: {"step": step}}, "param_groups": groups}, "epoch": draw(PLAIN)}
    if draw(st.integers(0, 5)) == 0 and isinstance(state, dict):
        state = {**state, draw(st.sampled_from(["bn.running_mean", "extra"])): draw(PAYLOADS)}
    if draw(st.integers(0, 15)) == 0:
        state = draw(st.one_of(PLAIN, tensors(), PAYLOADS))
    return state


@st.composite
def _modules(draw: st.DrawFn) -> bytes:
    """A module with buffers of another kind, or settings that its class would refuse."""
    module = Net().eval()
    module.load_state_dict(net().state_dict())
    name = draw(st.sampled_from(["running_mean", "running_var", "num_batches_tracked"]))
    match draw(st.sampled_from(["buffer", "buffer", "setting", "payload"])):
        case "buffer":
            module.bn._buffers[name] = draw(st.one_of(tensors(), st.none()))
        case "setting":
            setting = draw(st.sampled_from(["eps", "momentum", "num_features", "affine", "training"]))
            setattr(module.bn, setting, draw(st.one_of(NUMBERS, TEXTS, st.none())))
        case _:
            module.payload = draw(PAYLOADS)
    return saved(module) or sound_file(net())


def _as(name: str, contents: st.SearchStrategy[bytes]) -> st.SearchStrategy[Files]:
    return contents.map(lambda content: {name: content})


def formats() -> tuple[Format, ...]:
    """State dicts, new and old, and modules."""
    sound = sound_file(weights())
    old = old_form(weights())
    nested = sound_file({"state_dict": weights(), "epoch": 3, "optimizer": {"state": {}, "param_groups": []}})
    dicts = _as("model.pth", files(_state_dicts()))
    return (
        Format("state dict", "model", "model.pth", {"model.pth": sound}, dicts, ARCH),
        Format(
            "checkpoint", "model", "model.ckpt", {"model.ckpt": nested}, _as("model.ckpt", files(_state_dicts())), ARCH
        ),
        Format("state dict, old form", "model", "model.pth", {"model.pth": old}, dicts, ARCH),
        Format("pickled module", "model", "model.pt", {"model.pt": sound_file(net())}, _as("model.pt", _modules())),
    )
