"""BN704: what is said of a runtime that normalizes wrongly."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hand_built import evidence, measured

from bncheck.core.thresholds import ROUNDINGS
from bncheck.evidence import Advice, RuntimeCheck
from bncheck.formats.onnx.advice import advice_for
from bncheck.formats.torchscript.model import ScriptBackend
from bncheck.rules import judge


def check(name: str = "bn", errors: tuple[float, ...] = (0.5, 4e3), **changes: Any) -> RuntimeCheck:
    values: dict[str, Any] = {
        "call": 0,
        "dtype": "float32",
        "values": 1000,
        "channel": int(np.argmax(errors)),
        "position": 7,
        "fed": 0.5,
        "expected": 1.25,
        "came": 1.25001,
    }
    return RuntimeCheck(layer=name, errors=np.array(errors), **(values | changes))


def test_one_wrong_layer_is_named_with_the_numbers_that_decided() -> None:
    (finding,) = judge(evidence(measured(0.01), runtime=(check(),)))
    assert (finding.code, finding.severity, finding.layer) == ("BN704", "error", "bn")
    assert finding.message == (
        "The runtime computes bn wrongly: fed 0.5, channel 1 of bn gives 1.25001 where float64 gives 1.25, 4,000 "
        "roundings of float32 off; 16 are allowed."
    )
    assert finding.evidence == {
        "layers": ["bn"],
        "compared": 1,
        "worst_layer": "bn",
        "call": 0,
        "channel": 1,
        "position": 7,
        "channels_off": 1,
        "channels": 2,
        "input": 0.5,
        "expected_value": 1.25,
        "runtime": 1.25001,
        "roundings": 4e3,
        "allowed": ROUNDINGS,
        "dtype": "float32",
        "values_checked": 1000,
    }
    json.dumps(finding.evidence, allow_nan=False)


@pytest.mark.parametrize(("error", "fires"), [(ROUNDINGS, False), (ROUNDINGS * 1.001, True), (0.0, False)])
def test_rounding_is_no_fault(error: float, fires: bool) -> None:
    found = judge(evidence(measured(0.01), runtime=(check(errors=(0.0, error)),)))
    assert [finding.code for finding in found] == ["BN704"] * fires


def test_several_layers_are_one_finding_led_by_the_worst() -> None:
    layers = [measured(0.01, name=name) for name in "abcd"]
    runtime = (check("d"), check("b", (9e9, 0.0)), check("b", (1e3, 0.0), call=1), check("c", (3.0, 3.0)))
    (finding,) = judge(evidence(*layers, runtime=runtime))
    assert (finding.layer, finding.layers) == (None, ("d", "b"))
    assert finding.message.startswith("The runtime computes b, d wrongly: ")
    assert "channel 0 of b gives" in finding.message
    assert "9.0e+09 roundings" in finding.message
    assert finding.evidence["compared"] == 3


@pytest.mark.parametrize(
    ("dtype", "shown"), [("float64", "0.10000000000000001"), ("float32", "0.100000001"), ("bfloat16", "0.1")]
)
def test_numbers_are_shown_to_the_digits_of_their_type(dtype: str, shown: str) -> None:
    fed = 0.1 if dtype == "float64" else float(np.float32(0.1))
    (finding,) = judge(evidence(measured(0.01), runtime=(check(dtype=dtype, fed=fed),)))
    assert f"fed {shown}, " in finding.message


def test_drift_is_left_out_where_the_runtime_is_wrong() -> None:
    drifted = evidence(measured(0.9), runtime=(check(errors=(0.0, 0.0)),))
    assert [finding.code for finding in judge(drifted)] == ["BN603"]
    wrong = evidence(measured(0.9), runtime=(check(),))
    assert [finding.code for finding in judge(wrong)] == ["BN704"]


@pytest.mark.parametrize(
    ("advice", "named"), [(advice_for("pytorch"), "onnxruntime"), (ScriptBackend.advice, "PyTorch")]
)
def test_the_fix_names_the_runtime(advice: Advice, named: str) -> None:
    (finding,) = judge(evidence(measured(0.01), runtime=(check(),), advice=advice))
    assert f"another version of {named}" in finding.fix
    assert "Do not recalibrate" in finding.fix
