"""`bncheck stamp`, and a folded export of a trained network through a whole CI: exported, stamped, inspected."""

from __future__ import annotations

import base64
import copy
import json
import logging
import runpy
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from command_line import Done, call, refused
from onnx import numpy_helper
from torch import nn

from bncheck.errors import ModelError
from bncheck.formats.onnx.provenance import KEY, read_provenance

SAMPLES = Path(__file__).parents[2] / "sample_models"
JUDGED = 300
"""Digits of the held-out half that the exports are inspected on."""


def digits(part: str) -> tuple[torch.Tensor, torch.Tensor]:
    with np.load(SAMPLES / f"digits_{part}.npz") as arrays:
        return torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["y"])


def export(net: nn.Module, path: Path, **options: Any) -> Path:
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            axes = {"dynamic_axes": {"x": {0: "batch"}, "y": {0: "batch"}}}
            x = digits("eval")[0][:3]
            torch.onnx.export(net, (x,), path, input_names=["x"], output_names=["y"], dynamo=False, **axes, **options)
    finally:
        logging.disable(logging.NOTSET)
    return path


@pytest.fixture(scope="module")
def net() -> nn.Module:
    """The healthy sample: trained, its statistics describe the digits."""
    made: nn.Module = runpy.run_path(str(SAMPLES / "digits_net.py"))["build"]()
    made.load_state_dict(torch.load(SAMPLES / "healthy.pt", weights_only=True))
    return made.eval()


@pytest.fixture(scope="module")
def made(net, tmp_path_factory) -> Path:
    """A folder with the checkpoint, its folded export, that export stamped, and data."""
    folder = tmp_path_factory.mktemp("stamp")
    torch.save({"state_dict": net.state_dict(), "epoch": 5}, folder / "model.pt")
    export(net, folder / "folded.onnx")
    assert "BatchNormalization" not in [node.op_type for node in onnx.load(folder / "folded.onnx").graph.node]
    x, y = (part.numpy()[:JUDGED] for part in digits("eval"))
    np.savez(folder / "val.npz", x=x, y=y)
    np.savez(folder / "shifted.npz", x=x * 0.5 + 0.4, y=y)
    done = stamped(folder / "folded.onnx", folder / "model.pt", folder / "stamped.onnx")
    assert done.code == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def alone(made) -> dict[str, Any]:
    """The report on the stamped export, inspected without its checkpoint; `alone.json` holds it too."""
    done = call("inspect", made / "stamped.onnx", "--data", made / "val.npz", "--report", made / "alone.json", "-q")
    report: dict[str, Any] = json.loads((made / "alone.json").read_text(encoding="utf-8"))
    assert done.code == report["summary"]["exit_code"]
    return report


def stamped(model: Path, reference: Path, out: Path) -> Done:
    return call("stamp", model, "--reference", reference, "--out", out)


def inspected(model: Path, *arguments: object) -> dict[str, Any]:
    done = call("inspect", model, *arguments, "--report", "json=-")
    report: dict[str, Any] = done.json
    assert done.code == report["summary"]["exit_code"]
    return report


def codes(report: dict[str, Any]) -> list[str]:
    return [finding["code"] for finding in report["findings"]]


# As a CI job has it


@pytest.mark.slow
def test_a_healthy_export_passes_with_its_checkpoint_and_alone_once_stamped(made, alone):
    wanted = inspected(made / "model.pt", "--arch", f"{SAMPLES / 'digits_net.py'}:build", "--data", made / "val.npz")
    beside = inspected(made / "folded.onnx", "--data", made / "val.npz", "--reference", made / "model.pt")
    assert [report["summary"]["exit_code"] for report in (wanted, beside, alone)] == [0, 0, 0]
    for report in (beside, alone):
        assert codes(report) == codes(wanted)
        assert report["summary"]["layers_measured"] == 6
        for layer, other in zip(report["layers"], wanted["layers"], strict=True):
            assert (layer["name"], layer["channels"], layer["kind"]) == (
                other["name"],
                other["channels"],
                other["kind"],
            )
            for number in ("gap", "own_gap", "noise", "shift_max", "scale_min", "scale_max"):
                assert layer[number] == pytest.approx(other[number], rel=1e-3, abs=1e-6), (layer["name"], number)
            assert layer["stored"]["updates"] == other["stored"]["updates"]
        assert report["effect"]["accuracy"] == wanted["effect"]["accuracy"]


@pytest.mark.slow
def test_the_same_export_fed_shifted_data_fails(made):
    for model, more in (("folded.onnx", ["--reference", made / "model.pt"]), ("stamped.onnx", [])):
        report = inspected(made / model, "--data", made / "shifted.npz", *more)
        assert report["summary"]["exit_code"] == 1
        assert set(codes(report)) <= {"BN601", "BN603", "BN605", "BN609"}
        assert "BN403" not in codes(report)


@pytest.mark.slow
def test_statistics_that_changed_after_the_export_fail(made, net, tmp_path):
    moved = copy.deepcopy(net)
    moved.stem.bn.running_mean += 0.2
    torch.save(moved.state_dict(), tmp_path / "moved.pt")
    for model in ("folded.onnx", "stamped.onnx"):
        report = inspected(made / model, "--data", made / "val.npz", "--reference", tmp_path / "moved.pt")
        assert report["summary"]["exit_code"] == 1
        (finding,) = [finding for finding in report["findings"] if finding["code"] == "BN403"]
        assert (finding["layer"], finding["severity"]) == ("stem.bn", "error")
    without = inspected(made / "folded.onnx", "--reference", tmp_path / "moved.pt")
    assert (without["summary"]["exit_code"], codes(without)) == (1, ["BN403"])


def test_the_outputs_are_compared_once_the_architecture_is_named(made):
    arguments = ("--reference", made / "model.pt", "--reference-arch", f"{SAMPLES / 'digits_net.py'}:build")
    done = call("inspect", made / "folded.onnx", "--data", made / "val.npz", *arguments, "-v")
    assert done.code == 0
    assert "Outputs compared with those of" in done.stdout.replace("\n", " ")


def test_a_folded_export_alone_is_not_checked_and_names_both_ways_out(made):
    done = call("inspect", made / "folded.onnx", "--data", made / "val.npz")
    assert done.code == 4
    told = " ".join(done.stdout.split())
    assert "BN705" in told
    assert "--reference model.pt" in told
    assert "bncheck stamp MODEL.onnx --reference model.pt --out stamped.onnx" in told


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_the_table_has_the_names_of_the_reference(columns, made, alone, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    done = call("gate", made / "alone.json", "-v", "--all")  # which shows what was measured as `inspect` does
    assert max(map(len, done.stdout.splitlines())) <= columns
    assert "blocks.2.body.1.bn" in done.stdout
    assert "6 folded layers are read through the stamp." in done.stdout


# What is written


def test_what_stamp_says(made, tmp_path):
    done = stamped(made / "folded.onnx", made / "model.pt", tmp_path / "out.onnx")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path / 'out.onnx'}: stamped with 6 layers, 6 of them folded (")


def test_the_model_is_unchanged_but_for_one_small_entry(made):
    before, after = onnx.load(made / "folded.onnx"), onnx.load(made / "stamped.onnx")
    (entry,) = after.metadata_props
    assert entry.key == KEY
    layers = json.loads(entry.value)["layers"]
    assert [layer["name"] for layer in layers][:2] == ["stem.bn", "blocks.0.body.0.bn"]
    assert len(entry.value) < 24 * sum(layer["channels"] for layer in layers) * 1.25 + 200 * len(layers)
    del after.metadata_props[:]
    assert after == before
    assert json.loads(entry.value)["reference"]["path"] == "model.pt"


def test_stamping_again_replaces_the_stamp(made, tmp_path):
    assert stamped(made / "stamped.onnx", made / "model.pt", tmp_path / "again.onnx").code == 0
    assert onnx.load(tmp_path / "again.onnx") == onnx.load(made / "stamped.onnx")


def test_a_model_that_is_not_folded_can_be_stamped_too(made, net, tmp_path):
    options = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    path = export(net, tmp_path / "unfolded.onnx", **options)
    done = stamped(path, made / "model.pt", tmp_path / "out.onnx")
    assert done.code == 0
    assert "stamped with 6 layers (" in done.stdout
    assert inspected(tmp_path / "out.onnx", "--data", made / "val.npz")["summary"]["exit_code"] == 0


@pytest.fixture
def in_parts(made, tmp_path) -> Path:
    """The export with its tensors in a file beside it."""
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / "model.onnx"
    onnx.save(onnx.load(made / "folded.onnx"), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    return path


def test_tensors_in_another_file_stay_there(in_parts, made):
    assert stamped(in_parts, made / "model.pt", in_parts.with_name("out.onnx")).code == 0
    assert sorted(file.name for file in in_parts.parent.iterdir()) == ["model.onnx", "out.onnx", "w.bin"]
    report = inspected(in_parts.with_name("out.onnx"), "--data", made / "val.npz")
    assert report["summary"]["layers_measured"] == 6


def test_tensors_in_another_file_go_along_to_another_folder(in_parts, made, tmp_path):
    (tmp_path / "there").mkdir()
    done = stamped(in_parts, made / "model.pt", tmp_path / "there" / "out.onnx")
    assert done.code == 0
    assert "Copied beside it: w.bin." in done.stderr
    report = inspected(tmp_path / "there" / "out.onnx", "--data", made / "val.npz")
    assert report["summary"]["layers_measured"] == 6
    message = refused(stamped(in_parts, made / "model.pt", tmp_path / "there" / "other.onnx"), 2)
    assert "w.bin, which exists already" in message
    assert not (tmp_path / "there" / "other.onnx").exists()


# Refusals


def test_inputs_are_never_overwritten(made, in_parts):
    before = (made / "folded.onnx").read_bytes()
    for out in (made / "folded.onnx", made / "model.pt"):
        assert "inputs are never overwritten" in refused(stamped(made / "folded.onnx", made / "model.pt", out), 2)
    assert "never overwritten" in refused(stamped(in_parts, made / "model.pt", in_parts.with_name("w.bin")), 2)
    link = in_parts.with_name("link.onnx")
    link.symlink_to(made / "folded.onnx")
    assert "never overwritten" in refused(stamped(made / "folded.onnx", made / "model.pt", link), 2)
    assert (made / "folded.onnx").read_bytes() == before


def test_an_earlier_stamped_model_may_be_written_over_and_nothing_else(made, tmp_path):
    out = tmp_path / "out.onnx"
    for old in (b"", None):  # an empty file, and then the stamped model itself
        if old is not None:
            out.write_bytes(old)
        assert stamped(made / "folded.onnx", made / "model.pt", out).code == 0
    other = tmp_path / "other.onnx"
    for content in ((made / "folded.onnx").read_bytes(), b"notes", b"\x08\x07 cut off"):
        other.write_bytes(content)
        message = refused(stamped(made / "folded.onnx", made / "model.pt", other), 2)
        assert "it exists and is no stamped model, so it is not overwritten" in message
        assert other.read_bytes() == content


def test_a_stamp_that_would_be_untrue_is_refused(made, net, tmp_path):
    moved = copy.deepcopy(net)
    moved.stem.bn.running_var *= 2
    torch.save(moved.state_dict(), tmp_path / "moved.pt")
    message = refused(stamped(made / "folded.onnx", tmp_path / "moved.pt", tmp_path / "out.onnx"), 1)
    assert "exported with other statistics" in message
    assert "stem.bn" in message
    assert not (tmp_path / "out.onnx").exists()


def test_a_checkpoint_of_another_model(made, tmp_path):
    other = runpy.run_path(str(SAMPLES / "digits_net.py"))["build"]().eval()
    torch.save(other.state_dict(), tmp_path / "other.pt")
    message = refused(stamped(made / "folded.onnx", tmp_path / "other.pt", tmp_path / "out.onnx"), 3)
    assert "No normalization layer of" in message


def test_commands_that_are_wrong(made, tmp_path):
    model, reference, out = made / "folded.onnx", made / "model.pt", tmp_path / "out.onnx"
    assert "stamp needs --reference" in refused(call("stamp", model, "--out", out), 2)
    assert "stamp needs --out" in refused(call("stamp", model, "--reference", reference), 2)
    assert "is no ONNX model" in refused(stamped(reference, reference, out), 2)
    assert "There is no file" in refused(stamped(tmp_path / "absent.onnx", reference, out), 2)
    assert "There is no file" in refused(stamped(model, tmp_path / "absent.pt", out), 2)
    assert "there is no folder" in refused(stamped(model, reference, tmp_path / "absent" / "out.onnx"), 2)
    assert "that is a folder" in refused(stamped(model, reference, tmp_path), 2)
    assert "no normalization layers with stored statistics" in refused(stamped(model, model, out), 2)
    assert not out.exists()


# Stamps that were tampered with


def edited(made: Path, target: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The stamped model with `change` done to what its stamp says."""
    model = onnx.load(made / "stamped.onnx")
    content = json.loads(model.metadata_props[0].value)
    content = change(content) or content
    model.metadata_props[0].value = content if isinstance(content, str) else json.dumps(content)
    onnx.save(model, target)
    return target


def packed(count: int) -> str:
    return base64.b85encode(zlib.compress(bytes(count), 9)).decode()


DAMAGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "cut off": lambda content: json.dumps(content)[:500],
    "no JSON object": lambda content: "[]",
    "nothing": lambda content: "null",
    "no layers": lambda content: content.pop("layers") and content,
    "values cut off": lambda content: content.update(values=content["values"][:-25]),
    "values of no stamp": lambda content: content.update(values="#"),
    "too few values": lambda content: content.update(values=packed(8)),
    "a bomb": lambda content: content.update(values=packed(50_000_000)),
    "an eps of NaN": lambda content: content["layers"][0].update(eps=float("nan")),
    "a name of no text": lambda content: content["layers"][0].update(name=7),
    "updates of no number": lambda content: content["layers"][0].update(updates="many"),
    "a negative width": lambda content: content["layers"][0].update(channels=-16),
    "an endless width": lambda content: content["layers"][0].update(channels=10**30),
    "a version of no number": lambda content: content.update(version="1"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_stamp_is_named(damage, made, tmp_path):
    path = edited(made, tmp_path / "damaged.onnx", DAMAGE[damage])
    message = refused(call("inspect", path), 3)
    assert f"The stamp of {path} is damaged." in message
    assert "Stamp the exported model again, or use --reference" in message
    assert inspected(path, "--reference", made / "model.pt")["summary"]["exit_code"] == 0


def test_a_bomb_is_not_unpacked(made, tmp_path):
    path = edited(made, tmp_path / "bomb.onnx", DAMAGE["a bomb"])
    model = onnx.load(path)
    tracemalloc.start()
    try:
        with pytest.raises(ModelError, match="is damaged"):
            read_provenance(model, str(path))
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_stamp_of_a_later_version(made, tmp_path):
    path = edited(made, tmp_path / "later.onnx", lambda content: content.update(version=2))
    assert "is of version 2; this bncheck reads 1" in refused(call("inspect", path), 3)


def changed(made: Path, target: Path, weights: Callable[[np.ndarray], np.ndarray], *, renamed: bool = False) -> Path:
    """The stamped model with other weights in its convolutions, or under other names."""
    model = onnx.load(made / "stamped.onnx")
    names = {tensor.name: f"w{number}" for number, tensor in enumerate(model.graph.initializer)} if renamed else {}
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        name = names.get(tensor.name, tensor.name)
        tensor.CopyFrom(numpy_helper.from_array(weights(array) if array.ndim == 4 else array, name))
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    onnx.save(model, target)
    return target


def test_other_names_for_the_weights_do_no_harm(made, alone, tmp_path):
    path = changed(made, tmp_path / "renamed.onnx", lambda weight: weight, renamed=True)
    assert inspected(path, "--data", made / "val.npz")["layers"] == alone["layers"]


def test_weights_that_were_changed_after_stamping(made, tmp_path):
    report = inspected(changed(made, tmp_path / "scaled.onnx", lambda weight: weight * np.float32(1.3)))
    assert (codes(report), report["summary"]["exit_code"]) == (["BN403"], 1)
    assert "the stamp of" in report["findings"][0]["message"]


def test_weights_that_were_changed_and_renamed(made, tmp_path):
    path = changed(made, tmp_path / "both.onnx", lambda weight: weight[::-1] * np.float32(1.3), renamed=True)
    message = refused(call("inspect", path), 3)
    assert "was changed since it was stamped" in message


def test_one_layer_that_was_changed_and_renamed_is_said_to_be_missing(made, tmp_path):
    path = changed(
        made,
        tmp_path / "one.onnx",
        lambda weight: weight * np.float32(1.3) if weight.shape[1] == 1 else weight,
        renamed=True,
    )
    done = call("inspect", path, "--data", made / "val.npz", "--report", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [layer["name"] for layer in report["layers"] if layer["status"] == "skipped"] == ["stem.bn"]
    assert "not found: stem.bn; the model was changed since it was stamped" in " ".join(done.stdout.split())
