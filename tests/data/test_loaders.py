"""Loaders, callables and generators: forms of batches, random numbers, prints, and errors half-way."""

import gc
import random
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from bncheck.data import DataOptions, mixing, open_data
from bncheck.errors import DataError, UsageError


def numbered(count, size):
    """Batches of `size` samples; the value of a sample is its number, and so is its label."""
    numbers = torch.arange(count)
    return [(chunk.float()[:, None], chunk) for chunk in numbers.split(size)]


def labels_of(batches):
    return [label for batch in batches for label in batch.labels.tolist()]


@pytest.mark.parametrize("batch", [np.ones((3, 2)), (torch.ones(3, 2),), [np.ones((3, 2)), [0, 1, 2]]])
def test_forms_of_a_batch(batch):
    (read,) = open_data([batch]).given_batches(10)
    assert read.inputs.tolist() == [[1, 1]] * 3


@pytest.mark.parametrize("batch", [torch.ones(3, 2), (torch.ones(3, 2), torch.zeros(3)), {"x": torch.ones(3, 2)}])
def test_a_callable_may_give_a_single_batch(batch):
    (read,) = open_data(lambda: batch).given_batches(10)
    assert read.inputs.tolist() == [[1, 1]] * 3


def test_images_of_a_loader_are_preprocessed():
    batches = [np.full((2, 5, 5, 3), 51, dtype=np.uint8)]
    (batch,) = open_data(batches, DataOptions(crop=2, mean=(0.2,))).batches(10)
    assert tuple(batch.inputs.shape) == (2, 3, 2, 2)
    assert batch.inputs.abs().max() < 1e-6


def test_a_generator_function_is_called_for_every_pass():
    def batches():
        yield from numbered(6, 2)

    source = open_data(batches)
    assert [len(labels_of(source.given_batches(2))) for _ in range(3)] == [6, 6, 6]


def test_a_one_shot_iterator_is_kept():
    source = open_data(iter(numbered(6, 4)))
    assert source.samples == 6
    assert [len(labels_of(source.batches(2))) for _ in range(3)] == [6, 6, 6]


def test_a_model_that_writes_to_its_input_leaves_the_loader_alone():
    batches = [(torch.zeros(2, 3), torch.zeros(2)), (torch.zeros(2, 4), torch.zeros(2))]
    for source in (open_data(batches), open_data(iter(batches))):
        for read in (source.given_batches(2), source.batches(2), source.given_batches(2)):
            for batch in read:
                assert not batch.inputs.any()
                batch.inputs.add_(1)


def test_data_loaders():
    dataset = TensorDataset(torch.arange(20.0)[:, None], torch.arange(20))
    source = open_data(DataLoader(dataset, batch_size=6))
    assert source.samples == 20
    assert labels_of(source.given_batches(1)) == list(range(20))
    assert open_data(DataLoader(dataset, batch_size=6, drop_last=True)).samples is None


def test_a_shuffling_loader_is_read_no_further_than_the_limit():
    class Counting(TensorDataset):
        read = 0

        def __getitem__(self, index):
            self.read += 1
            return super().__getitem__(index)

    dataset = Counting(torch.arange(1000))
    drawn = list(open_data(DataLoader(dataset, batch_size=10, shuffle=True)).batches(7, limit=25))
    assert dataset.read == 30
    assert len({int(n) for batch in drawn for n in batch.inputs}) == 25


def random_batches():
    for _ in range(4):
        values = [random.random(), np.random.rand(), torch.rand(()).item()]
        yield torch.tensor([values])


def global_states():
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()


def test_random_numbers_of_the_loader_depend_on_the_seed_alone():
    source = open_data(random_batches)
    first = torch.cat([batch.inputs for batch in source.batches(2, seed=5)])
    again = []
    for batch in source.batches(2, seed=5):
        again.append(batch.inputs)
        random.random(), np.random.rand(), torch.rand(1)  # the caller draws in between
    torch.testing.assert_close(torch.cat(again), first)
    assert len(first.unique()) == first.numel()
    other = torch.cat([batch.inputs for batch in source.batches(2, seed=6)])
    assert not torch.equal(other, first)


@pytest.mark.parametrize("ending", ["exhausted", "closed", "error"])
def test_the_callers_random_states_are_restored(ending):
    def failing():
        yield from random_batches()
        raise OSError("disk")

    before = global_states()
    batches = open_data(failing if ending == "error" else random_batches).given_batches(1)
    next(batches)
    assert global_states() == before  # also while the loader waits
    if ending == "closed":
        batches.close()
    elif ending == "error":
        with pytest.raises(DataError, match="OSError: disk"):
            list(batches)
    else:
        list(batches)
    assert global_states() == before


def test_the_generator_of_a_loader_is_not_advanced():
    generator = torch.Generator().manual_seed(1)
    loader = DataLoader(TensorDataset(torch.arange(30)), batch_size=5, shuffle=True, generator=generator)
    before = generator.get_state()
    source = open_data(loader)
    first, again, other = ([int(n) for b in source.given_batches(5) for n in b.inputs] for _ in range(3))
    assert first == again == other
    assert torch.equal(generator.get_state(), before)


def test_prints_go_to_stderr(capsys):
    def chatty():
        print("opening")
        yield torch.zeros(2, 2)
        print("done")

    list(open_data(chatty).batches(2))
    assert capsys.readouterr() == ("", "opening\ndone\n")


@pytest.mark.parametrize("read", ["batches", "given_batches"])
def test_a_loader_is_closed_when_the_caller_stops(read, monkeypatch, capsys):
    monkeypatch.setattr(mixing, "BUFFER_SAMPLES", 4)
    closed = []

    def batches():
        try:
            yield from numbered(100, 2)
        finally:
            print("closing")
            closed.append(True)

    reading = getattr(open_data(batches), read)(2)
    next(reading)
    assert not closed
    reading.close()
    assert closed
    assert capsys.readouterr() == ("", "closing\n")


def raise_half_way():
    yield torch.zeros(2, 2)
    raise ValueError("sample 7 is broken")


def leave_half_way():
    yield torch.zeros(2, 2)
    sys.exit(3)


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        (raise_half_way, "raise_half_way: the loader raised ValueError: sample 7 is broken"),
        (leave_half_way, "leave_half_way: the loader raised SystemExit: 3"),
        (lambda: 1 / 0, "<lambda>: the loader raised ZeroDivisionError: division by zero"),
        (list, "list gave no samples"),
        (lambda: None, "a NoneType is not an iterable of batches"),
        (lambda: "data.npz", "a str is not an iterable of batches"),
        ([torch.zeros(0, 2)], "list gave no samples"),
        ([("a", 1)], "the input is a str, not a tensor"),
        ([(torch.zeros(1),) * 3], r"tuple of 3 elements\. Accepted are x, \(x, y\) and a dict"),
        ([torch.tensor(1.0)], "a batch without a tensor that has axes"),
    ],
)
def test_loaders_that_fail(loader, message):
    for read in ("batches", "given_batches"):
        with pytest.raises(DataError, match=message):
            list(getattr(open_data(loader), read)(2))


def test_the_cause_is_kept():
    with pytest.raises(DataError) as caught:
        list(open_data(raise_half_way).batches(2))
    assert isinstance(caught.value.__cause__, ValueError)


def test_interrupts_pass_through():
    def interrupted():
        yield torch.zeros(2, 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(open_data(interrupted).batches(2))


class FailingDataset(IterableDataset):
    def __iter__(self):
        yield torch.zeros(2)
        raise ValueError("broken in the worker")


def test_a_failing_worker_is_one_line(monkeypatch):
    # torch waits this long for the worker when the loader is collected, which is done here, not in a later test.
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.1)
    source = open_data(DataLoader(FailingDataset(), batch_size=1, num_workers=1))
    with pytest.raises(DataError, match=r"the loader raised ValueError: broken in the worker$"):
        list(source.given_batches(1))
    gc.collect()


def test_things_that_are_no_loaders():
    with pytest.raises(DataError, match=r"TensorDataset gives samples, not batches; wrap it in \S*DataLoader"):
        open_data(TensorDataset(torch.zeros(3)))
    with pytest.raises(DataError, match="an int is not an iterable of batches"):
        open_data(3)


def test_callable_in_a_file(tmp_path):
    (tmp_path / "my_loader.py").write_text(
        "import torch\n\ndef train():\n    yield torch.ones(2, 3), torch.tensor([0, 1])\n"
    )
    source = open_data(f"{tmp_path}/my_loader.py:train")
    assert source.name.endswith("my_loader.py:train")
    assert [labels_of(source.given_batches(1)) for _ in range(2)] == [[0, 1], [0, 1]]
    with pytest.raises(UsageError, match="has no 'test'"):
        open_data(f"{tmp_path}/my_loader.py:test")
