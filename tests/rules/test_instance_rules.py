"""BN613: InstanceNorm by stored statistics where each instance's own predict better, and what must not fire it."""

from __future__ import annotations

import copy
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from called import call
from digit_nets import build_digits_net, codes, only, train
from hand_built import effect, evidence, layer, measured
from safetensors.torch import load_file, save_file
from torch import nn

import bncheck
from bncheck.core.layers import BATCH_NORM, INSTANCE_NORM
from bncheck.errors import ModelError, RefusedError
from bncheck.evidence import CloserLook
from bncheck.rules import judge


def instance_net(*, tracking: bool = True) -> nn.Sequential:
    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        norm = nn.InstanceNorm2d(outputs, affine=True, track_running_stats=tracking)
        return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), norm, nn.ReLU()]

    return nn.Sequential(*block(1, 12, 1), *block(12, 24, 2), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(24, 10))


@pytest.fixture(scope="module")
def tracked(training) -> nn.Module:
    torch.manual_seed(0)
    return train(instance_net(), training, epochs=4)


def by_instance(net: nn.Module) -> nn.Module:
    other = instance_net(tracking=False)
    other.load_state_dict({name: value for name, value in net.state_dict().items() if name in other.state_dict()})
    return other.eval()


def accuracy(net: nn.Module, data) -> float:
    with torch.no_grad():
        return float((net(data[0]).argmax(1) == data[1]).float().mean())


def test_predictions_by_the_instance_are_better_and_the_layers_are_named(tracked, held_out):
    report = bncheck.inspect(tracked, held_out)
    finding = only(report, "BN613")
    assert finding.severity in ("warning", "error")
    assert finding.layers == ("1", "4")
    assert "track_running_stats=False" in finding.fix
    assert report.summary.exit_code == 1
    found = finding.evidence["score_stored"], finding.evidence["score_by_instance"]
    assert found[1] - found[0] > 0.03
    assert found[1] == pytest.approx(accuracy(by_instance(tracked), held_out), abs=0.04)
    assert (finding.cost.shipped, finding.cost.remedied) == found
    assert finding.cost.remedy == "each instance's own statistics"


def test_scripted_and_exported_layers_are_asked_too(tracked, held_out):
    batch = torch.export.Dim("batch")
    exported = torch.export.export(tracked, (held_out[0][:3],), dynamic_shapes=({0: batch},))
    for model in (torch.jit.script(copy.deepcopy(tracked)), exported):
        assert "BN613" in codes(bncheck.inspect(model, held_out))


def test_the_advice_mends_it(tracked, held_out):
    report = bncheck.inspect(by_instance(tracked), held_out)
    assert codes(report) == []


def test_without_labels_nothing_tells_which_of_the_two_is_right(tracked, held_out):
    assert "BN613" not in codes(bncheck.inspect(tracked, held_out[0]))
    assert codes(bncheck.inspect(tracked)) == []


@pytest.mark.parametrize(
    ("stored", "own", "kind", "found"),
    [
        (0.707, 0.739, INSTANCE_NORM, [("BN613", "warning")]),
        (0.30, 0.84, INSTANCE_NORM, [("BN613", "error")]),
        (0.839, 0.845, INSTANCE_NORM, []),
        (0.839, 0.707, INSTANCE_NORM, []),
        (0.707, 0.839, BATCH_NORM, []),
    ],
)
def test_only_a_sure_gain_of_instance_norms_counts(stored, own, kind, found):
    one = replace(measured(0.1), layer=replace(layer(), kind=kind))
    seen = evidence(one, closer=CloserLook(by_instance=effect(stored=stored, recalibrated=own)))
    assert [(finding.code, finding.severity) for finding in judge(seen, {"BN613"})] == found


def test_the_command_to_type_does_not_recalibrate_what_that_does_not_mend(tracked, held_out):
    report = bncheck.inspect(tracked, held_out)
    told = [finding.command for finding in report.findings] + [report.summary.next]
    assert not any(command and ("recalibrate" in command or "repair" in command) for command in told)


STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
BATCH = torch.export.Dim("batch")


def without_statistics(state: dict) -> set[str]:
    return {name for name in state if name.rpartition(".")[2] not in STATISTICS}


def written(net: nn.Module, form: str, folder: Path) -> Path:
    net, path = copy.deepcopy(net), folder / f"model.{'safetensors' if form == 'safetensors' else 'pt'}"
    if form == "safetensors":
        save_file(net.state_dict(), path)
    elif form == "index":
        save_file({"0.weight": net[0].weight.detach()}, folder / "first.safetensors")
        rest = {name: value for name, value in net.state_dict().items() if name != "0.weight"}
        save_file(rest, folder / "rest.safetensors")
        places = {"0.weight": "first.safetensors"} | dict.fromkeys(rest, "rest.safetensors")
        size = sum(value.numel() * value.element_size() for value in net.state_dict().values())
        path = folder / "model.safetensors.index.json"
        path.write_text(json.dumps({"metadata": {"total_size": size}, "weight_map": places}))
    elif form == "script":
        torch.jit.save(torch.jit.script(net), path)
    elif form == "trace":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.trace(net, torch.rand(2, 1, 8, 8)), path)
    elif form == "exported":
        path = folder / "model.pt2"
        program = torch.export.export(net, (torch.rand(3, 1, 8, 8),), dynamic_shapes=({0: BATCH},))
        torch.export.save(program, path)
    else:
        torch.save({"epoch": 3, "model": net} if form == "module" else {"model": net.state_dict()}, path)
    return path


def opened(path: Path, form: str):
    if form in ("script", "trace"):
        return torch.jit.load(path)
    if form == "exported":
        return torch.export.load(path).module()
    if form == "module":
        return torch.load(path, weights_only=False)["model"]
    state = load_file(path) if form == "safetensors" else torch.load(path, weights_only=True)["model"]
    net = instance_net(tracking=False)
    net.load_state_dict(state)  # nothing is missing, and nothing is left over
    return net.eval()


@pytest.mark.parametrize("form", ["state dict", "safetensors", "module", "script", "trace", "exported"])
def test_a_repair_writes_it_normalizing_by_instance(tracked, held_out, tmp_path, form):
    path = written(tracked, form, tmp_path)
    out = path.with_stem("out")
    how = {"arch": instance_net} if form in ("state dict", "safetensors") else {"trust_pickle": form == "module"}
    few = tuple(values[:200] for values in held_out)
    result = bncheck.repair_file(path, data=few, out=out, method="instance", **how)
    assert (result.outcome, result.judged, result.changed) == ("better", "held-out", ("1", "4"))
    assert result.exit_code == 0
    x = held_out[0][:50]
    with torch.no_grad():
        torch.testing.assert_close(opened(out, form)(x), by_instance(tracked)(x))
    score = result.comparison.score
    assert score.recalibrated == pytest.approx(accuracy(by_instance(tracked), few))
    assert any("track_running_stats=False" in note for note in result.notes) == ("arch" in how)
    assert bncheck.inspect(out, trust_pickle=form == "module").summary.verdict == "not-checked"


def test_shards_lose_the_statistics_and_their_index_counts_without(tracked, held_out, tmp_path):
    path = written(tracked, "index", tmp_path)
    bncheck.repair_file(path, data=held_out, out=tmp_path / "out", method="instance", arch=instance_net)
    index = json.loads((tmp_path / "out" / path.name).read_text())
    state = {name: load_file(tmp_path / "out" / shard)[name] for name, shard in index["weight_map"].items()}
    assert state.keys() == without_statistics(tracked.state_dict())
    size = sum(value.numel() * value.element_size() for value in state.values())
    assert index["metadata"]["total_size"] == size
    assert not any(name in load_file(tmp_path / "out" / "rest.safetensors") for name in ("1.running_mean",))


def test_the_command_of_the_finding_does_what_it_advises(tracked, held_out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tracked, "script", tmp_path)
    np.savez("val.npz", x=held_out[0].numpy(), y=held_out[1].numpy())
    report = call("inspect", "model.pt", "--data", "val.npz", "--report", "json=-").json
    command = "bncheck repair model.pt --data val.npz --method instance --out model-repaired.pt"
    assert report["summary"]["next"] == command
    done = call(*command.split()[1:])
    assert done.code == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert "made to normalize by instance" in told
    assert "left without statistics" in told
    assert "new statistics" not in told
    assert "The repaired model is better." in told
    assert call("inspect", "model-repaired.pt", "--data", "val.npz").code == 4  # nothing is stored


def test_recalibrating_is_refused_with_what_to_do_instead(tracked, held_out, tmp_path):
    path = written(tracked, "script", tmp_path)
    with pytest.raises(RefusedError, match=r"BN613 speaks of how it normalizes.*with method instance writes it"):
        bncheck.repair_file(path, data=held_out, out=tmp_path / "out.pt")


class OwnInstanceNorm(nn.Module):
    """Written by hand, so that nobody knows what it does without statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(1))
        self.register_buffer("running_var", torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.instance_norm(x, self.running_mean, self.running_var, use_input_stats=False)


def own_net() -> nn.Sequential:
    return nn.Sequential(OwnInstanceNorm(), nn.Flatten(), nn.Linear(64, 10)).eval()


def test_a_class_of_ones_own_is_refused_with_what_to_change(held_out, tmp_path):
    torch.save(own_net().state_dict(), tmp_path / "model.pt")
    with pytest.raises(ModelError, match=r"0 is an OwnInstanceNorm.*build it to normalize by instance"):
        bncheck.repair_file(
            tmp_path / "model.pt",
            held_out,
            out=tmp_path / "out.pt",
            method="instance",
            arch=own_net,
            force=True,
        )
    assert not (tmp_path / "out.pt").exists()


def test_a_program_that_calls_another_operator_is_refused_with_what_to_build(tracked, held_out, tmp_path):
    program = torch.export.export(tracked, (held_out[0][:20],)).run_decompositions()
    torch.export.save(program, tmp_path / "model.pt2")
    with pytest.raises(ModelError, match="Build 1, 4 with track_running_stats=False, load the checkpoint without"):
        bncheck.repair_file(tmp_path / "model.pt2", data=held_out[0][:40], out=tmp_path / "out.pt2", method="instance")
    assert not (tmp_path / "out.pt2").exists()


def test_without_such_layers_there_is_nothing_to_repair(healthy, held_out, tmp_path):
    torch.save(healthy.state_dict(), tmp_path / "model.pt")
    how = {"data": held_out, "arch": build_digits_net, "method": "instance"}
    result = bncheck.repair_file(tmp_path / "model.pt", out=tmp_path / "out.pt", **how)
    assert (result.outcome, result.exit_code) == ("nothing-to-repair", 4)
    assert "No InstanceNorm of this model stores statistics" in result.notes[-1]


def test_what_serves_better_by_stored_values_is_not_written(tracked, held_out, tmp_path):
    """The near miss: a net trained to normalize by one set of values."""
    by_stored = copy.deepcopy(tracked)
    x, _ = held_out
    with torch.no_grad():
        by_stored[0].weight.mul_(torch.linspace(0.2, 3, 12).reshape(-1, 1, 1, 1))
    labels = by_stored(x).argmax(1)
    torch.jit.save(torch.jit.script(by_stored), tmp_path / "model.pt")
    result = bncheck.repair_file(tmp_path / "model.pt", data=(x, labels), out=tmp_path / "out.pt", method="instance")
    assert (result.outcome, result.path, result.exit_code) == ("worse", None, 1)
