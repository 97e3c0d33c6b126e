"""CPU time (user and system) of commands that run nothing: `python -m benchmarks.startup [RUNS]`.

An audit stands beside what importing torch alone takes, and takes turns with it.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
SAMPLE = (f"{ROOT}/sample_models/negative_variance.pth",)
AUDITED = f"{ROOT}/sample_models/never_updated.torchscript.pt"
TORCH = ("-c", "import torch")


def cpu_seconds(arguments: list[str]) -> float:
    """Of one bncheck in a process of its own."""
    return cpu_seconds_of_python("-m", "bncheck", *arguments)


def cpu_seconds_of_python(*arguments: str) -> float:
    """Of one Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, check=False)
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
    audit = ["inspect", AUDITED, "--no-config", "-q"]
    pairs = [(cpu_seconds_of_python(*TORCH), cpu_seconds(audit)) for _ in range(runs)]
    torch, whole = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(audited / alone for alone, audited in pairs)
    print(f"bncheck inspect model.pt  median {whole:.2f} s, import torch {torch:.2f} s; median of ratios {ratio:.2f}")


if __name__ == "__main__":
    main()
