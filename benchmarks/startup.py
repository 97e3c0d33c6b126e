"""CPU time (user and system) of the commands that need no model: `python -m benchmarks.startup [RUNS]`."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SAMPLE = (f"{ROOT}/sample_models/negative_variance.pth",)


def cpu_seconds(arguments: list[str]) -> float:
    """Of one call in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "bncheck", *arguments], cwd=ROOT, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a line for each command: the least and the median of the runs."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    with tempfile.TemporaryDirectory() as folder:
        saved = str(Path(folder) / "report.json")
        cpu_seconds(["inspect", *SAMPLE, "--no-config", "-q", "--report", saved])
        for command in (["--help"], ["rules"], ["rule", "BN102"], ["gate", "--help"], ["gate", saved]):
            times = sorted(cpu_seconds(command) for _ in range(runs))
            told = " ".join(command).replace(saved, "report.json")
            print(f"bncheck {told:<18} {times[0]:.2f} s at least, median {times[runs // 2]:.2f} s")


if __name__ == "__main__":
    main()
