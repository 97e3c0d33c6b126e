"""`bncheck repair --method renorm` and `bncheck inspect --renorm` from the command line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import training_code
from command_line import call, refused, users_code
from made_files import Files
from onnx import TensorProto, helper
from training_code import INTERRUPTION, SAMPLES
from users_code import Net, images

import bncheck

ARCH = ("--arch", users_code("Net"))
CODE = training_code.__file__
RENORM = ("--method", "renorm")
SHORT = ("--steps", "30")
OFF = -20.0


def learnable(path: str, *, wrong: bool = False) -> str:
    """Images of the test network, labelled by their mean; `wrong`: by the class it should not be."""
    x = images(300)
    y = x.mean((1, 2, 3)).gt(1).long()
    np.savez(path, x=x.numpy(), y=(1 - y if wrong else y).numpy())
    return path


def healthy(path: str, bias: float = 0.0) -> str:
    """A network that tells these images' labels almost without a mistake, unless the bias of its head is off."""
    net = Net(outputs=2)
    with torch.no_grad():
        net.norm.running_mean.fill_(1.0)
        net.norm.running_var.fill_(4.0)
        net.norm.num_batches_tracked.fill_(10_000)
        net.head.weight[0].fill_(-1.0)
        net.head.weight[1].fill_(1.0)
        net.head.bias.copy_(torch.tensor([0.0, bias]))
    torch.save(net.state_dict(), path)
    return path


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.training
def test_the_one_class_sample_is_repaired_by_its_own_bad_batches(scratch: Path) -> None:
    arch = ("--arch", f"{SAMPLES / 'digits_net.py'}:build")
    judge = SAMPLES / "digits_eval.npz"
    given = (SAMPLES / "one_class_batches.pt", *arch, "--data", judge, "--report", "json=repaired.json")
    shipped = bncheck.inspect(SAMPLES / "one_class_batches.pt", str(judge), arch=arch[1]).effect.accuracy
    assert max(shipped.stored, shipped.recalibrated) < 0.75
    steps = ("--steps", "1500", "--lr", "0.03")  # three quarters of the default's, each as much farther
    done = call("repair", *given, *RENORM, *steps, "--train-data", f"{CODE}:OneClassBatches", "--out", "repaired.pt")
    assert done.code == 0, done
    assert "The repaired model is better." in done.stdout
    assert "fine-tuned with Batch Renormalization by 1136 samples" in words(done.stdout)
    assert "Step 1500 of 1500: loss" in done.stderr
    report = bncheck.inspect("repaired.pt", str(judge), arch=arch[1]).to_dict()
    assert report["effect"]["accuracy"]["stored"] >= 0.95
    assert report["summary"]["verdict"] == "ok"
    before, after = (torch.load(path, weights_only=True) for path in (SAMPLES / "one_class_batches.pt", "repaired.pt"))
    assert before.keys() == after.keys()
    assert before["model"].keys() == after["model"].keys()
    assert not torch.equal(before["model"]["head.weight"], after["model"]["head.weight"])


def test_a_result_that_is_worse_is_refused(scratch: Path) -> None:
    model, judge, wrong = healthy("net.pt"), learnable("judge.npz"), learnable("wrong.npz", wrong=True)
    given = ("repair", model, *ARCH, "--arch-kwargs", '{"outputs": 2}', *RENORM, "--data", judge)
    command = (*given, "--train-data", wrong, "--out", "new.pt", "--steps", "200", "--resume", "state")
    done = call(*command)
    assert done.code == 1, done
    assert "The repaired model is worse." in done.stdout
    assert "Not written: new.pt. More --steps, a smaller --lr" in words(done.stdout)
    assert sorted(os.listdir()) == ["judge.npz", "net.pt", "wrong.npz"]
    assert call(*command, "--force").code in (0, 1)  # by what the file that was written shows
    assert Path("new.pt").exists()


def test_a_run_that_never_gets_better_is_refused(scratch: Path) -> None:
    model, judge, wrong = healthy("net.pt"), learnable("judge.npz"), learnable("wrong.npz", wrong=True)
    other = learnable("other.npz")
    given = ("repair", model, *ARCH, "--arch-kwargs", '{"outputs": 2}', *RENORM, "--train-data", wrong, "--data", judge)
    done = call(*given, "--heldout", other, "--out", "new.pt", *SHORT, "--patience", "2", "--lr", "0.5", "-q")
    assert "never made net.pt better" in refused(done, 1)
    assert not Path("new.pt").exists()


def test_a_run_that_diverges_is_refused_and_leaves_nothing(scratch: Path) -> None:
    model, data = healthy("net.pt"), learnable("data.npz")
    given = ("repair", model, *ARCH, "--arch-kwargs", '{"outputs": 2}', *RENORM, "--data", data, "--out", "new.pt")
    done = call(*given, "--lr", "1e30", "--steps", "300", "--resume", "state", "-q")
    assert "diverged" in refused(done, 1)
    assert sorted(os.listdir()) == ["data.npz", "net.pt"]


@pytest.mark.training
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(scratch: Path) -> None:
    model, judge = healthy("net.pt"), learnable("judge.npz")
    given = ("repair", model, *ARCH, "--arch-kwargs", '{"outputs": 2}', *RENORM, "--train-data", f"{CODE}:batches")
    command = (*given, "--data", judge, "--force", "-q", "--steps", "450")
    assert call(*command, "--out", "whole.pt").code == 0
    INTERRUPTION.write_text("3")
    assert "is kept in state: the same command goes on" in refused(
        call(*command, "--out", "resumed.pt", "--resume", "state"), 130
    )
    assert sorted(os.listdir()) == ["interrupt", "judge.npz", "net.pt", "state", "whole.pt"]
    other = call(*command, "--out", "resumed.pt", "--resume", "state", "--lr", "0.1")
    assert "checkpoint of another run: lr differ" in refused(other, 2)
    INTERRUPTION.unlink()
    assert call(*command, "--out", "resumed.pt", "--resume", "state").code == 0
    assert not Path("state").exists()
    whole, resumed = (torch.load(path, weights_only=True) for path in ("whole.pt", "resumed.pt"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_part_of_the_only_data_is_kept_from_training(scratch: Path) -> None:
    model, data = healthy("net.pt", OFF), learnable("data.npz")
    given = ("repair", model, *ARCH, "--arch-kwargs", '{"outputs": 2}', *RENORM, "--data", data, "--out", "new.pt")
    done = call(
        *given,
        "--steps",
        "100",
        "--lr",
        "0.05",
        "--loss",
        f"{CODE}:own_loss",
        "--train",
        "norm",
        "--optimizer",
        "adam",
        "-v",
    )
    assert done.code == 0, done
    assert f"--loss imports and runs {CODE}." in done.stderr
    said = words(done.stdout)
    assert "by 240 samples of data.npz, judged on 60 samples with labels" in said
    assert "60 samples of data.npz, drawn at random, were kept from training and judge the repair." in said
    before, after = torch.load(model, weights_only=True), torch.load("new.pt", weights_only=True)
    assert torch.equal(before["head.weight"], after["head.weight"])
    assert not torch.equal(before["norm.bias"], after["norm.bias"])


def test_formats_for_inference_are_refused_with_what_to_pass_instead(files: Files, scratch: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2, 4, 4]) for name in "xy")
    constants = [helper.make_tensor(name, TensorProto.FLOAT, [2], [1.0, 1.0]) for name in ("g", "b", "m", "v")]
    node = helper.make_node("BatchNormalization", ["x", "g", "b", "m", "v"], ["y"], name="bn")
    graph = helper.make_graph([node], "net", [x], [y], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), "net.onnx")
    good = (*RENORM, "--data", files.labelled, "--out", "new", *SHORT, "-q")
    assert "checkpoint it was exported from (with --arch)" in refused(call("repair", "net.onnx", *good), 2)
    assert "a state dict with --arch, or a .pt2" in refused(call("repair", files.runnable, *good), 2)
    assert "--arch FILE.py:CALLABLE" in refused(call("repair", files.healthy, *good), 2)


def test_what_is_wrong_in_the_command_is_exit_2(files: Files, scratch: Path) -> None:
    good = ("repair", files.healthy, *ARCH, "--out", "new.pt", "--data", files.labelled)
    loader = f"{CODE}:batches"
    for arguments, said in (
        (("--lr", "0.1", "--train-data", loader), "--lr, --train-data: for --method renorm alone"),
        ((*RENORM, "--steps", "3", "--epochs", "2"), "give one of them"),
        ((*RENORM, "--optimizer", "magic"), "choose one of sgd, adam, adamw"),
        ((*RENORM, "--loss", "magic"), "choose one of cross_entropy"),
        ((*RENORM, "--train", "some"), "choose one of all, norm"),
        ((*RENORM, "--patience", "2"), "--patience ends a run by its score on held-out data"),
        ((*RENORM, "--resume", "new.pt"), "--resume new.pt: --out goes to that file too"),
        ((*RENORM, "--resume", "gone/state"), "there is no folder gone"),
        ((*RENORM, "--train-data", "gone.npz"), "--train-data: there is no file or folder gone.npz"),
        ((*RENORM, "--train-data", f"{CODE}:unlabelled"), "needs labels, and the data have none"),
    ):
        assert said in refused(call(*good, *arguments, "-q"), 2)
    alone = call("repair", files.healthy, *ARCH, "--out", "new.pt", *RENORM, "--data", loader, "-q")
    assert "nothing of it can be kept from training to judge by: name other data with --heldout" in refused(alone, 2)
    assert os.listdir() == []


def test_without_normalization_there_is_nothing_to_repair(files: Files, scratch: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 3)).state_dict(), "plain.pt")
    Path("net.py").write_text(
        "from torch import nn\n\n\ndef plain():\n    return nn.Sequential(nn.Flatten(), nn.Linear(32, 3))\n"
    )
    plain = "net.py:plain"
    done = call("repair", "plain.pt", "--arch", plain, *RENORM, "--data", files.labelled, "--out", "new.pt", *SHORT)
    assert done.code == 4, done
    assert "No layer of this file stores statistics." in words(done.stdout)


def test_inspect_renorm_judges_the_repaired_model(scratch: Path) -> None:
    model, data = healthy("net.pt", OFF), learnable("data.npz")
    good = ("inspect", model, *ARCH, "--arch-kwargs", '{"outputs": 2}', "--renorm", "--steps", "100", "--lr", "0.05")
    done = call(*good, "--train-data", f"{CODE}:batches", "--data", data, "--report", "json=after.json")
    assert done.code == 0, done
    assert "The gap over all layers is" in words(done.stdout)
    assert "given new statistics (gap" in words(done.stdout)
    assert "Nothing was written. --out FILE keeps the repaired model." in words(done.stdout)
    assert sorted(os.listdir()) == ["after.json", "data.npz", "net.pt"]
    document = call(*good, "--train-data", data, "--out", "new.pt", "--report", "json=-").json
    assert document["run"]["command"] == "bncheck inspect --renorm"
    assert (document["model"]["path"], document["data"]["samples"]) == ("new.pt", 60)
    assert document["summary"]["exit_code"] == 0
    assert Path("new.pt").exists()


def test_inspect_renorm_is_judged_by_the_options_of_inspect(scratch: Path) -> None:
    model, data = healthy("net.pt"), learnable("data.npz")
    good = ("inspect", model, *ARCH, "--arch-kwargs", '{"outputs": 2}', "--renorm", *SHORT, "--lr", "0.001")
    strict = (*good, "--train-data", f"{CODE}:batches", "--data", data, "--max-gap", "0.0001")
    assert call(*strict).code == 1
    assert call(*strict, "--write-baseline", "known.json", "-q").code == 0
    worse = call("inspect", model, *ARCH, "--arch-kwargs", '{"outputs": 2}', "--renorm", "--steps", "200",
                 "--train-data", learnable("wrong.npz", wrong=True), "--data", data)  # fmt: skip
    assert worse.code == 1
    assert "Nothing was written. More --steps" in words(worse.stdout)


def test_inspect_renorm_says_what_it_needs(files: Files, scratch: Path) -> None:
    good = ("inspect", files.healthy, *ARCH, "--data", files.labelled, "-q")
    for arguments, said in (
        (("--renorm",), "--renorm trains on --train-data, and none are given"),
        (("--steps", "3", "--out", "new.pt"), "--steps, --out: for --renorm alone"),
        (("--renorm", "--train-data", files.data, "--reference", files.drifted), "leave it out"),
        (("--renorm", "--train-data", files.data, "--until", "0.1"), "with --renorm choose --limit or --steps"),
        (("--renorm", "--train-data", files.data, "--select", "BN603", "--ignore", "BN6"), "leave no rule"),
        (("--renorm", "--train-data", files.data), "needs labels, and the data have none"),
    ):
        assert said in refused(call(*good, *arguments), 2)
    assert os.listdir() == []
