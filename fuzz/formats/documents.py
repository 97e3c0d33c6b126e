"""Reports, baselines and configurations: JSON and TOML with every value that a reader might not expect."""

from __future__ import annotations

import json
import math

from hypothesis import strategies as st

from fuzz.case import Files, Format
from fuzz.samples import CODE, reports
from fuzz.values import INJECTED, edited_json

_KEYS = [
    "seed",
    "batch-size",
    "limit",
    "until",
    "batch-sizes",
    "max-gap",
    "select",
    "ignore",
    "fail-on",
    "strict",
    "quiet",
    "debug",
    "data",
    "train-data",
    "label-column",
    "arch",
    "arch-kwargs",
    "key",
    "device",
    "reference",
    "reference-arch",
    "reference-key",
    "output",
    "metric",
    "task",
    "layout",
    "mean",
    "std",
    "resize",
    "crop",
    "channels",
    "scale",
    "preset",
    "deploy-dtype",
    "baseline",
    "max-memory",
    "skip-bad-samples",
    "renorm",
    "steps",
    "lr",
    "trust-pickle",
    "allow-op",
    "model",
    "no-config",
    "nope",
    "ignore-layers",
]
_FILES = ["good.npz", "good.pth", f"{CODE}:build", f"{CODE}:nope", "nope.py:f", "net.py", ".", "/dev/null", "/dev/zero"]
_RAW = [
    *("1", "-1", "0", "1.5", "nan", "inf", "-inf", "1e400", "9" * 400, "9" * 5_000, "0x10", "1_0", "true", "false"),
    *("2026-01-01", "2026-01-01T00:00:00Z", "12:30:00", "[]", "[1, 2]", "[[1]]", "{}", "{a = 1}", "{a = nan}"),
    *('["BN6"]', '["BN6", 5]', "[2026-01-01]", "[" * 2_000, "[" * 900 + "]" * 900, "{a={b={c={d=2026-01-01}}}}", ""),
    *('"""' + "x" * 100_000 + '"""', "'BN6'", '"error"', '"warning"', '"never"', '"cpu"', '"hpu"', '"cuda:99"', '"4G"'),
    *('"1,2"', '"4"', '"nhwc"', '"bgr"', '"imagenet"', '"classes"', '"float16"', '"\\u0000"', '"\\u001b[31m"'),
    json.dumps(INJECTED),
    *map(json.dumps, _FILES),
]
_HEADERS = [
    "",
    "",
    "[tool.bncheck]",
    "[bncheck]",
    "[tool]",
    "[[ignore-layers]]",
    "[[tool.bncheck.ignore-layers]]",
    "[seed]",
]
_ENTRIES = [
    'layer = "x"',
    'layer = "["',
    "layer = 5",
    'codes = ["BN6"]',
    'codes = ["nope"]',
    'codes = "BN6"',
    'reason = "r"',
]
_ENTRIES += ["codes = [2026-01-01]", 'reason = "\\n::error::x\\u001b[31m"', 'layer = "*"', "reason = 5", "codes = []"]
_JUNK = [
    "=",
    "seed",
    '"a" = ',
    "a." * 9_000 + "b = 1",
    "x = " + "[" * 50_000,
    '"\\n::error::x" = 1',
    "\0",
    "# c",
    "seed=1\nseed=2",
]


@st.composite
def _configurations(draw: st.DrawFn, name: str) -> Files:
    lines = [draw(st.sampled_from(_HEADERS)) if name == "bncheck.toml" else draw(st.sampled_from(_HEADERS[2:4]))]
    for _ in range(draw(st.integers(1, 3))):
        match draw(st.sampled_from(["option"] * 6 + ["entry", "junk"])):
            case "option":
                lines.append(f"{draw(st.sampled_from(_KEYS))} = {draw(st.sampled_from(_RAW))}")
            case "entry":
                lines.append(draw(st.sampled_from(["[[ignore-layers]]", "[[tool.bncheck.ignore-layers]]"])))
                lines += draw(st.lists(st.sampled_from(_ENTRIES), max_size=4))
            case _:
                lines.append(draw(st.sampled_from(_JUNK)))
    text = "\n".join(lines)
    encoding = draw(st.sampled_from(["utf-8"] * 8 + ["utf-16", "utf-8-sig", "latin-1"]))
    return {name: text.encode(encoding, "replace")}


_SOUND = 'seed = 5\nbatch-size = 8\nselect = ["BN"]\nfail-on = "error"\nmax-gap = 3.5\n'
_IGNORED = '[[{}ignore-layers]]\nlayer = "bn*"\ncodes = ["BN603"]\nreason = "two cameras"\n'


def formats() -> tuple[Format, ...]:
    """Reports, baselines, and both places for options."""
    report, baseline = (reports()[name] for name in ("report.json", "baseline.json"))
    broken = st.one_of(
        st.just(math.nan), st.sampled_from(["ok", "findings", "BN603", "error", "measured", "2026-01-01"])
    )
    documents = {name: json.loads(content) for name, content in reports().items()}
    read = st.one_of(edited_json(documents["report.json"]), edited_json(documents["report.json"], broken))
    accepted = edited_json(documents["baseline.json"])
    own = {"bncheck.toml": (_SOUND + _IGNORED.format("")).encode()}
    project = {"pyproject.toml": (f"[tool.bncheck]\n{_SOUND}" + _IGNORED.format("tool.bncheck.")).encode()}
    return (
        Format("report", "report", "saved.json", {"saved.json": report}, read.map(lambda text: {"saved.json": text})),
        Format(
            "baseline",
            "baseline",
            "known.json",
            {"known.json": baseline},
            accepted.map(lambda text: {"known.json": text}),
        ),
        Format("bncheck.toml", "configuration", "bncheck.toml", own, _configurations("bncheck.toml")),
        Format("pyproject.toml", "configuration", "pyproject.toml", project, _configurations("pyproject.toml")),
    )
