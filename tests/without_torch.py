"""Commands and calls in a process of their own, where packages of the extras cannot be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [] if str(ROOT) in sys.path else [str(ROOT)]

from tests.called import Done, call  # noqa: E402


@dataclass(frozen=True)
class Gave:
    """What came of commands and of expressions, and which packages the process had loaded in the end."""

    done: list[Done]
    said: list[str]
    loaded: set[str]


def without(missing: Sequence[str], commands: Iterable[Sequence[str]], expressions: Sequence[str] = ()) -> Gave:
    """Run them one after another in one process."""
    wanted = {"missing": list(missing), "commands": list(commands), "expressions": list(expressions)}
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder, "plan.json")
        plan.write_text(json.dumps(wanted), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, __file__, str(plan)]
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        gave = json.loads(plan.read_text("utf-8"))
    loaded = {name.partition(".")[0] for name in gave["loaded"]}
    return Gave([Done(*one) for one in gave["done"]], gave["said"], loaded)


def without_torch(commands: Iterable[Sequence[str]]) -> list[Done]:
    """How commands end where PyTorch is not installed."""
    return without(["torch"], commands).done


def main(plan: Path) -> None:
    """Within that process: run what the file says, and write into it what came of that."""
    wanted = json.loads(plan.read_text("utf-8"))
    for package in wanted["missing"]:
        sys.modules[package] = None  # type: ignore[assignment]  # which ends every import of it
    import bncheck

    done = [(one.code, one.stdout, one.stderr) for one in (call(*command) for command in wanted["commands"])]
    said = []
    for expression in wanted["expressions"]:
        try:
            said.append(repr(eval(expression, {"bncheck": bncheck})))
        except bncheck.UsageError as error:
            said.append(f"{type(error).__name__}, {isinstance(error, ImportError)}: {error}")
    plan.write_text(json.dumps({"done": done, "said": said, "loaded": sorted(sys.modules)}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
