"""The passes: what is read, what is compared, and that the user's things stay as they were."""

import copy
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import bncheck
from bncheck.data import DataOptions
from bncheck.errors import DataError, UsageError


def classifier(seed: int = 0) -> nn.Module:
    """Untrained, but with statistics that fit standard normal data."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8, momentum=None), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 4)
    )
    net.train()
    for _ in range(5):
        net(torch.randn(256, 1, 6, 6))
    return net.eval()


def snapshot(net: nn.Module) -> dict[str, object]:
    """Everything bncheck promises to leave alone."""
    return {
        "state": {name: value.clone() for name, value in net.state_dict().items()},
        "modes": {name: module.training for name, module in net.named_modules()},
        "hooks": {name: (len(m._forward_hooks), len(m._forward_pre_hooks)) for name, m in net.named_modules()},
        "gradients": {name: value.requires_grad for name, value in net.named_parameters()},
    }


def assert_untouched(before: dict[str, object], net: nn.Module) -> None:
    after = snapshot(net)
    for name, value in before.pop("state").items():
        assert torch.equal(value, after["state"][name]), name
    after.pop("state")
    assert after == before


def test_the_users_module_stays_bit_identical() -> None:
    net = classifier().train()
    net[1].register_forward_hook(lambda *_: None)
    before = snapshot(net)
    bncheck.inspect(net, torch.randn(100, 1, 6, 6) + 3)
    assert_untouched(before, net)


def test_the_users_module_stays_bit_identical_when_the_loader_raises() -> None:
    def batches() -> Iterator[torch.Tensor]:
        yield torch.randn(50, 1, 6, 6)
        raise OSError("the disk is gone")

    class Loader:
        def __iter__(self) -> Iterator[torch.Tensor]:
            return batches()

    net = classifier().train()
    before = snapshot(net)
    with pytest.raises(DataError, match="the disk is gone"):
        bncheck.inspect(net, Loader())
    assert_untouched(before, net)


def test_the_random_state_of_the_caller_is_kept() -> None:
    torch.manual_seed(7)
    np.random.seed(7)
    expected = torch.rand(3), np.random.rand(3)
    torch.manual_seed(7)
    np.random.seed(7)
    bncheck.inspect(classifier_without_seeding(), torch.zeros(64, 1, 6, 6).uniform_(generator=torch.Generator()))
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])


def classifier_without_seeding() -> nn.Module:
    with torch.random.fork_rng():
        return classifier()


def test_the_same_seed_gives_the_same_report() -> None:
    net, x = classifier(), torch.randn(300, 1, 6, 6)
    first, second, other = (bncheck.inspect(net, x, limit=200, seed=seed).to_dict() for seed in (4, 4, 5))
    for report in (first, second, other):
        report.pop("run")
    assert first == second
    assert first != other


def test_sorted_data_do_not_look_like_drift_under_a_limit() -> None:
    net = classifier()
    x = torch.randn(2000, 1, 6, 6)
    x = x[x.mean((1, 2, 3)).argsort()]
    assert bncheck.inspect(net, x, limit=200).layers[0].gap < 0.1
    assert bncheck.inspect(net, x[:200]).layers[0].gap > 0.15


@pytest.mark.parametrize("batch_size", [1, 3, 64, 500])
def test_gaps_do_not_depend_on_the_batch_size(batch_size: int) -> None:
    net, x = classifier(), torch.randn(130, 1, 6, 6) + 0.5
    expected = bncheck.inspect(net, x).layers[0]
    layer = bncheck.inspect(net, x, batch_size=batch_size).layers[0]
    assert layer.gap == pytest.approx(expected.gap, rel=1e-5)
    assert layer.own_gap == pytest.approx(expected.own_gap, rel=0.05)


def test_reading_ends_once_the_means_are_known_well_enough() -> None:
    """Both passes read the same samples, and what they say is what those samples say."""
    net, x = classifier(), torch.randn(4000, 1, 6, 6)
    for until in (0.05, 0.02):
        report = bncheck.inspect(net, x, until=until)
        read = report.data.samples
        (note,) = [note for note in report.run.notes if "reading ended" in note]
        assert note.startswith(f"reading ended after {read} of 4000 samples: every layer's mean is known to 0.0")
        assert read < 4000
        assert float(note.split("known to ")[1].split()[0]) <= until
    assert report.layers[0].gap == pytest.approx(bncheck.inspect(net, x).layers[0].gap, abs=0.1)


def test_where_they_are_not_known_so_well_all_is_read_and_it_is_said() -> None:
    net, x = classifier(), torch.randn(300, 1, 6, 6)
    whole = bncheck.inspect(net, x)
    for until, told in ((1e-6, "standard deviations only (until 1e-06)"), (0.5, None)):
        report = bncheck.inspect(net, x, until=until)
        assert report.data.samples == 300
        assert [layer.gap for layer in report.layers] == [layer.gap for layer in whole.layers]
        (note,) = report.run.notes
        assert note.startswith("all was read, and every layer's mean is known to 0.0")
        assert told is None or note.endswith(told)
    with pytest.raises(UsageError, match=r"^until -1"):
        bncheck.inspect(net, x, until=-1)


def test_reading_ends_early_without_a_batch_pass_too() -> None:
    report = bncheck.inspect(fixed_batch_program(1), torch.randn(2000, 1, 6, 6), until=0.1)
    assert report.layers[0].own_gap is None
    assert 8 <= report.data.samples < 2000
    assert any(note.startswith(f"reading ended after {report.data.samples} of 2000") for note in report.run.notes)


def test_own_gap_is_small_downstream_of_a_wrong_layer() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8, momentum=None)) for _ in range(4)))
    net.train()
    for _ in range(20):
        net(torch.randn(512, 8))
    net[1][1].running_mean += 1.0
    report = bncheck.inspect(net, torch.randn(2000, 8))
    gaps, own = [layer.gap for layer in report.layers], [layer.own_gap for layer in report.layers]
    assert gaps[1] > 1
    assert gaps[2] > 0.25
    assert own[1] > 1
    assert max(own[0], own[2], own[3]) < 0.1


def test_recalibrated_accuracy_is_measured_on_samples_the_statistics_have_not_seen() -> None:
    net = classifier()
    x = torch.randn(400, 1, 6, 6)
    labels = net(x).argmax(1)
    shifted = copy.deepcopy(net)
    shifted[1].running_mean += 2
    effect = bncheck.inspect(shifted, (x, labels)).effect
    assert effect.accuracy.stored < 0.8
    assert effect.accuracy.recalibrated > 0.9
    assert effect.accuracy.batch > 0.9
    assert effect.predictions_changed == pytest.approx(1 - effect.accuracy.stored, abs=0.1)


def test_a_healthy_model_changes_no_predictions() -> None:
    effect = bncheck.inspect(classifier(), torch.randn(400, 1, 6, 6)).effect
    assert effect.predictions_changed < 0.05
    assert effect.accuracy is None


def test_outputs_that_are_no_class_scores_give_the_relative_change() -> None:
    net = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1, bias=False))
    effect = bncheck.inspect(net, 3 * torch.randn(1000, 1)).effect
    assert effect.predictions_changed is None
    # The output shrinks to a third under the data's own statistics.
    assert effect.output_change == pytest.approx(2 / 3, abs=0.03)


class TwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"features": x, "logits": self.norm(x)}


def test_the_prediction_can_be_chosen_among_outputs() -> None:
    x = torch.randn(200, 4) * torch.tensor([1.0, 5.0, 0.2, 1.0])
    first = bncheck.inspect(TwoOutputs(), x).effect
    chosen = bncheck.inspect(TwoOutputs(), x, output="logits").effect
    assert first.output_change == 0
    assert chosen.output_change > 0.3
    with pytest.raises(UsageError, match="the model returns the keys features, logits"):
        bncheck.inspect(TwoOutputs(), x, output="scores")


class NamedInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return self.norm(left - right)


def test_several_inputs_go_by_name() -> None:
    data = {"right": np.zeros((100, 4), np.float32), "left": np.ones((100, 4), np.float32)}
    (layer,) = bncheck.inspect(NamedInputs(), data).layers
    assert layer.table.measured_mean == pytest.approx(np.ones(4))


def test_the_users_metric_replaces_accuracy() -> None:
    net = classifier()
    x = torch.randn(100, 1, 6, 6)

    def negative_error(outputs: torch.Tensor, labels: torch.Tensor) -> float:
        assert len(outputs) == len(labels) == 100
        return -float((outputs.argmax(1) - labels).abs().sum())

    effect = bncheck.inspect(net, (x, net(x).argmax(1)), metric=negative_error).effect
    assert effect.accuracy.stored == 0


def test_labels_out_of_range_are_an_error() -> None:
    with pytest.raises(DataError, match="labels run up to 7 but the model gives 4 scores"):
        bncheck.inspect(classifier(), (torch.randn(50, 1, 6, 6), torch.full((50,), 7)))
    with pytest.raises(DataError, match="labels go down to -1: labels are class numbers from 0"):
        bncheck.inspect(classifier(), (torch.randn(50, 1, 6, 6), torch.full((50,), -1)))


def test_data_of_the_wrong_shape_say_what_was_given_and_what_the_model_says() -> None:
    with pytest.raises(DataError, match=r"\(\d+, 3, 6, 6\) float32.*to have 1 channels"):
        bncheck.inspect(classifier(), torch.randn(50, 3, 6, 6))


@pytest.mark.parametrize(("shape", "hinted"), [((50, 7, 6, 1), True), ((50, 3, 6, 6), False), ((50, 1, 1, 1), False)])
def test_channels_that_stand_last_are_told_from_other_shapes(shape: tuple[int, ...], hinted: bool) -> None:
    with pytest.raises(DataError, match="layout nhwc moves them" if hinted else "Check the shape"):
        bncheck.inspect(classifier(), torch.randn(*shape))


def test_a_table_with_a_column_too_many_is_asked_for_its_labels(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b,label\n" + "0.5,1.5,2\n" * 20)
    net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4))
    with pytest.raises(DataError, match=r"if it holds the labels, say label_column label\.$"):
        bncheck.inspect(net, tmp_path / "t.csv")


def test_what_is_known_of_the_data_is_said_at_once_and_noted() -> None:
    heard: list[tuple[str, int, int | None]] = []

    def progress(task: str, done: int, total: int | None) -> None:
        heard.append((task, done, total))

    pixels = torch.randint(0, 256, (40, 2, 2), dtype=torch.uint8)
    report = bncheck.inspect(classifier(), pixels, data_options=DataOptions(resize=10, crop=6), progress=progress)
    assert [task[:28] for task, done, _ in heard[:1] if done == 0] == ["Images of 2 x 2 (height x wi"]
    assert heard[0][0] in report.run.notes


def test_a_layer_that_is_never_run_is_named() -> None:
    class Auxiliary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.auxiliary = nn.BatchNorm1d(3), nn.BatchNorm1d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.auxiliary(x) if self.training else self.main(x)

    report = bncheck.inspect(Auxiliary(), torch.randn(100, 3))
    assert [(layer.name, layer.reason) for layer in report.layers] == [("main", None), ("auxiliary", "not-exercised")]
    assert [finding.code for finding in report.findings] == ["BN706"]


def fixed_batch_program(size: int) -> torch.export.ExportedProgram:
    return torch.export.export(classifier(), (torch.randn(size, 1, 6, 6),))


def test_a_program_of_fixed_batch_size_is_fed_that_many_at_a_time() -> None:
    report = bncheck.inspect(fixed_batch_program(32), torch.randn(200, 1, 6, 6))
    assert report.data.samples == 192
    assert report.data.batch_size == 32
    assert report.layers[0].own_gap is not None
    assert any("8 samples left out" in note for note in report.run.notes)


def test_a_program_of_batch_size_one_has_no_own_gap_and_says_why() -> None:
    report = bncheck.inspect(fixed_batch_program(1), torch.randn(100, 1, 6, 6))
    assert report.layers[0].gap is not None
    assert report.layers[0].own_gap is None
    assert report.effect is None or report.effect.predictions_changed is None
    assert any("batches of exactly 1" in note for note in report.run.notes)


def test_instance_norm_is_compared_with_the_average_of_its_instances() -> None:
    net = nn.InstanceNorm2d(3, affine=True, track_running_stats=True, momentum=1.0)
    x = torch.randn(500, 3, 6, 6) + 5 * torch.randn(500, 3, 1, 1)
    net.train()(x)
    (layer,) = bncheck.inspect(nn.Sequential(net), x).layers
    # The spread of the instances' means is no part of its variance, so nothing differs.
    assert layer.gap == pytest.approx(0, abs=1e-4)
    assert layer.own_gap == pytest.approx(0, abs=1e-4)


def test_one_sample_of_values_that_overflow_ends_without_a_warning() -> None:
    x = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    x[0, 1, 2, 2] = 1e30
    torch.manual_seed(0)
    report = bncheck.inspect(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval(), x)
    assert report.summary.verdict != "ok"
