import random
import textwrap

import numpy as np
import pytest
import torch
from model_networks import Net, Small, trained
from torch import nn

from bncheck.errors import ModelError, UsageError
from bncheck.formats import open_model
from bncheck.results.notes import sentences

X = torch.rand(2, 3, 8, 8)


def _open(tmp_path, content, arch=Small, **options):
    torch.save(content, tmp_path / "net.pth")
    return open_model(tmp_path / "net.pth", arch=arch, **options)


def _without(content, *leaves):
    return {name: value for name, value in content.items() if name.rpartition(".")[2] not in leaves}


def test_the_program_is_the_network(tmp_path):
    net = trained(Net())
    model = _open(tmp_path, net.state_dict(), Net)
    assert torch.equal(model.program(X), net(X))
    assert model.format == "state_dict"
    assert [layer.name for layer in model.layers] == [
        *("stem.bn_odd_9", "stem.inst", "group", "no_stats", "inner.1", "layer", "rms")
    ]
    assert not model.program.training
    assert sentences(model.notes) == ()
    assert model.layers[0].eps == 1e-3
    assert model.tensor_names[model.program.stem.bn_odd_9.running_var.data_ptr()] == "stem.bn_odd_9.running_var"


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "net.", "backbone.", "module.model.backbone.", "my.odd_9."]
)
def test_prefixes_are_stripped(tmp_path, prefix):
    net = trained(Small())
    model = _open(tmp_path, {prefix + name: value for name, value in net.state_dict().items()})
    assert torch.equal(model.program(X), net(X))
    assert sentences(model.notes) == (f"To fit the architecture, stripped the prefix {prefix!r}.",)


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Small()

    def forward(self, x):
        return self.backbone(x)


def test_prefixes_are_added_and_exchanged(tmp_path):
    net = trained(Small())
    model = _open(tmp_path, net.state_dict(), Wrapped)
    assert sentences(model.notes) == ("To fit the architecture, added the prefix 'backbone.'.",)
    assert torch.equal(model.program(X), net(X))
    exchanged = _open(tmp_path, {f"module.{name}": value for name, value in net.state_dict().items()}, Wrapped)
    assert sentences(exchanged.notes) == (
        "To fit the architecture, stripped the prefix 'module.' and added the prefix 'backbone.'.",
    )
    assert torch.equal(exchanged.program(X), net(X))


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda net: torch.compile(net, backend="eager")])
def test_a_wrapped_architecture_is_unwrapped(tmp_path, wrap):
    model = _open(tmp_path, trained(Small()).state_dict(), lambda: wrap(Small()))
    assert [layer.name for layer in model.layers] == ["bn1"]


def test_counters_and_bookkeeping_may_differ(tmp_path):
    content = _without(trained(Small()).state_dict(), "num_batches_tracked")
    extra = {"total_ops": torch.zeros(1), "bn1.total_params": torch.zeros(1), "n_averaged": torch.tensor(2)}
    model = _open(tmp_path, content | extra | {"epoch": 3, "bn1._extra_state": {"a": 1}})
    assert not model.layers[0].missing
    assert model.layers[0].updates is None
    assert model.layers[0].mean.tolist() == content["bn1.running_mean"].double().tolist()


@pytest.mark.parametrize("lost", [("running_mean",), ("running_var",), ("running_mean", "running_var")])
def test_missing_statistics_are_allowed_and_marked(tmp_path, lost):
    model = _open(tmp_path, _without(trained(Small()).state_dict(), *lost))
    (layer,) = model.layers
    assert layer.missing
    assert layer.expects_statistics
    assert layer.has_statistics


def test_only_layers_without_statistics_are_marked(tmp_path):
    content = trained(Net()).state_dict()
    del content["inner.1.running_mean"], content["inner.1.running_var"]
    assert [layer.name for layer in _open(tmp_path, content, Net).layers if layer.missing] == ["inner.1"]


def test_all_that_does_not_fit_is_listed(tmp_path):
    content = trained(Small()).state_dict()
    content["head.weight"] = content.pop("fc.weight")
    content["conv1.weight"] = torch.zeros(4, 3, 5, 5)
    content |= {f"extra{index}.weight": torch.zeros(2) for index in range(9)}
    with pytest.raises(ModelError, match="does not fit the architecture") as caught:
        _open(tmp_path, content)
    assert str(caught.value).splitlines()[1:] == [
        "  missing from the file (1):",
        "    fc.weight  (5, 4)",
        "  not in the architecture (10):",
        "    head.weight    (5, 4)",
        *(f"    extra{index}.weight  (2,)" for index in range(7)),
        "    ... and 2 more",
        "  of another shape (1):",
        "    conv1.weight  file (4, 3, 5, 5)  architecture (4, 3, 3, 3)",
        "Build the network that was trained (arch, its size and classes by arch_kwargs), or choose another state "
        "dict of the file with key.",
    ]


def test_parts_of_one_network_are_not_offered_as_models(tmp_path):
    """Statistics stand under two names, which the architecture has too: its head alone is another."""
    net = nn.ModuleDict({"stem": Small(), "body": Small(), "head": nn.Linear(5, 3)})
    own = net.state_dict()
    with pytest.raises(ModelError, match=r"(?s)head.weight  file \(2, 5\).*Build the network that was trained"):
        _open(tmp_path, own | {"head.weight": torch.zeros(2, 5)}, lambda: net)
    with pytest.raises(ModelError, match=r"seems to hold several models.*: stem, body"):
        _open(tmp_path, own, lambda: nn.Sequential(nn.Linear(2, 2)))


def test_statistics_of_another_length_do_not_fit(tmp_path):
    content = trained(Small()).state_dict() | {"bn1.running_mean": torch.zeros(7)}
    with pytest.raises(ModelError, match=r"bn1.running_mean  file \(7,\)  architecture \(4,\)"):
        _open(tmp_path, content)


def test_complex_values_do_not_fit_a_real_architecture(tmp_path):
    """PyTorch would drop the imaginary part."""
    state = trained(Small()).state_dict()
    name = next(name for name in state if name.endswith("weight"))
    with pytest.raises(ModelError, match=rf"complex in the file, real in the architecture \(1\):.*\n? *{name}"):
        _open(tmp_path, state | {name: state[name].to(torch.complex64)})
    counter = next(name for name in state if name.endswith("num_batches_tracked"))
    assert torch.equal(
        _open(tmp_path, state | {counter: torch.tensor(1 + 2j)}).program(X), _open(tmp_path, state).program(X)
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_run_in_the_architectures(tmp_path, dtype):
    net = trained(Small()).to(dtype)
    name = str(dtype).removeprefix("torch.")
    model = _open(tmp_path, net.state_dict())
    assert model.layers[0].dtype == name
    assert model.program(X).dtype == torch.float32
    assert sentences(model.notes) == (f"Values stored in {name} are run in the architecture's float32.",)
    np.testing.assert_allclose(model.layers[0].mean, net.bn1.running_mean.double().numpy(), rtol=1e-6)


ARCHITECTURE = textwrap.dedent(
    """
    import random
    import numpy as np
    import torch
    from torch import nn

    def build(classes=5, fail=False):
        print("building")
        if fail:
            raise ValueError("no such size\\nand more")
        random.random(); np.random.rand(); torch.rand(3)
        net = nn.Module()
        net.conv1, net.bn1, net.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, classes)
        return net

    def nothing():
        return {"a": 1}

    def lazy():
        return nn.Sequential(nn.LazyBatchNorm2d())

    def meta():
        with torch.device("meta"):
            return nn.BatchNorm2d(3)

    def leaves():
        raise SystemExit(3)

    instance = build()
    """
)


@pytest.fixture
def arch_file(tmp_path):
    (tmp_path / "arch_of_test.py").write_text(ARCHITECTURE)
    return str(tmp_path / "arch_of_test.py")


def test_an_architecture_from_a_file(tmp_path, arch_file, capsys):
    content = trained(Small(9)).state_dict()
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    model = _open(tmp_path, content, f"{arch_file}:build", arch_kwargs={"classes": 9})
    assert [layer.name for layer in model.layers] == ["bn1"]
    assert model.program.fc.out_features == 9
    out, err = capsys.readouterr()
    assert (out, "building" in err) == ("", True)
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])


def test_an_architecture_that_is_a_module(tmp_path, arch_file):
    model = _open(tmp_path, trained(Small()).state_dict(), f"{arch_file}:instance")
    assert model.layers[0].updates == 17


def test_the_users_module_is_not_filled(tmp_path):
    own = Small()
    before = {name: value.clone() for name, value in own.state_dict().items()}
    _open(tmp_path, trained(Small()).state_dict(), lambda: own)
    assert all(torch.equal(value, before[name]) for name, value in own.state_dict().items())
    assert own.training


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("nothing", None, "gave a dict; it must return a torch.nn.Module"),
        ("build", {"fail": True}, r"calling it with \(fail=True\) failed: ValueError: no such size\. Give"),
        ("build", {"depth": 3}, "TypeError: .*unexpected keyword argument 'depth'.*arch_kwargs"),
        ("leaves", None, "SystemExit: 3"),
        ("lazy", None, "is lazy: its shape is unknown"),
        ("meta", None, "meta device and has no values"),
    ],
)
def test_architectures_that_fail(tmp_path, arch_file, name, kwargs, message):
    with pytest.raises(UsageError, match=message):
        _open(tmp_path, Small().state_dict(), f"{arch_file}:{name}", arch_kwargs=kwargs)


def test_kwargs_without_an_architecture(tmp_path):
    with pytest.raises(UsageError, match="arch_kwargs is given without arch"):
        _open(tmp_path, Small().state_dict(), None, arch_kwargs={"classes": 3})


def test_an_architecture_is_ignored_for_a_whole_module(tmp_path):
    model = _open(tmp_path, trained(Small()), Small, trust_pickle=True)
    assert sentences(model.notes) == ("arch was ignored: the file holds a whole module.",)
    assert model.format == "module"


class Growing(nn.Module):
    """An observer of quantization: its buffer has the size of what it saw, and grows as it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("seen", torch.empty(0))

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        if f"{prefix}seen" in state_dict:
            self.seen = torch.empty_like(state_dict[f"{prefix}seen"])
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, x):
        return self.norm(x)


def test_what_grows_as_it_is_loaded_fits(tmp_path):
    net = Growing()
    net.seen = torch.arange(5.0)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    opened = open_model(tmp_path / "net.pth", arch=Growing)
    assert opened.tensors()["seen"].tolist() == net.seen.tolist()
    torch.save({**net.state_dict(), "norm.weight": torch.ones(4)}, tmp_path / "net.pth")
    with pytest.raises(ModelError, match="of another shape"):
        open_model(tmp_path / "net.pth", arch=Growing)
