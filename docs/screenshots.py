"""Take the documentation's pictures, of the jobs of three persons: `make screenshots` (needs chromium).

Engineer: a checkpoint and data, a repair, the report as a page. CI: an exported model, a gate. Researcher: a training
that is watched, a table. A terminal's picture is what the commands print, drawn by rich; a page's is the HTML report in
a browser. Those that the pages show go to `docs/images`; `out/pictures` has the others, to be looked at.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
OTHERS = ROOT / "out" / "pictures"
SAMPLES = "sample_models"
ARCH = f"--arch {SAMPLES}/digits_net.py:build"
EVAL, TRAIN = f"{SAMPLES}/digits_eval.npz", f"{SAMPLES}/digits_train.npz"
STALE, EXPORT = f"{SAMPLES}/stale_statistics.ckpt", f"{SAMPLES}/folded.torchscript.pt"
COLUMNS = 100
PHONE = 500
"""CSS pixels; the narrowest window that Chromium opens."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Shows commands and what they print.

    Attributes:
        name: of the picture.
        lines: typed one after the other, `bncheck ...`; one that starts with `python` runs `WATCHED`, shown above it.
        shown: whether a page of the documentation shows it.
        columns: of the terminal.
    """

    name: str
    lines: tuple[str, ...]
    shown: bool = True
    columns: int = COLUMNS


@dataclass(frozen=True, slots=True)
class Page:
    """Shows the HTML report that a command writes.

    Attributes:
        name: of the picture.
        line: the command, without its `--report`.
        size: of the window.
        shown: whether a page of the documentation shows it.
    """

    name: str
    line: str
    size: tuple[int, int] = (1200, 1500)
    shown: bool = True


WATCHED = """\
import bncheck
from bncheck.integrations.monitor import GapMonitor
from own_code import digits, network, train_one_epoch

x, y, held_out = digits()
net = network(momentum=0.01)
monitor = GapMonitor(net, held_out)
for epoch in range(3):
    train_one_epoch(net, x, y)
    print(f"epoch {epoch}: gap {monitor.measure(epoch)['bncheck/gap']:.2f}")
report = bncheck.inspect(net, held_out)
print(report.to_frame()[["name", "gap", "own_gap", "noise", "verdict"]].round(3))
"""
"""What the researcher types."""
OWN_CODE = f"""\
import sys, numpy as np, torch
from torch import nn
sys.path.append({SAMPLES!r})
from digits_net import DigitsNet
torch.manual_seed(0)
def digits():
    train, held_out = (np.load("{SAMPLES}/digits_%s.npz" % part) for part in ("train", "eval"))
    return torch.from_numpy(train["x"]), torch.from_numpy(train["y"]), (held_out["x"], held_out["y"])
def network(momentum):
    net = DigitsNet()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = momentum
    return net
def train_one_epoch(net, x, y):
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    net.train()
    for rows in torch.randperm(len(y)).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
"""
SHOTS: tuple[Terminal | Page, ...] = (
    Terminal("terminal", (f"bncheck inspect {SAMPLES}/tampered_layer.safetensors.index.json {ARCH} --data {EVAL}",)),
    Page("report", f"bncheck inspect {STALE} {ARCH} --data {EVAL}"),
    Terminal("repair", (f"bncheck repair {STALE} {ARCH} --data {TRAIN} --heldout {EVAL} --out repaired.ckpt",)),
    Page("repair-report", f"bncheck repair {STALE} {ARCH} --data {TRAIN} --heldout {EVAL} --out new.ckpt", shown=False),
    Terminal(
        "gate",
        (
            f"bncheck inspect {SAMPLES}/never_updated.torchscript.pt --data {EVAL} --quiet --report report.json",
            "bncheck gate report.json --format concise",
            f"bncheck inspect {EXPORT} --data {EVAL}",
            f"bncheck inspect {EXPORT} --data {EVAL} --reference {SAMPLES}/healthy.pt --reference-arch "
            f"{SAMPLES}/digits_net.py:build",
        ),
    ),
    Terminal(
        "audit",
        (f"bncheck audit {SAMPLES}/healthy.pt {SAMPLES}/negative_variance.pth {SAMPLES}/nan_statistics.pt2",),
        shown=False,
    ),
    Terminal("training", ("python training.py",)),
    Page("report-narrow", f"bncheck inspect {STALE} {ARCH} --data {EVAL}", (PHONE, 1800), shown=False),
    Terminal("repair-80", (f"bncheck repair {STALE} {ARCH} --data {TRAIN} --out b.ckpt",), shown=False, columns=80),
)


def take(shot: Terminal | Page, folder: Path) -> Path:
    """The picture, written where it belongs; commands run in `folder`, where the samples are."""
    place = (IMAGES if shot.shown else OTHERS) / f"{shot.name}.png"
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(shot, Terminal):
        svg = drawn(shot, folder)
        page = folder / f"{shot.name}.html"
        page.write_text(f"<body style='margin:0'>{svg}</body>", encoding="utf-8")
        box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
        photograph(page, place, (round(float(box[1])) + 16, round(float(box[2]))) if box else (1240, 1400))
    else:
        page = folder / f"{shot.name}.html"
        run(f"{shot.line} --quiet --report {page.name}", folder, COLUMNS)
        photograph(page, place, shot.size)
    return place


def drawn(shot: Terminal, folder: Path) -> str:
    """The terminal as SVG: what is typed, what is printed, and an exit code that is not 0."""
    console = Console(record=True, width=shot.columns, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    for line in shot.lines:
        if line.startswith("python"):
            (folder / "training.py").write_text(WATCHED, encoding="utf-8")
            (folder / "own_code.py").write_text(OWN_CODE, encoding="utf-8")
            console.print(Text("$ cat training.py", style="bold"))
            console.print(Text(WATCHED))
        console.print(Text(f"$ {line}", style="bold"), soft_wrap=False)
        done = run(line, folder, shot.columns)
        if done.stdout:
            console.print(Text.from_ansi(done.stdout.rstrip("\n")))
        if done.returncode:
            console.print(Text("$ echo $?", style="bold"))
            console.print(Text(str(done.returncode)))
        console.print()
    return console.export_svg(title="bncheck")


def run(line: str, folder: Path, columns: int) -> subprocess.CompletedProcess[str]:
    """What a line prints, in colours."""
    program, *arguments = shlex.split(line)
    start = [sys.executable, "-m", "bncheck"] if program == "bncheck" else [sys.executable]
    colored = os.environ | {
        "FORCE_COLOR": "1",
        "COLUMNS": str(columns),
        "TERM": "xterm-256color",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
    }
    return subprocess.run([*start, *arguments], cwd=folder, env=colored, capture_output=True, text=True, check=False)


def photograph(page: Path, place: Path, size: tuple[int, int]) -> None:
    """The top of a page, as a browser shows it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("docs/screenshots.py needs chromium (apt-get install chromium).")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size[0]},{size[1]}"]
    command = [browser, *options, f"--screenshot={place}", page.as_uri()]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    with Image.open(place) as picture:
        picture.convert("RGB").quantize(128).save(place, optimize=True)


def main(names: list[str]) -> None:
    """Take those that are named, or all."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / SAMPLES).symlink_to(ROOT / SAMPLES)
        for shot in SHOTS:
            if not names or shot.name in names:
                print(take(shot, folder).relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
