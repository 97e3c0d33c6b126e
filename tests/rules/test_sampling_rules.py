"""BN605 (no random draws), BN609 (noisy batches), BN612 (tiny n), and BN603 beside training data."""

from __future__ import annotations

import math

import pytest
import torch
from digit_nets import ARCH, SAMPLES, assert_healthy, codes, dense_net, only, train
from hand_built import effect, evidence, measured
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

import bncheck
from bncheck.core import Exchangeability
from bncheck.data import DataOptions
from bncheck.evidence import CloserLook, TrainingEvidence
from bncheck.results.report import DataFacts
from bncheck.rules.drift.bn603 import judge as drift
from bncheck.rules.sampling.bn605 import judge as not_exchangeable
from bncheck.rules.sampling.bn609 import judge as noisy_batches
from bncheck.rules.sampling.bn612 import judge as tiny_batches


def by_class(data, size):
    """Batches in the order of the labels."""
    x, y = data
    order = y.argsort(stable=True)
    return list(zip(x[order].split(size), y[order].split(size), strict=True))


def of_classes(data, size, classes):
    """Batches of samples drawn from a few classes each."""
    x, y = data
    generator = torch.Generator().manual_seed(0)
    batches = []
    for _ in range(len(y) // size):
        chosen = torch.randperm(10, generator=generator)[:classes]
        pool = torch.isin(y, chosen).nonzero().flatten()
        batches.append(x[pool[torch.randint(0, len(pool), (size,), generator=generator)]])
    return batches


def shuffled(data, size, seed=0):
    return DataLoader(
        TensorDataset(*data), size, shuffle=True, drop_last=True, generator=torch.Generator().manual_seed(seed)
    )


# BN605


@pytest.mark.slow
@pytest.mark.parametrize(("size", "classes"), [(4, 1), (16, 2), (16, 4), (64, 2)])
def test_a_training_loader_of_few_classes_a_batch_is_a_warning(healthy, training, held_out, size, classes):
    report = bncheck.inspect(healthy, held_out, train_data=of_classes(training, size, classes))
    finding = only(report, "BN605")
    assert (finding.severity, finding.layer, report.summary.exit_code) == ("warning", None, 1)
    assert finding.evidence["effective_batch_size"] < size / 1.5
    assert finding.evidence["batch_size"] == size


@pytest.mark.slow
def test_sorted_files_are_no_sampling_and_only_mentioned(healthy, training, held_out):
    x, y = training
    order = y.argsort()
    report = bncheck.inspect(healthy, held_out, train_data=(x[order], y[order]))
    assert_healthy(report)
    assert only(report, "BN605").severity == "info"


@pytest.mark.slow
def test_sorted_evaluation_data_are_normal_and_only_mentioned(healthy, training, held_out):
    report = bncheck.inspect(healthy, by_class(held_out, 16), train_data=shuffled(training, 16))
    assert_healthy(report)
    assert only(report, "BN605").severity == "info"


def test_class_folders_are_listed_by_class_and_say_nothing_of_any_order(healthy, held_out, tmp_path):
    for number, (image, label) in enumerate(zip(*held_out, strict=True)):
        (tmp_path / f"{label}").mkdir(exist_ok=True)
        pixels = (255 * image).round().byte().numpy()
        Image.fromarray(pixels[0], "L").save(tmp_path / f"{label}" / f"{number:03}.png")
    report = bncheck.inspect(healthy, tmp_path, data_options=DataOptions(channels="gray"))
    assert_healthy(report)
    assert codes(report) == []


@pytest.mark.slow
@pytest.mark.parametrize(("size", "seed"), [(8, 0), (8, 1), (16, 2), (32, 0), (32, 1), (100, 2)])
def test_shuffled_loaders_are_no_fault(healthy, training, held_out, size, seed):
    report = bncheck.inspect(healthy, held_out, train_data=shuffled(training, size, seed))
    assert_healthy(report)
    assert codes(report) == []


GROUPED = Exchangeability(32, 16, 5.0, "bn", 1.1, 0.1)
FACTS = DataFacts("val.npz", 1000, 64, True)


def sampling(order=None, *, own=True, size=16, values=None, noise=None, **changes):
    given = {"measured": {}, "smallest_detectable_gap": 0.05} | changes
    return TrainingEvidence("train", 1000, size, own, order=order, values=values or {}, noise=noise or {}, **given)


@pytest.mark.parametrize(
    ("order", "found"),
    [
        (GROUPED, 1),
        (Exchangeability(32, 16, 5.0, "bn", 2.0, 1.0), 0),
        (Exchangeability(32, 16, 1.4, "bn", 1.0, 0.01), 0),
        (Exchangeability(32, 256, 5.0, "bn", 1.0, 0.01), 0),
        (None, 0),
    ],
    ids=["grouped", "may be chance", "hardly matters", "little of the variance", "too few"],
)
def test_batches_must_differ_by_more_than_chance_and_by_enough(order, found):
    assert len(list(not_exchangeable(evidence(measured(0.1), training=sampling(order))))) == found


def test_one_order_is_told_once():
    seen = evidence(measured(0.1), data=FACTS, training=sampling(GROUPED, own=False), closer=CloserLook(order=GROUPED))
    (finding,) = not_exchangeable(seen)
    assert finding.evidence["source"] == "val.npz"


# BN609


@pytest.mark.slow
def test_tiny_training_batches_are_noisy_and_the_size_that_is_not_is_told(training, held_out):
    torch.manual_seed(0)
    net = train(dense_net(), training, batch=4, epochs=2)
    report = bncheck.inspect(net, held_out, train_data=shuffled(training, 4))
    finding = next(finding for finding in report.findings if finding.code == "BN609")
    assert finding.severity == "info"
    enough = finding.evidence["enough"]
    assert enough in (16, 32)
    again = bncheck.inspect(net, held_out, train_data=shuffled(training, enough))
    assert "BN609" not in codes(again)
    less = bncheck.inspect(net, held_out, train_data=shuffled(training, enough // 4))
    assert "BN609" in codes(less)


@pytest.mark.parametrize(("noise", "order", "found"), [(0.26, None, 1), (0.24, None, 0), (0.5, GROUPED, 0)])
def test_noise_counts_above_its_limit_unless_batches_are_grouped(noise, order, found):
    seen = evidence(measured(0.1), training=sampling(order, noise={"bn": noise}))
    assert len(list(noisy_batches(seen))) == found


def test_noise_falls_with_the_root_of_the_batch_size():
    (finding,) = noisy_batches(evidence(measured(0.1), training=sampling(size=4, noise={"bn": 0.7})))
    assert finding.evidence["enough"] == 32


# BN612


def test_the_divisors_of_tiny_batches_are_told_layer_by_layer(training, held_out):
    torch.manual_seed(0)
    net = train(dense_net(), training, batch=16, epochs=2)
    report = bncheck.inspect(net, held_out, train_data=shuffled(training, 16))
    finding = next(finding for finding in report.findings if finding.code == "BN612")
    assert finding.severity == "info"
    assert finding.evidence["layers"] == ["2", "6"]
    assert finding.evidence["values"] == [16, 16]
    assert finding.evidence["factors"] == pytest.approx([math.sqrt(16 / 15)] * 2)


@pytest.mark.slow
def test_maps_give_values_enough(healthy, training, held_out):
    few = tuple(tensor[:200] for tensor in training)
    assert "BN612" not in codes(bncheck.inspect(healthy, held_out, train_data=shuffled(few, 2)))


@pytest.mark.parametrize(("values", "found"), [(25, 1), (26, 0), (1, 0)])
def test_a_factor_counts_above_its_limit(values, found):
    seen = evidence(measured(0.1), training=sampling(values={"bn": values}))
    assert len(list(tiny_batches(seen))) == found


def test_without_training_data_nothing_is_said_of_the_training():
    seen = evidence(measured(0.1))
    assert not [*not_exchangeable(seen), *noisy_batches(seen), *tiny_batches(seen)]


# BN603 beside training data


def test_statistics_that_describe_neither_are_stale(training, held_out):
    report = bncheck.inspect(SAMPLES / "stale_statistics.ckpt", held_out, arch=ARCH, train_data=training)
    finding = only(report, "BN603")
    assert (finding.severity, finding.evidence["cause"]) == ("error", "stale")
    assert "they are stale" in finding.message
    assert "Recalibrate the statistics on the training data" in finding.fix
    beside = finding.evidence["gaps_on_training_data"]
    assert list(beside) == finding.evidence["layers"]
    assert min(beside.values()) > 0.5


@pytest.mark.slow
def test_statistics_that_describe_the_training_data_meet_another_domain(healthy, training, held_out):
    x, y = held_out
    noise = 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    for data in ((x + noise, y), (torch.nn.functional.avg_pool2d(x, 3, 1, 1), y)):
        finding = only(bncheck.inspect(healthy, data, train_data=shuffled(training, 32)), "BN603")
        assert finding.evidence["cause"] == "other domain"
        assert "these data are of another kind" in finding.message
        assert "preprocessed as those were" in finding.fix
        assert finding.severity != "info"


@pytest.mark.parametrize(
    ("gap", "lower", "smallest", "cause"),
    [(0.9, 0.8, 0.05, "stale"), (0.1, 0.0, 0.05, "other domain"), (0.1, 0.0, 0.4, None), (0.4, 0.2, 0.05, None)],
    ids=["stale", "fits", "too few to say", "undecided"],
)
def test_the_cause_is_named_where_the_training_data_can_tell(gap, lower, smallest, cause):
    on_training = {"bn": measured(gap, lower=lower)}
    seen = evidence(
        measured(1.0),
        effect=effect(predictions_changed=0.5),
        training=sampling(measured=on_training, smallest_detectable_gap=smallest),
    )
    (finding,) = drift(seen)
    assert finding.evidence["cause"] == cause


def test_layers_are_named_by_how_far_they_move_the_outputs():
    layers = [measured(1.0, name=name) for name in "abc"]
    alone = {"b": 0.7, "c": 0.2, "a": 0.1}
    moved = {name: effect(output_change=change) for name, change in alone.items()}
    seen = evidence(*layers, effect=effect(predictions_changed=0.5), closer=CloserLook(alone=moved))
    (finding,) = drift(seen)
    assert finding.evidence["layers"] == ["b", "c", "a"]
    assert finding.evidence["output_change_alone"] == alone
    assert "by itself b moves the outputs most, by 70%" in finding.message
