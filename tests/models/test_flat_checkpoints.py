"""State dicts as people write them: several models in one, wrappers within names, statistics under other names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import bncheck
from bncheck.errors import ModelError, UsageError
from bncheck.repair import FineTuneOptions
from bncheck.results import ModelChosen, TensorsLeftOut

pytestmark = pytest.mark.usefixtures("without_probes")  # what is read and written is asked, not what else may be wrong

StateDict = dict[str, torch.Tensor]


class Net(nn.Module):
    """Two layers with norms, one of them in a block."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3, bias=False), nn.BatchNorm2d(4))
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.body(self.bn1(self.conv1(x)).relu()).mean((2, 3)))


def trained(seed: int) -> Net:
    """Statistics of its own, and statistics and weights that no other has."""
    torch.manual_seed(seed)
    net = Net().train()
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(16, 2, 8, 8) * 2 + 1)
    return net.eval()


FIRST, SECOND = trained(1).state_dict(), trained(2).state_dict()
STATISTICS = [f"{layer}.{role}" for layer in ("bn1", "body.1") for role in ("running_mean", "running_var")]


def under(prefix: str, values: StateDict) -> StateDict:
    return {prefix + name: value for name, value in values.items()}


def renamed(values: StateDict, *changes: tuple[str, str]) -> StateDict:
    for old, new in changes:
        values = {name.replace(old, new): value for name, value in values.items()}
    return values


def saved(values: object, folder: Path) -> Path:
    torch.save(values, folder / "model.pth")
    return folder / "model.pth"


def statistics_in(report: bncheck.Report) -> dict[str, float]:
    return {layer.name: float(layer.channels["stored_mean"][0]) for layer in report.layers}


def assert_is(path: Path, expected: StateDict, key: str | None = None) -> bncheck.Report:
    """What is run is the model whose state dict is expected, to the last output."""
    x = torch.randn(8, 2, 8, 8, generator=torch.Generator().manual_seed(4))
    net = Net()
    net.load_state_dict(expected)
    with torch.no_grad():
        y = net.eval()(x).argmax(1)
    report = bncheck.inspect(path, data=(x.repeat(8, 1, 1, 1), y.repeat(8)), arch=Net, key=key)
    assert report.effect.accuracy.stored == 1.0
    assert [layer.name for layer in report.layers] == ["bn1", "body.1"]
    return report


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        ("online_model.", "ema_model.", True),
        ("model.", "swa.", True),
        ("encoder_q.", "encoder_k.", False),
        ("q_net.", "q_net_target.", False),
    ],
)
def test_of_two_models_the_raw_one_is_taken_and_others_are_to_be_chosen(
    first: str, second: str, fits: bool, tmp_path: Path
) -> None:
    path = saved({**under(first, FIRST), **under(second, SECOND), "queue": torch.zeros(3, 4)}, tmp_path)
    if fits:
        assert_is(path, FIRST)
    else:
        with pytest.raises(UsageError, match=f"several models that fit .*: {first[:-1]}, {second[:-1]}. Choose one"):
            bncheck.inspect(path, arch=Net)
    assert_is(path, FIRST, first.removesuffix("."))
    assert_is(path, SECOND, second.removesuffix("."))
    with pytest.raises(UsageError, match=f"It offers {first[:-1]}, {second[:-1]}"):
        bncheck.inspect(path, arch=Net, key="nothing")


@pytest.mark.parametrize("other", ["ema", "target"])
def test_a_copy_beside_the_files_own_tensors_is_beside_them(other: str, tmp_path: Path) -> None:
    path = saved({**FIRST, **under(f"{other}.", SECOND)}, tmp_path)
    assert assert_is(path, FIRST).run.noted[0] == ModelChosen("", (other,))
    assert_is(path, SECOND, other)


def test_the_architecture_tells_which_of_unlike_models_is_meant(tmp_path: Path) -> None:
    other = {"0.weight": torch.ones(3, 3), "1.running_mean": torch.zeros(3), "1.running_var": torch.ones(3)}
    path = saved({"state_dict": {**under("net_G.", FIRST), **under("net_D.", other)}}, tmp_path)
    report = assert_is(path, FIRST)
    assert any("net_G" in note and "net_D" in note for note in report.run.notes)


def test_an_averaged_copy_in_underscored_names_is_a_copy(tmp_path: Path) -> None:
    averaged = {f"ema_{name.replace('.', '_')}": value for name, value in SECOND.items()}
    averaged |= {f"ema_{name.replace('.', '_')}": FIRST[name] for name in STATISTICS}
    report = assert_is(saved({**FIRST, **averaged}, tmp_path), FIRST)
    assert any(isinstance(note, TensorsLeftOut) for note in report.run.noted)


@pytest.mark.parametrize(
    ("extra", "fits"),
    [
        ({"temperature": torch.ones(1)}, True),
        ({"loss.weight": torch.ones(3)}, True),
        ({"body.2.weight": torch.ones(3)}, False),
        (
            {"bn2.weight": torch.ones(3), "bn2.running_mean": torch.zeros(3)},
            False,
        ),  # like bn1
        ({"7.weight": torch.ones(3)}, False),
    ],
)
def test_what_stands_beside_the_model_is_left_out_and_what_it_lacks_is_refused(
    extra: StateDict, fits: bool, tmp_path: Path
) -> None:
    path = saved({**FIRST, **extra}, tmp_path)
    if fits:
        assert TensorsLeftOut(tuple(extra)) in assert_is(path, FIRST).run.noted
    else:
        with pytest.raises(ModelError, match="does not fit the architecture"):
            bncheck.inspect(path, arch=Net)


def weight_normalized(apply: Callable[[nn.Module], object]) -> StateDict:
    net = Net()
    net.load_state_dict(FIRST)
    apply(net.conv1)
    return net.state_dict()


OTHER_NAMES: dict[str, StateDict] = {
    "compiled block": renamed(FIRST, ("body.", "body._orig_mod.")),
    "sharded": under("_fsdp_wrapped_module.", renamed(FIRST, ("body.", "body._fsdp_wrapped_module."))),
    "checkpointed": renamed(FIRST, ("body.", "body._checkpoint_wrapped_module.")),
    "parametrized": weight_normalized(parametrizations.weight_norm),
    "tensorflow": renamed(
        {name: value for name, value in FIRST.items() if "tracked" not in name},
        *(("running_mean", "moving_mean"), ("running_var", "moving_variance")),
        *(("bn1.weight", "bn1.gamma"), ("bn1.bias", "bn1.beta")),
    ),
    "bare": renamed(
        {name: value for name, value in FIRST.items() if "tracked" not in name},
        *(("running_mean", "mean"), ("running_var", "var"), ("bn1.weight", "bn1.scale"), ("bn1.bias", "bn1.offset")),
    ),
    "deviations": {
        name.replace("running_var", "running_std"): value.sqrt() if "running_var" in name else value
        for name, value in FIRST.items()
    },
}


@pytest.mark.parametrize("form", OTHER_NAMES)
def test_other_names_are_read_and_written_again(form: str, tmp_path: Path) -> None:
    held = OTHER_NAMES[form]
    path = saved({"state_dict": held, "epoch": 3}, tmp_path)
    assert_is(path, FIRST)
    audited = bncheck.inspect(path)
    assert len(audited.layers) == 2
    assert not [one for one in audited.findings if one.severity == "error"]
    x = torch.randn(400, 2, 8, 8, generator=torch.Generator().manual_seed(5))
    bncheck.repair_file(path, x, out=tmp_path / "new.pth", arch=Net, force=True)
    written = torch.load(tmp_path / "new.pth", weights_only=True)
    assert (list(written), list(written["state_dict"])) == (["state_dict", "epoch"], list(held))
    changed = {name for name, value in held.items() if not torch.equal(value, written["state_dict"][name])}
    assert len(changed) >= 2
    assert all(any(word in name for word in ("mean", "var", "std")) for name in changed)
    net = Net()
    net.load_state_dict(FIRST)
    again = bncheck.inspect(tmp_path / "new.pth", data=x, arch=Net)
    assert max(layer.gap for layer in again.layers) < 0.1


def test_a_weight_that_is_computed_is_not_written(tmp_path: Path) -> None:
    path = saved(OTHER_NAMES["parametrized"], tmp_path)
    x, y = torch.randn(64, 2, 8, 8), torch.randint(3, (64,))
    options = FineTuneOptions(steps=2)
    with pytest.raises(ModelError, match=r"conv1\.weight is computed from other tensors of the file"):
        bncheck.repair_file(
            path, (x, y), out=tmp_path / "new.pth", arch=Net, method="renorm", fine_tuning=options, force=True
        )
    assert not (tmp_path / "new.pth").exists()


def test_a_mean_and_a_variance_of_something_else_are_no_layer(tmp_path: Path) -> None:
    held = {"normalizer.mean": torch.zeros(3), "normalizer.var": torch.ones(3), "fc.weight": torch.ones(2, 3)}
    assert bncheck.inspect(saved(held, tmp_path)).layers == ()
