import json
import pickle
import re
import warnings
import zipfile

import pytest
import torch
from model_networks import Hostile, Net, export_program, rewritten, save_program, torch_pickle, trained

from bncheck.errors import ModelError
from bncheck.formats import open_model
from bncheck.formats.exported.graph_check import is_arithmetic


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    dynamic = ({0: torch.export.Dim("batch")},)
    exported = export_program(trained(Net()), torch.rand(2, 3, 8, 8), dynamic)
    return save_program(exported, tmp_path_factory.mktemp("exported") / "net.pt2")


@pytest.mark.parametrize("form", ["zip", "legacy", "plain", "protocol 0"])
def test_hostile_sample_inputs_are_not_run(archive, tmp_path, form):
    marker = tmp_path / "marker"
    hostile = Hostile(str(marker))
    planted = {
        "zip": lambda: torch_pickle(hostile, tmp_path),
        "legacy": lambda: torch_pickle(hostile, tmp_path, _use_new_zipfile_serialization=False),
        "plain": lambda: pickle.dumps(hostile),
        "protocol 0": lambda: pickle.dumps(hostile, protocol=0),
    }[form]()
    path = rewritten(archive, tmp_path / "h.pt2", lambda name, old: planted if "sample_inputs" in name else old)
    with pytest.raises(ModelError, match=r"sample_inputs/model.pt (asks for|is no pickle).*trust_pickle"):
        open_model(path)
    assert not marker.exists()


def test_the_planted_file_would_run(archive, tmp_path):
    """The test above can fail: torch itself runs what is planted there."""
    marker = tmp_path / "marker"
    planted = torch_pickle((Hostile(str(marker)),), tmp_path)
    path = rewritten(archive, tmp_path / "h.pt2", lambda name, old: planted if "sample_inputs" in name else old)
    assert open_model(path, trust_pickle=True).format == "exported"
    assert marker.exists()


@pytest.mark.parametrize("declared", ["use_pickle", "legacy weights", "declared raw"])
def test_hostile_weights_are_not_run(archive, tmp_path, declared):
    marker = tmp_path / "marker"
    planted = torch_pickle(Hostile(str(marker)), tmp_path)
    folder = zipfile.ZipFile(archive).namelist()[0].partition("/")[0]

    def change(name, content):
        if name.endswith("weight_0") and declared == "use_pickle":
            return planted
        if name.endswith("model_weights_config.json"):
            config = json.loads(content)
            first = next(entry for entry in config["config"].values() if entry["path_name"] == "weight_0")
            if declared == "use_pickle":
                first["use_pickle"] = True
            if declared == "legacy weights":
                config["config"]["other"] = first | {"path_name": "model.pt"}
            if declared == "declared raw":
                config["config"]["other"] = first | {"path_name": "../sample_inputs/model.pt"}
            return json.dumps(config)
        return planted if declared == "declared raw" and "sample_inputs" in name else content

    path = rewritten(archive, tmp_path / "h.pt2", change)
    if declared == "legacy weights":
        with zipfile.ZipFile(path, "a") as target:
            target.writestr(f"{folder}/data/weights/model.pt", planted)
    with pytest.raises(ModelError, match=r"asks for \w+\.system"):
        open_model(path)
    assert not marker.exists()


def test_records_given_twice_are_refused(archive, tmp_path):
    path = rewritten(archive, tmp_path / "net.pt2", lambda name, old: old)
    with zipfile.ZipFile(path) as source:
        name = next(name for name in source.namelist() if "sample_inputs" in name)
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as target:
        warnings.simplefilter("ignore")
        target.writestr(name, b"anything")
    with pytest.raises(ModelError, match=r"model\.pt twice, so"):
        open_model(path)


def _in_program(archive, path, pattern, replacement):
    def change(name, content):
        if not name.endswith("models/model.json"):
            return content
        text, count = re.subn(pattern, lambda _: replacement, content.decode())
        assert count, "the test's pattern is not in the file"
        return text

    return rewritten(archive, path, change)


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"Symbol\('\w+'[^\"]*\)", "__import__('os').system('touch MARKER')", "which is not arithmetic"),
        (r'"torch\.ops\.aten\.group_norm\.default"', '"torch.os.system"', "which is not an operator"),
        (r'"name": "x"', "\"name\": \"x=__import__('os').system('touch MARKER')\"", "which is not a name"),
    ],
)
def test_a_program_that_is_more_than_a_graph(archive, tmp_path, pattern, replacement, message):
    marker = tmp_path / "marker"
    path = _in_program(archive, tmp_path / "h.pt2", pattern, replacement.replace("MARKER", str(marker)))
    with pytest.raises(ModelError, match=message):
        open_model(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "expression",
    ["Symbol('s0', positive=True, integer=True)", "Max(1, FloorDiv(Symbol('s1'), 2)) - 3", "2*s0 + 1", "Eq(s0, 4)"],
)
def test_arithmetic(expression):
    assert is_arithmetic(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "exec('x')",
        "exec + 1",
        "().__class__",
        "preview(x)",
        "[x for x in (1,)]",
        "S('1+1')",
        "Symbol('a')('b')",
        "x[0]",
        "(",
        "_a",
    ],
)
def test_more_than_arithmetic(expression):
    assert not is_arithmetic(expression)
