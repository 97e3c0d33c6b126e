"""The fine-tuning engine: what it gives back, what it refuses, and that it can be interrupted."""

from __future__ import annotations

import copy
import os
import warnings
from dataclasses import replace

import pytest
import torch
from renorm_nets import Nested, NormAct, randomized
from torch import nn

from bncheck.data import open_data
from bncheck.errors import DataError, RefusedError, UsageError
from bncheck.formats import from_module, open_model
from bncheck.repair.training.finetune import fine_tune
from bncheck.repair.training.options import FineTuneOptions, rate_at
from bncheck.repair.training.result import quiet
from bncheck.repair.training.run import TrainingRun

SHORT = FineTuneOptions(steps=12, batch_size=8, lr=0.01)


def net(outputs=3, dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        *(nn.Dropout(dropout), nn.Linear(4, outputs)),
    ).eval()


def data(n=40, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) * classes // n  # sorted by class
    x = torch.randn(n, 1, 6, 6, generator=generator) + y.reshape(-1, 1, 1, 1)
    return x, y


def exported_as_onnx(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (data()[0][:2],), path, dynamo=False)
    return path


def source(value=None):
    return open_data(data() if value is None else value)


def assert_same(one, other):
    assert list(one) == list(other)
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_the_state_is_the_models_with_other_values():
    model = randomized(Nested()).eval()
    before = copy.deepcopy(model.state_dict())
    tuned = fine_tune(model, source((torch.randn(40, 1, 9, 9), data()[1])), SHORT)
    assert [(n, t.dtype, t.shape) for n, t in tuned.state.items()] == [(n, t.dtype, t.shape) for n, t in before.items()]
    assert_same(model.state_dict(), before)  # the model given is left alone
    assert not any(layer.training for layer in model.modules())
    changed = {name for name, tensor in tuned.state.items() if not torch.equal(tensor, before[name])}
    assert {"stem.0.weight", "stem.1.running_mean", "stem.1.running_var", "head.bn.weight"} <= changed
    assert not any(name.startswith("frozen.") for name in changed)
    assert tuned.state["stem.1.num_batches_tracked"] == before["stem.1.num_batches_tracked"] + 12
    Nested().load_state_dict(tuned.state)


def test_half_precision_comes_back_as_half_precision():
    model = net().half()
    tuned = fine_tune(model, source(), SHORT)
    assert {t.dtype for t in tuned.state.values() if t.is_floating_point()} == {torch.float16}


def test_norm_alone_leaves_the_other_weights():
    model = net()
    tuned = fine_tune(model, source(), replace(SHORT, train="norm"))
    changed = {name for name, tensor in tuned.state.items() if not torch.equal(tensor, model.state_dict()[name])}
    assert changed == {f"1.{role}" for role in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")}


def test_norm_alone_needs_parameters_there():
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.BatchNorm1d(3, affine=False))
    with pytest.raises(UsageError, match=r"^train norm"):
        fine_tune(model, source(), replace(SHORT, train="norm"))


def test_batches_come_in_the_order_of_the_source():
    seen = []

    class Recorder(nn.Module):
        def forward(self, x):
            seen.append(x[:, 0, 0, 0].tolist()) if torch.is_grad_enabled() else None
            return x

    x, y = data(20)
    fine_tune(nn.Sequential(Recorder(), *net()).eval(), source((x, y)), replace(SHORT, steps=5))
    expected = [part.tolist() for part in x[:, 0, 0, 0].split(8)]
    assert seen == [*expected, *expected[:2]]


def test_a_loader_that_draws_at_random_draws_anew_every_epoch():
    x, y = data(16)
    dataset = torch.utils.data.TensorDataset(x, y)
    loader = open_data(torch.utils.data.DataLoader(dataset, batch_size=8, shuffle=True))
    epochs = [torch.cat([b.labels for b in loader.given_batches(1, seed=seed)]).tolist() for seed in (0, 1, 0)]
    assert epochs[0] == epochs[2] != epochs[1]


def test_a_run_has_2000_steps_where_nothing_is_said():
    assert TrainingRun(net(), source(), FineTuneOptions(), None, quiet).steps == 2000


def test_epochs_count_batches():
    assert fine_tune(net(), source(), FineTuneOptions(epochs=2, batch_size=8)).steps == 10


def test_a_rest_of_one_sample_is_left_out():
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 3), nn.BatchNorm1d(3))
    assert fine_tune(model, source(data(17)), FineTuneOptions(epochs=3, batch_size=8)).steps == 6


def test_the_same_seed_gives_the_same_and_the_random_state_is_left_alone():
    model = net(dropout=0.5)
    state = torch.get_rng_state()
    one, other = (fine_tune(model, source(), SHORT).state for _ in range(2))
    assert_same(one, other)
    different = fine_tune(model, source(), replace(SHORT, seed=1)).state
    assert not torch.equal(one["6.weight"], different["6.weight"])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("heldout", [False, True])
def test_an_interrupted_run_goes_on_to_the_same_end(optimizer, heldout, tmp_path):
    options = replace(SHORT, optimizer=optimizer, checkpoint_every=3, evaluations=6)
    held = source(data(seed=1)) if heldout else None
    whole = fine_tune(net(dropout=0.5), source(), options, heldout=held)
    resumable = replace(options, checkpoint=tmp_path / "run.pt")

    def interrupt(step):
        if step.step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fine_tune(net(dropout=0.5), source(), resumable, heldout=held, progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]
    steps = []
    again = fine_tune(net(dropout=0.5), source(), resumable, heldout=held, progress=lambda s: steps.append(s.step))
    assert steps == list(range(7, 13))
    assert_same(again.state, whole.state)
    assert (again.best_step, again.score, again.score_before) == (whole.best_step, whole.score, whole.score_before)
    assert again.history == tuple(replace(step, score=None) for step in whole.history[:6]) + whole.history[6:]


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    options = replace(SHORT, checkpoint=tmp_path / "run.pt", checkpoint_every=3)
    fine_tune(net(), source(), options)
    with pytest.raises(UsageError, match=r"another run: lr differ"):
        fine_tune(net(), source(), replace(options, lr=0.02))
    with pytest.raises(UsageError, match=r"another run: model differ"):
        fine_tune(randomized(net()), source(), options)


def test_a_file_that_is_no_checkpoint_is_refused_and_kept(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(net().state_dict(), path)
    before = path.read_bytes()
    with pytest.raises(DataError, match="no checkpoint of a bncheck fine-tuning"):
        fine_tune(net(), source(), replace(SHORT, checkpoint=path))
    assert path.read_bytes() == before
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="no checkpoint that can be read"):
        fine_tune(net(), source(), replace(SHORT, checkpoint=path))


def test_an_interrupted_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    options = replace(SHORT, checkpoint=tmp_path / "run.pt", checkpoint_every=3)
    written = []
    replace_file = os.replace

    def fail(source, target):
        if written:
            raise KeyboardInterrupt
        written.append(replace_file(source, target))

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(net(), source(), options)
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]
    assert torch.load(tmp_path / "run.pt", weights_only=True)["step"] == 3


def test_a_folder_that_does_not_exist_is_said(tmp_path):
    options = replace(SHORT, checkpoint=tmp_path / "nowhere" / "run.pt", checkpoint_every=3)
    with pytest.raises(UsageError, match="there is no folder"):
        fine_tune(net(), source(), options)


@pytest.mark.parametrize("lr", [1e12, 1e38])
def test_divergence_is_refused(lr):
    options = replace(SHORT, lr=lr, steps=60, loss="mse")
    x, _ = data()
    with pytest.raises(RefusedError, match=r"diverged at step \d+.*Nothing was saved.*smaller lr") as raised:
        fine_tune(net(1), source((x, x.mean((1, 2, 3)))), options)
    assert raised.value.exit_code == 1


def test_weights_that_are_not_finite_are_no_divergence():
    model = net()
    model[0].weight.data.fill_(float("nan"))
    with pytest.raises(RefusedError, match="before the first step"):
        fine_tune(model, source(), SHORT)


def test_a_constant_that_is_infinite_on_purpose_is_no_divergence():
    model = net()
    model.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
    assert torch.isinf(fine_tune(model, source(), SHORT).state["mask"][1])


def test_the_best_state_on_held_out_data_is_kept():
    scores = []
    options = replace(SHORT, steps=30, evaluations=10, lr=0.3)
    tuned = fine_tune(net(), source(), options, heldout=source(data(seed=1)), progress=lambda s: scores.append(s.score))
    evaluated = [score for score in scores if score is not None]
    assert len(evaluated) == 10
    assert tuned.score == max([tuned.score_before, *evaluated])
    repaired = net()
    repaired.load_state_dict(tuned.state)
    x, y = data(seed=1)
    assert (repaired(x).argmax(1) == y).float().mean().item() == pytest.approx(tuned.score.accuracy)


def test_a_run_that_never_helps_gives_back_the_model_that_came_in():
    x, y = data()
    wrong = open_data((x, y.flip(0)))
    model = fitted()
    tuned = fine_tune(model, wrong, replace(SHORT, lr=0.1), heldout=source(data(seed=1)))
    assert (tuned.best_step, tuned.score) == (0, tuned.score_before)
    assert_same(tuned.state, model.state_dict())


def fitted():
    model = net()
    model.load_state_dict(fine_tune(model, open_data(shuffled()), replace(SHORT, steps=200, lr=0.1)).state)
    return model


def shuffled():
    x, y = data()
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    return x[order], y[order]


def test_patience_ends_a_run_early():
    x, y = data()
    wrong = open_data((x, y.flip(0)))
    options = replace(SHORT, lr=0.1, steps=100, evaluations=50, patience=3)
    tuned = fine_tune(fitted(), wrong, options, heldout=source(data(seed=1)))
    assert (tuned.stopped_early, tuned.steps) == (True, 6)


def test_clipped_shares_are_told():
    shares = []
    options = replace(SHORT, steps=40)
    fine_tune(net(), source(), options, progress=lambda s: shares.append((s.r_clipped, s.d_clipped)))
    assert shares[0] == (1.0, 1.0)  # closed
    assert max(shares[-1]) < 1.0


def test_with_limits_closed_it_is_batch_norm_training():
    model, plain = net(), net().train()
    plain[1].momentum = 0.01
    options = replace(SHORT, r_max=1.0, d_max=0.0, steps=5)
    tuned = fine_tune(model, source(), options)
    optimizer = torch.optim.SGD(plain.parameters(), 0.01, momentum=0.9)
    x, y = data()
    for step, (images, labels) in enumerate(zip(x.split(8), y.split(8), strict=True)):
        optimizer.param_groups[0]["lr"] = rate_at(step, 5, 0.01)
        optimizer.zero_grad()
        nn.functional.cross_entropy(plain(images), labels).backward()
        optimizer.step()
    for name, tensor in plain.state_dict().items():
        if "running_var" not in name:  # an average of sigma here, of the variance there
            torch.testing.assert_close(tuned.state[name], tensor, rtol=1e-4, atol=1e-6)


def test_bfloat16_on_the_cpu():
    tuned = fine_tune(net(), source(), replace(SHORT, precision="bfloat16"))
    assert all(t.dtype == torch.float32 for t in tuned.state.values() if t.is_floating_point())
    assert not torch.equal(tuned.state["0.weight"], fine_tune(net(), source(), SHORT).state["0.weight"])


def test_a_module_loaded_for_inference_is_trained_all_the_same():
    model = net().requires_grad_(False)
    assert not torch.equal(fine_tune(model, source(), SHORT).state["0.weight"], model.state_dict()["0.weight"])
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_without_a_layer_to_train_it_says_so():
    frozen, by_mode = net(), net().train()
    frozen[1].requires_grad_(False)
    by_mode[1].eval()
    for model in (nn.Sequential(nn.Flatten(), nn.Linear(36, 3)), frozen, by_mode):
        with pytest.raises(UsageError, match="no BatchNorm layer to fine-tune"):
            fine_tune(model, source(), SHORT)


def test_layers_that_cannot_be_converted_are_named():
    with pytest.raises(UsageError, match=r"0 \(NormAct\)"):
        fine_tune(nn.Sequential(NormAct(1), *net()), source(), SHORT)


def test_torchscript_onnx_and_bare_tensors_are_refused(tmp_path):
    scripted = torch.jit.script(net())
    for model in (scripted, from_module(scripted)):
        with pytest.raises(UsageError, match=r"TorchScript.*pass the checkpoint it was made from"):
            fine_tune(model, source(), SHORT)
    with pytest.raises(UsageError, match=r"ONNX.*pass the PyTorch checkpoint"):
        fine_tune(open_model(exported_as_onnx(net(), tmp_path / "m.onnx")), source(), SHORT)
    torch.save(net().state_dict(), tmp_path / "m.pt")
    with pytest.raises(UsageError, match=r"holds tensors only: name the architecture with arch"):
        fine_tune(open_model(tmp_path / "m.pt"), source(), SHORT)


def test_a_model_that_was_opened_can_be_given():
    model = net()
    tuned = fine_tune(from_module(model), source(), SHORT)
    assert_same(tuned.state, fine_tune(model, source(), SHORT).state)


def test_data_that_do_not_fit_are_the_data_s_fault():
    with pytest.raises(DataError, match=r"cannot be run on .*Check the shape"):
        fine_tune(net(), source((torch.randn(8, 3, 6, 6), torch.zeros(8, dtype=torch.long))), SHORT)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"steps": 0}, "^steps 0"),
        ({"steps": 5, "epochs": 1}, "^steps and epochs"),
        ({"optimizer": "lion"}, "^optimizer lion"),
        ({"train": "head"}, "^train head"),
        ({"loss": "hinge"}, "^loss hinge"),
        ({"lr": 0.0}, "^lr"),
        ({"lr": float("nan")}, "^lr"),
        ({"momentum": 1.0}, "^momentum"),
        ({"norm_momentum": 0.0}, "^norm_momentum"),
        ({"precision": "float16"}, "needs a GPU"),
        ({"checkpoint_every": 0}, "^checkpoint_every"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, says):
    with pytest.raises(UsageError, match=says):
        FineTuneOptions(**options)


def test_the_rate_rises_and_falls():
    rates = [rate_at(step, 100, 1.0) for step in range(100)]
    assert rates[4] == rates[5] == max(rates) == 1.0
    assert rates[:5] == sorted(rates[:5])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert 0 < rates[-1] < 0.01
    assert rate_at(0, 1, 1.0) == 1.0


def exported(model, *, fixed=False, train=False):
    batch = None if fixed else ({0: torch.export.Dim("batch", min=1)},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(model.train(train), (torch.randn(8, 1, 9, 9),), dynamic_shapes=batch)


@pytest.mark.parametrize("decomposed", [False, True])
def test_exported_programs_train_like_the_module_they_came_from(decomposed):
    model, images = randomized(Nested()), source((torch.randn(40, 1, 9, 9), data()[1]))
    model.no_statistics = nn.Identity()
    model.eval()
    program = exported(model)
    if decomposed:
        program = program.run_decompositions()
    tuned = fine_tune(from_module(program), images, SHORT)
    expected = fine_tune(model, images, SHORT).state
    assert set(tuned.state) == set(expected)
    for name, tensor in expected.items():
        torch.testing.assert_close(tuned.state[name], tensor, rtol=1e-4, atol=1e-5, msg=name)


def test_programs_exported_in_training_mode_are_refused():
    for program in (exported(nn.Sequential(nn.BatchNorm2d(1)), train=True),):
        for form in (program, program.run_decompositions()):
            with pytest.raises(UsageError, match="exported in training mode"):
                fine_tune(from_module(form), source(), SHORT)


def test_programs_of_a_fixed_batch_size_get_batches_of_that_size():
    model = from_module(exported(net(), fixed=True))
    x, y = torch.randn(20, 1, 9, 9), torch.zeros(20, dtype=torch.long)
    assert fine_tune(model, source((x, y)), FineTuneOptions(epochs=1, batch_size=3)).steps == 2
    with pytest.raises(DataError, match="no batch of 8 samples"):
        fine_tune(model, source((x[:5], y[:5])), FineTuneOptions(epochs=1))


def test_a_loss_that_nothing_depends_on_is_said():
    with pytest.raises(UsageError, match="does not depend on the parameters"):
        fine_tune(net(), source(), replace(SHORT, loss=lambda outputs, labels: outputs.detach().mean()))


def test_a_device_that_is_not_there_is_said():
    with pytest.raises(UsageError, match="device nowhere"):
        fine_tune(net(), source(), replace(SHORT, device="nowhere"))


def test_patience_needs_held_out_data():
    with pytest.raises(UsageError, match=r"^patience"):
        fine_tune(net(), source(), replace(SHORT, patience=3))
