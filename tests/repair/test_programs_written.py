"""Programs repaired: TorchScript and `torch.export` archives run as before, by new statistics."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from repair_nets import Net, assert_rest_unchanged, assert_statistics, bytes_of, expected_statistics, images, stale_net
from torch import nn

import bncheck
from bncheck.errors import ModelError
from bncheck.formats.recognition.recognise import recognise

pytestmark = pytest.mark.usefixtures("without_probes")  # what is written does not hang on them

X = torch.from_numpy(images())
EXTRA = {"classes.json": '["a", "b", "c"]'}


def scripted(net: nn.Module, path: Path) -> None:
    torch.jit.script(net).save(str(path), _extra_files=EXTRA)


def traced(net: nn.Module, path: Path) -> None:
    torch.jit.trace(net, X[:3]).save(str(path), _extra_files=EXTRA)


def exported(net: nn.Module, path: Path) -> None:
    shapes = ({0: torch.export.Dim("batch", min=1)},)
    torch.export.save(torch.export.export(net, (X[:3],), dynamic_shapes=shapes), path, extra_files=EXTRA)


def decomposed(net: nn.Module, path: Path) -> None:
    shapes = ({0: torch.export.Dim("batch", min=1)},)
    program = torch.export.export(net, (X[:3],), dynamic_shapes=shapes).run_decompositions()
    torch.export.save(program, path, extra_files=EXTRA)


Save = Callable[[nn.Module, Path], None]
SCRIPTS, EXPORTS = [scripted, traced], [exported, decomposed]


def reference(net: nn.Module) -> nn.Module:
    """The network with the data's statistics, by plain torch."""
    fresh = Net().eval()
    fresh.load_state_dict(net.state_dict() | expected_statistics(net))
    return fresh


def load(path: Path) -> tuple[Callable[[torch.Tensor], torch.Tensor], dict[str, torch.Tensor], dict[str, Any]]:
    """The program as its users get it: what to call, its tensors, its extra files."""
    extra: dict[str, Any] = dict.fromkeys(EXTRA, "")
    if "TorchScript" in recognise(path).name:
        program = torch.jit.load(str(path), _extra_files=extra)
        return program, program.state_dict(), extra
    exported_program = torch.export.load(path, extra_files=extra)
    return exported_program.module(), exported_program.state_dict, extra


@pytest.mark.parametrize("save", [*SCRIPTS, *EXPORTS], ids=lambda save: save.__name__)
def test_the_program_runs_as_before_by_the_statistics_of_the_data(tmp_path: Path, save: Save) -> None:
    net = stale_net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(net, tmp_path / "net.bin")
        before = bytes_of(tmp_path)
        result = bncheck.repair_file(tmp_path / "net.bin", images(), out=tmp_path / "new.bin")
        assert result.changed == ("stem.norm", "deep.0.norm")
        assert bytes_of(tmp_path)["net.bin"] == before["net.bin"]
        _, old_state, _ = load(tmp_path / "net.bin")
        program, state, extra = load(tmp_path / "new.bin")
    assert {name: value if isinstance(value, str) else value.decode() for name, value in extra.items()} == EXTRA
    assert_statistics(state, net)
    assert_rest_unchanged(dict(state), dict(old_state))
    with torch.no_grad():
        torch.testing.assert_close(program(X), reference(net)(X), rtol=1e-4, atol=1e-4)


def test_a_script_in_training_mode_stays_in_it(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted(stale_net().train(), tmp_path / "net.pt")
        bncheck.repair_file(tmp_path / "net.pt", images(), out=tmp_path / "new.pt")
        program = torch.jit.load(str(tmp_path / "new.pt"))
    assert program.training
    assert program.stem.norm.training


def test_statistics_that_freezing_made_constants_are_repaired(tmp_path: Path) -> None:
    class Alone(nn.Module):  # nothing before it that it could be folded into
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(2)
            self.head = nn.Linear(2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.norm(x).mean((2, 3)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        torch.jit.freeze(torch.jit.script(Alone().eval())).save(str(tmp_path / "net.pt"))
        result = bncheck.repair_file(tmp_path / "net.pt", images(), out=tmp_path / "new.pt", force=True)
        after = bncheck.inspect(tmp_path / "new.pt", images())
    assert len(result.changed) == 1
    (layer,) = after.layers
    torch.testing.assert_close(torch.tensor(layer.table.stored_mean), X.double().mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    assert after.summary.gap < 1e-4 < result.before.summary.gap


def test_values_that_share_their_memory_cannot_be_given_others(tmp_path: Path) -> None:
    net = stale_net()
    net.stem.norm.running_mean = torch.zeros(1).expand(net.stem.norm.num_features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted(net, tmp_path / "net.pt")
        with pytest.raises(ModelError, match=r"stem\.norm\.running_mean was expanded: its 5 values share their memory"):
            bncheck.repair_file(tmp_path / "net.pt", images(), out=tmp_path / "new.pt")
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.pt"]
    with pytest.raises(ModelError, match=r"stem\.norm\.running_mean was expanded"):
        bncheck.recalibrate(net, images())


def test_a_program_that_torch_cannot_write_again(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted(stale_net(), tmp_path / "whole.pt")
        with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "net.pt", "w") as damaged:
            for name in whole.namelist():  # which places in the source are told by; nothing else needs them
                kept = whole.read(name)[:40] if name.endswith(".debug_pkl") else whole.read(name)
                damaged.writestr(zipfile.ZipInfo(name), kept)
        (tmp_path / "whole.pt").unlink()
        with pytest.raises(ModelError, match=r"net\.pt cannot be written again: "):
            bncheck.repair_file(tmp_path / "net.pt", images(), out=tmp_path / "new.pt")
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.pt"]


def test_folded_normalization_leaves_nothing_to_repair(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frozen = torch.jit.freeze(torch.jit.script(stale_net()))
        frozen.save(str(tmp_path / "net.pt"))
        result = bncheck.repair_file(tmp_path / "net.pt", images(), out=tmp_path / "new.pt")
    assert (result.outcome, result.exit_code, result.path) == ("nothing-to-repair", 4, None)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.pt"]


@pytest.mark.slow
def test_a_program_for_single_samples_is_measured_layer_after_layer(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(stale_net(), (X[:1],)), tmp_path / "net.pt2")
    result = bncheck.repair_file(tmp_path / "net.pt2", images(), out=tmp_path / "new.pt2")
    assert (result.outcome, result.exit_code) == ("undecided", 0)
    assert "measured one after the other" in result.notes[-1]
    assert result.after.summary.gap < 0.02 < 1 < result.before.summary.gap
