"""A rule, a format and a data source of one's own are files in a folder: a model is inspected with all three."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch
from contract_nets import data, made_net

import bncheck
from bncheck.data import FileKind, known_kinds, open_data, reading_also
from bncheck.errors import DataError, UsageError
from bncheck.formats import registered
from bncheck.rules import rules_from
from tests.test_backends import TOY

RULE = """
from bncheck.results import Finding, Measure


def judge(evidence):
    for name, layer in evidence.measured.items():
        if layer.layer.channels == 4:
            yield Finding("BN699", "warning", (name,), "Four channels.", "Take five.", Measure("layer", 1.0))
"""
PAGE = """+++
severity = "warning"
needs = ["data"]
+++

# BN699: layers of four channels

**Severity:** warning. **Needs:** data.
"""
SOURCE = """
import numpy as np

from bncheck.data import FileKind, array_source


def opened(path, reading, name):
    shape, _, values = path.read_text().removeprefix("SAMPLES ").partition(":")
    array = np.array(values.split(), dtype=np.float32).reshape([int(size) for size in shape.split("x")])
    return array_source(name, array, reading)


KINDS = (FileKind((".samples",), opened, lambda path, start: start.startswith(b"SAMPLES ")),)
"""


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    """A folder with the three, a model and its data."""
    for name, text in {"rules/mine/bn699.py": RULE, "rules/mine/bn699.md": PAGE, "source.py": SOURCE}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "toy").mkdir()
    for name, text in TOY.items():
        (tmp_path / "toy" / name).write_text(dedent(text), encoding="utf-8")
    torch.save(made_net().state_dict(), tmp_path / "net.toy")
    (tmp_path / "net.toy").write_bytes(b"TOY1" + (tmp_path / "net.toy").read_bytes())
    x = np.asarray(data())
    values = " ".join(map(repr, x.ravel().tolist()))
    (tmp_path / "of_mine").write_text(f"SAMPLES {'x'.join(map(str, x.shape))}:{values}", encoding="utf-8")
    return tmp_path


def test_a_model_is_inspected_with_all_three(toys: Path) -> None:
    with registered(toys / "toy"), rules_from(toys / "rules"), reading_also(toys / "source.py"):
        report = bncheck.inspect(toys / "net.toy", toys / "of_mine")
    four = [layer.name for layer in report.layers if layer.channels == 4]
    assert [finding.layers for finding in report.findings if finding.code == "BN699"] == [(name,) for name in four]
    assert four
    assert report.model.format == "toy"
    assert report.data is not None
    assert (report.data.source, report.data.samples) == (str(toys / "of_mine"), len(data()))
    plain = bncheck.inspect(made_net(), data())
    np.testing.assert_allclose([layer.gap for layer in report.layers], [layer.gap for layer in plain.layers], rtol=1e-5)
    assert "Four channels." in json.dumps(report.to_dict())


def test_outside_the_block_nothing_is_left(toys: Path) -> None:
    before = known_kinds()
    with reading_also(toys / "source.py"):
        assert len(open_data(toys / "of_mine").name) > 0
        assert len(known_kinds()) == len(before) + 1
    assert known_kinds() == before
    with pytest.raises(
        DataError, match=r"not a kind of data that is read: \.npz, \.npy, \.pt, \.pth, \.safetensors, \.csv"
    ):
        open_data(toys / "of_mine")


def test_a_file_that_reads_nothing_is_said(toys: Path) -> None:
    (toys / "empty_handed.py").write_text("KINDS = ('toy',)\n", encoding="utf-8")
    with (
        pytest.raises(UsageError, match=r"empty_handed\.py reads no kind of file"),
        reading_also(toys / "empty_handed.py"),
    ):
        pass


def test_an_added_kind_comes_before_bnchecks_own(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 3)))
    asked: list[Path] = []

    def tells(path: Path, start: bytes) -> bool:
        asked.append(path)
        return False

    with reading_also(FileKind((".npz",), lambda *_: pytest.fail("not its own"), tells)):
        assert open_data(tmp_path / "x.npy").samples == 4
    assert asked == [tmp_path / "x.npy"]
