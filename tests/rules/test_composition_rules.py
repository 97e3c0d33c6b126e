"""BN610 (depends on batch composition): what fires it, and what must not."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from digit_nets import ARCH, SAMPLES, assert_healthy, build_digits_net, codes, dense_net, only, train
from hand_built import evidence, measured

import bncheck
from bncheck.data import DataOptions, open_data
from bncheck.evidence.probed import Composition, Probed
from bncheck.formats import from_module
from bncheck.probes.answers import Reader
from bncheck.probes.questions.composition import probe_loader
from bncheck.probes.session import ProbeSession
from bncheck.rules import judge

ONE_CLASS = SAMPLES / "one_class_batches.pt"


def test_a_model_trained_on_batches_of_one_label_is_found(held_out):
    report = bncheck.inspect(ONE_CLASS, held_out, arch=ARCH)
    finding = only(report, "BN610")
    assert (finding.severity, finding.layer, report.summary.exit_code) == ("error", None, 1)
    seen = finding.evidence
    assert seen["accuracy_grouped"] > max(seen["accuracy_mixed"], seen["accuracy_stored"]) + 0.09
    assert seen["accuracy_recalibrated"] < 0.75
    assert "Recalibrating does not help" in finding.fix
    assert "--method renorm" in finding.fix


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_samples_are_drawn(held_out, seed):
    assert codes(bncheck.inspect(ONE_CLASS, held_out, arch=ARCH, seed=seed)) == ["BN610"]


def test_sorted_data_are_grouped_no_less(held_out):
    x, y = held_out
    order = y.argsort()
    report = bncheck.inspect(ONE_CLASS, (x[order], y[order]), arch=ARCH)
    assert [finding.code for finding in report.findings if finding.severity != "info"] == ["BN610"]


def test_without_labels_there_are_no_groups(held_out):
    assert codes(bncheck.inspect(ONE_CLASS, held_out[0], arch=ARCH)) == []


def test_a_metric_of_the_users_own_counts_no_right_predictions(held_out):
    def metric(outputs: torch.Tensor, labels: torch.Tensor) -> float:
        return float((outputs.argmax(1) == labels).float().mean())

    assert "BN610" not in codes(bncheck.inspect(ONE_CLASS, held_out, arch=ARCH, metric=metric))


def test_wrong_statistics_are_not_blamed_on_the_batches(held_out):
    """Its own statistics help in any batch, so its composition does not matter."""
    report = bncheck.inspect(SAMPLES / "stale_statistics.ckpt", held_out, arch=ARCH)
    assert codes(report) == ["BN603"]


@pytest.mark.parametrize("trained", [False, True], ids=["untrained", "two labels"])
def test_guesses_do_not_win(training, held_out, trained):
    x, y = held_out
    torch.manual_seed(0)
    net = train(dense_net(), (training[0], training[1] % 2)) if trained else dense_net(outputs=2).eval()
    assert "BN610" not in codes(bncheck.inspect(net, (x, y % 2)))


# The order of a training loader


def found_in(net: torch.nn.Module, loader: object) -> Composition | None:
    model = from_module(net)
    with model.session("loader", 0) as session:
        return probe_loader(
            ProbeSession(session, Reader(None, labelled=True), 64), open_data(loader, DataOptions()), 16
        )


def net_of_one_class(build) -> torch.nn.Module:
    net = build()
    net.load_state_dict(torch.load(ONE_CLASS)["model"])
    return net.eval()


@pytest.mark.parametrize("sorted_by_class", [True, False])
def test_the_training_loader_shows_it_in_its_own_order(training, sorted_by_class):
    x, y = training
    order = y.argsort(stable=True) if sorted_by_class else torch.arange(len(y))
    found = found_in(net_of_one_class(build_digits_net), (x[order], y[order]))
    assert found is not None
    assert (found.by_label, found.batch_size, found.batches) == (False, 16, 16)
    assert (found.grouped > found.mixed + 0.05) == sorted_by_class
    assert found.recalibrated == pytest.approx(found.stored, abs=0.1)


def test_batches_of_a_loader_are_called_so():
    seen = composition(0.92, others=(0.2, 0.2, 0.2))
    loader = dataclasses.replace(seen.composition, by_label=False)
    (finding,) = judge(evidence(probed=Probed(composition=loader)))
    assert "batches of 16 as the training loader gives them" in finding.message.lower()


def test_labels_of_another_numbering_are_no_dependence_on_the_batch(healthy, held_out):
    x, y = held_out
    report = bncheck.inspect(healthy, (x, (y + 1) % 10))
    assert_healthy(report)
    assert any("check that the labels number the classes as the model does" in note for note in report.run.notes)


@pytest.mark.slow
def test_guesses_are_not_laid_to_the_statistics(healthy, held_out):
    """Predictions at chance, however they are made: a note, and neither an order nor a dependence is made of it."""
    x, y = held_out
    shuffled = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(0))]
    note = "a guess is right hardly less often than these predictions"
    report = bncheck.inspect(healthy, (x, shuffled))
    assert any(note in each for each in report.run.notes)
    assert_healthy(report)
    assert not any(note in each for each in bncheck.inspect(healthy, held_out).run.notes)


def test_labels_that_are_no_classes_give_no_accuracy_and_a_note_says_so(healthy, held_out):
    x, y = held_out
    x, y = x[:100], y[:100]
    report = bncheck.inspect(healthy, (x, y.float() + 0.5))
    assert report.effect.accuracy is None
    assert [note for note in report.run.notes if note.startswith("no accuracy: the labels are no class numbers")]
    for labels in (y.float(), None):  # whole numbers are classes, and without labels nothing is missing
        data = x if labels is None else (x, labels)
        assert not any("no accuracy" in note for note in bncheck.inspect(healthy, data).run.notes)
    assert not any("labels number" in note for note in bncheck.inspect(healthy, (x, y)).run.notes)


# By hand


def composition(grouped: float, *, error: float = 0.01, others: tuple[float, float, float | None]) -> Probed:
    return Probed(composition=Composition(True, 16, 20, 320, grouped, error, *others))


@pytest.mark.parametrize(
    ("probed", "found"),
    [
        (composition(0.92, others=(0.21, 0.18, 0.20)), ["BN610"]),
        (composition(0.92, others=(0.21, 0.18, None)), ["BN610"]),
        (composition(0.19, others=(0.86, 0.86, 0.86)), []),
        (composition(0.45, others=(0.02, 0.0, 0.01)), []),
        (composition(0.92, others=(0.21, 0.18, 0.90)), []),
        (composition(0.92, others=(0.90, 0.18, 0.20)), []),
        (composition(0.92, others=(0.21, 0.90, 0.20)), []),
        (composition(0.92, error=0.5, others=(0.21, 0.18, 0.20)), []),
        (composition(0.80, error=0.024, others=(0.73, 0.67, 0.70)), ["BN610"]),
        (composition(0.80, error=0.03, others=(0.73, 0.67, 0.70)), []),
        (composition(0.80, error=0.001, others=(0.76, 0.67, 0.70)), []),
    ],
)
def test_grouped_batches_must_win_over_everything_else(probed, found):
    assert [finding.code for finding in judge(evidence(measured(0.1), probed=probed))] == found


def test_it_replaces_the_drift():
    seen = evidence(measured(1.0), probed=composition(0.92, others=(0.2, 0.2, 0.2)))
    assert [finding.code for finding in judge(seen)] == ["BN610"]
