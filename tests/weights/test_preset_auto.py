"""A report says what a model was fed in training; images can be preprocessed so, and data fed otherwise are noticed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from called import call
from fed_nets import Net, fed, net_fed, pictures
from PIL import Image

import bncheck
from bncheck.data import DataOptions
from bncheck.errors import UsageError
from bncheck.render import renderer
from bncheck.results import FedOtherwise, PreprocessedAsTrained, Report


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scripted net for each way of feeding, its state dict, and a folder with 40 of the pictures."""
    folder = tmp_path_factory.mktemp("fed")
    ways = {"unit": fed("0..1"), "bgr": fed("0..255").flip(1), "std": fed("standardised"), "noise": None}
    ways["centred"] = fed("0..255 less a mean").flip(1)
    ways["gray"] = fed("-1..1", 1)
    ways["gray_std"] = fed("standardised", 1)
    for name, x in ways.items():
        net = net_fed(torch.randn(64, 3, 32, 32) if x is None else x)
        torch.jit.script(net).save(folder / f"{name}.pt")
        torch.save(net.state_dict(), folder / f"{name}.pth")
    (folder / "photos").mkdir()
    for number, picture in enumerate(pictures()[:40]):
        pixels = (picture.movedim(0, 2) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / "photos" / f"{number}.png")
    return folder


AUTO = DataOptions(preset="auto")


def noted(report: Report, kind: type) -> list:
    return [note for note in report.run.noted if isinstance(note, kind)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unit", {"channels": "rgb", "scale": "1", "mean": "0", "std": "1"}),
        ("bgr", {"channels": "bgr", "scale": "255", "mean": "0", "std": "1"}),
        ("std", {"channels": "rgb", "scale": "1", "mean": "0.485 0.456 0.406", "std": "0.229 0.224 0.225"}),
        ("gray", {"channels": "gray", "scale": "1", "mean": "0.5", "std": "0.5"}),
    ],
)
def test_images_are_preprocessed_as_in_training_and_it_is_said(
    files: Path, name: str, said: dict[str, str], without_probes: None
) -> None:
    report = bncheck.inspect(files / f"{name}.pt", files / "photos", data_options=AUTO, fast=True)
    [note] = noted(report, PreprocessedAsTrained)
    assert dict(note.said) == said
    assert not noted(report, FedOtherwise)
    assert report["norm"].gap < 0.25


def test_what_is_given_besides_stands(files: Path, without_probes: None) -> None:
    options = DataOptions(preset="auto", mean=(0.1,), resize=24)
    report = bncheck.inspect(files / "unit.pt", files / "photos", data_options=options, fast=True)
    [note] = noted(report, PreprocessedAsTrained)
    assert dict(note.said)["mean"] == "0.1"


def test_an_order_that_is_not_known_can_be_given(files: Path, without_probes: None) -> None:
    for name, mean in (("centred", "103.53 116.28 123.675"), ("std", "0.406 0.456 0.485")):
        options = DataOptions(preset="auto", channels="bgr")
        report = bncheck.inspect(files / f"{name}.pt", files / "photos", data_options=options, fast=True)
        [note] = noted(report, PreprocessedAsTrained)
        assert (dict(note.said)["channels"], dict(note.said)["mean"]) == ("bgr", mean)
        assert "not known, and red" not in note.sentence
    assert report.run.again.count("bgr") == 1


def test_constants_that_are_not_known_can_be_given(files: Path, without_probes: None) -> None:
    options = DataOptions(preset="auto", mean=(0.45,), std=(0.27,))
    report = bncheck.inspect(files / "gray_std.pt", files / "photos", data_options=options, fast=True)
    [note] = noted(report, PreprocessedAsTrained)
    assert dict(note.said) == {"channels": "gray", "scale": "1", "mean": "0.45", "std": "0.27"}


def test_the_command_repeats_what_was_chosen(files: Path, without_probes: None) -> None:
    report = bncheck.inspect(files / "bgr.pt", files / "photos", data_options=AUTO, fast=True)
    again = report.run.again
    assert "channels='bgr'" in again
    assert "scale=255.0" in again


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("noise", "is not known from its weights"),
        ("centred", "in an order of the channels that its weights do not tell"),
        ("gray_std", "constants of its own, which its weights do not tell"),
    ],
)
def test_where_it_is_not_known_it_says_so_and_asks(files: Path, name: str, why: str) -> None:
    done = call("inspect", files / f"{name}.pt", "--data", files / "photos", "--preset", "auto")
    assert done.code == 2
    assert why in done.stderr
    assert "--mean --std --scale --channels" in done.stderr


def test_arrays_are_no_images(files: Path) -> None:
    with pytest.raises(UsageError, match="preset needs images"):
        bncheck.inspect(files / "unit.pt", fed("0..1").numpy(), data_options=AUTO)


def test_without_a_model_nothing_can_be_chosen() -> None:
    images = np.zeros((4, 32, 32, 3), np.uint8)
    with pytest.raises(UsageError, match="preset auto is chosen by a model"):
        bncheck.recalibrate(Net(), images, data_options=AUTO)


def test_a_repair_preprocesses_so_too(files: Path, tmp_path: Path) -> None:
    done = bncheck.repair_file(
        files / "unit.pt", files / "photos", out=tmp_path / "repaired.pt", data_options=AUTO, force=True
    )
    assert noted(done.before, PreprocessedAsTrained)


@pytest.mark.parametrize(
    ("name", "data", "expected", "shown"),
    [
        ("unit", fed("standardised"), "0..1", "standardised"),
        ("unit", fed("-1..1"), "0..1", "-1..1"),
        ("std", fed("0..255"), "standardised", "0..255"),
        ("std", 1000 * fed("0..1"), "standardised", ""),
        ("gray", fed("0..1", 1), "-1..1", "0..1"),
    ],
)
def test_data_that_are_fed_otherwise_are_noticed_before_they_run(
    files: Path, name: str, data: torch.Tensor, expected: str, shown: str, without_probes: None
) -> None:
    heard = []
    report = bncheck.inspect(files / f"{name}.pt", data.numpy(), fast=True, progress=lambda *told: heard.append(told))
    [note] = noted(report, FedOtherwise)
    assert (note.expected, note.fed) == (expected, shown)
    said = next(place for place, told in enumerate(heard) if "first convolution was fed" in told[0])
    assert all(told[1] == 0 for told in heard[:said]), "samples were run before it was said"
    assert [finding.code for finding in report.findings if "first convolution" in finding.message] == []


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("unit", fed("0..1")),
        ("unit", 0.6 * fed("0..1")),
        ("unit", fed("0..1").flip(1)),
        ("std", fed("standardised")),
        ("std", 0.7 * fed("standardised") - 0.4),
        ("noise", fed("0..255")),
    ],
    ids=["its own", "darker", "colours swapped", "its own, standardised", "flat and dark", "not known"],
)
def test_data_that_may_be_other_pictures_are_not(
    files: Path, name: str, data: torch.Tensor, without_probes: None
) -> None:
    assert not noted(bncheck.inspect(files / f"{name}.pt", data.numpy(), fast=True), FedOtherwise)


def test_a_healthy_run_that_is_fed_otherwise_keeps_its_exit_code(files: Path, without_probes: None) -> None:
    net = torch.nn.Sequential(torch.nn.AvgPool2d(1), net_fed(fed("-1..1")))
    net[0].forward = lambda x: x / 127.5 - 1  # the model changes its input itself, where nobody sees it
    report = bncheck.inspect(net, fed("0..255").numpy(), fast=True)
    assert noted(report, FedOtherwise)
    assert (report.summary.exit_code, report.findings) == (0, ())


LINE = "Fed in training: 3 channels, pixels in 0..1, RGB if these are photographs; confidence high."


def test_one_line_says_it_where_no_data_are_given(files: Path) -> None:
    done = call("inspect", files / "unit.pth")
    assert LINE in re.sub(r"\s+", " ", done.stdout)
    done = call("inspect", files / "noise.pth")
    assert "Fed in training" not in done.stdout


def test_an_audit_says_it_in_the_files_own_line(files: Path) -> None:
    done = call("audit", files / "unit.pth", files / "gray.pth", files / "noise.pth")
    told = re.sub(r"\s+", " ", done.stdout)
    assert told.count("Fed in training:") == 2
    assert "Fed in training: 0..1, RGB." in told
    assert "Fed in training: -1..1 gray." in told


@pytest.mark.slow
def test_json_and_html_have_it_with_data_and_without(files: Path, without_probes: None) -> None:
    for data in (None, fed("standardised").numpy()):
        report = bncheck.inspect(files / "std.pt", data, fast=data is not None)
        document = json.loads(renderer("json")(report))
        schema = json.loads((Path(bncheck.__file__).parent / "report.schema.json").read_text("utf-8"))
        jsonschema.validate(document, schema)
        told = document["run"]["training_input"]
        assert (told["family"], told["order"], told["mean"]) == ("standardised", None, [0.485, 0.456, 0.406])
        assert Report.from_dict(document).run.training_input == report.run.training_input
        assert "about (x - mean)/std with ImageNet" in renderer("html")(report)
