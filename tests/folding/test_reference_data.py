"""An export without normalization layers beside what it gave on good data: the reference that it has lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from folded_nets import conv, exported, trained
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import bncheck
from bncheck.errors import DataError, UsageError
from bncheck.render import renderer
from bncheck.results import Report


def images(seed: int, samples: int, shift: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(samples, 3, 6, 6, generator=torch.Generator().manual_seed(seed)) * scale + shift


def network() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        *(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)),
    )
    return trained(net)  # type: ignore[return-value]


def folded() -> nn.Module:
    net = network()
    return nn.Sequential(
        *(fuse_conv_bn_eval(net[0], net[1]), nn.ReLU(), fuse_conv_bn_eval(net[3], net[4]), nn.ReLU(), *net[6:])
    ).eval()


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The same folded network as TorchScript and as ONNX."""
    folder, net = tmp_path_factory.mktemp("exports"), folded()
    script, onnx = folder / "f.pt", folder / "f.onnx"
    torch.jit.trace(net, images(0, 2)).save(script)
    exported(net, images(0, 2).numpy(), onnx, dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})
    return {"torchscript": str(script), "onnx": str(onnx)}


def gaps(report: Report) -> list[float]:
    return [layer.gap or 0.0 for layer in report.layers]


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
def test_an_export_without_layers_is_judged_by_what_it_gave_on_good_data(exports: dict[str, str], kind: str) -> None:
    model, good = exports[kind], images(1, 300)
    assert bncheck.inspect(model, images(2, 80), fast=True).summary.exit_code == 4  # it has nothing to compare with
    same = bncheck.inspect(model, images(2, 200), reference_data=good)
    assert (same.summary.verdict, same.summary.exit_code, same.summary.layers_measured) == ("ok", 0, 2)
    assert max(gaps(same)) < 0.1
    assert any("2 convolution or linear layers stand for normalization layers" in note for note in same.run.notes)
    other = bncheck.inspect(model, images(3, 200, shift=0.8, scale=1.2), reference_data=good, max_gap=0.3, fast=True)
    assert other.summary.exit_code == 1
    with torch.no_grad():
        then, now = (folded()[0](x).transpose(0, 1).flatten(1) for x in (good, images(3, 200, shift=0.8, scale=1.2)))
    sigma = then.var(1, correction=0).sqrt()
    expected = ((now.mean(1) - then.mean(1)) / sigma) ** 2 + (now.std(1, correction=0) / sigma - 1) ** 2
    assert gaps(other)[0] == pytest.approx(float(expected.mean().sqrt()), rel=1e-3)
    assert {finding.command for finding in other.findings if "repair" in (finding.command or "")} == set()


def test_a_file_without_statistics_has_no_stored_ones_to_speak_of(exports: dict[str, str]) -> None:
    model, good, moved = exports["torchscript"], images(1, 300), images(3, 200, shift=0.8, scale=1.2)
    other, same = (bncheck.inspect(model, x, reference_data=good) for x in (moved, images(2, 200)))
    (found,) = (finding for finding in other.findings if finding.code == "BN603")
    assert found.message.startswith("The reference statistics of ")
    assert "The reference statistics describe these data." in str(same)
    for report in (other, same):
        for name in ("html", "markdown"):
            assert "against the reference statistics" in renderer(name)(report), name
            assert "against the stored statistics" not in renderer(name)(report), name
        assert "stored statistics" not in str(report)


def test_few_good_samples_are_as_noisy_as_they_are(exports: dict[str, str]) -> None:
    """The reference is worth its own samples, and not those of a training's moving average."""
    noises = [
        bncheck.inspect(exports["torchscript"], images(4, 400), reference_data=images(5, few), fast=True)
        .layers[0]
        .noise
        for few in (10, 400)
    ]
    assert noises[0] is not None
    assert noises[1] is not None
    assert noises[0] / noises[1] == pytest.approx(((1 / 10 + 1 / 400) / (2 / 400)) ** 0.5, rel=0.05)


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
def test_the_reference_is_kept_for_later_runs(exports: dict[str, str], kind: str, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from bncheck.cli.app import app

    model, moments = exports[kind], tmp_path / "moments.safetensors"
    paths = {"good": images(1, 300), "same": images(2, 200), "other": images(3, 200, shift=0.8)}
    for name, value in paths.items():
        np.save(tmp_path / f"{name}.npy", value.numpy())

    def call(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["inspect", model, "--fast", *arguments])
        return done.exit_code, done.output

    assert call("--reference-data", f"{tmp_path}/good.npy", "--write-moments", str(moments))[0] == 0
    assert call("--data", f"{tmp_path}/same.npy", "--against", str(moments))[0] == 0
    code, told = call("--data", f"{tmp_path}/other.npy", "--against", str(moments))
    assert (code, "BN614" in told) == (1, True)
    code, told = call(
        "--data", f"{tmp_path}/same.npy", "--against", str(moments), "--reference-data", f"{tmp_path}/same.npy"
    )
    assert (code, "with another reference" in " ".join(told.split())) == (2, True)


def test_what_has_a_reference_or_nothing_to_watch_is_refused() -> None:
    with pytest.raises(UsageError, match="Sequential has 2 with stored statistics, which are its reference"):
        bncheck.inspect(network(), images(1, 20), reference_data=images(1, 20))
    alone = nn.Sequential(nn.Flatten(), nn.Linear(108, 2)).eval()
    with pytest.raises(UsageError, match="has no convolutions or linear layers whose outputs could be watched"):
        bncheck.inspect(alone, images(1, 20), reference_data=images(1, 20))
    broken = folded()
    with torch.no_grad():
        next(broken.parameters()).fill_(torch.inf)
    with pytest.raises(DataError, match="are not finite on them, so they are no reference"):
        bncheck.inspect(broken, images(1, 20), reference_data=images(1, 20))


def test_linear_layers_are_watched_where_there_are_no_convolutions() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(108, 16), nn.ReLU(), nn.Linear(16, 4)).eval()
    report = bncheck.inspect(net, images(2, 100), reference_data=images(1, 300))
    assert [layer.name for layer in report.layers] == ["1"]
    assert report.summary.verdict == "ok"
