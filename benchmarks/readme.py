"""Put what the commands print into the README: `python -m benchmarks.readme`, and `--bench` for the slow tables too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
DEMO = "inspect sample_models/never_updated.torchscript.pt --data sample_models/digits_eval.npz"


def output_of(*arguments: str) -> str:
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment, check=False
    )
    if not done.stdout.strip() or (done.returncode and arguments[0] != "bncheck"):  # which ends with its findings' code
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}: the README is left as it is.")
    return done.stdout.strip()


def put(text: str, section: str, content: str) -> str:
    """`text` with `content` between the section's two marks."""
    between = re.compile(f"(<!-- {section} -->\n).*?(<!-- /{section} -->)", re.DOTALL)
    return between.sub(lambda marks: f"{marks[1]}{content}\n{marks[2]}", text)


def main() -> None:
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    text = put(text, "demo", f"```console\n$ bncheck {DEMO}\n{output_of('bncheck', *DEMO.split())}\n```")
    if "--bench" in sys.argv:
        tables = [output_of("benchmarks.overhead"), output_of("benchmarks.onnx_overhead")]
        text = put(text, "bench", "\n\n".join(tables))
        page = ROOT / "docs" / "cost.md"
        table = put(page.read_text(encoding="utf-8"), "by-net", output_of("benchmarks.overhead_by_net"))
        page.write_text(table, encoding="utf-8")
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
