"""Take the README's pictures: `python docs/screenshots.py` (needs chromium).

The terminal's is what the command prints, drawn by rich; the page's is the HTML report in a browser.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
SAMPLES = "sample_models"
TERMINAL = (
    "inspect", f"{SAMPLES}/tampered_layer.safetensors.index.json", "--arch", f"{SAMPLES}/digits_net.py:build",
    "--data", f"{SAMPLES}/digits_eval.npz",
)  # fmt: skip
PAGE = (
    "inspect", f"{SAMPLES}/stale_statistics.ckpt", "--arch", f"{SAMPLES}/digits_net.py:build",
    "--data", f"{SAMPLES}/digits_eval.npz",
)  # fmt: skip
COLUMNS = 100


def terminal() -> None:
    """`docs/images/terminal.png`."""
    colored = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    done = subprocess.run(
        [sys.executable, "-m", "bncheck", *TERMINAL], cwd=ROOT, env=colored, capture_output=True, text=True, check=False
    )
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    console.print(Text(f"$ bncheck {' '.join(TERMINAL)}", style="bold"), soft_wrap=False)
    console.print(Text.from_ansi(done.stdout))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "terminal.html"
        svg = console.export_svg(title="bncheck")
        page.write_text(f"<body style='margin:0'>{svg}</body>", encoding="utf-8")
        height = re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', svg)
        photograph(page, "terminal.png", (1240, round(float(height[1])) if height else 1400))


def report_page() -> None:
    """`docs/images/report.png`."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        command = [sys.executable, "-m", "bncheck", *PAGE, "--quiet", "--report", str(page)]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        photograph(page, "report.png", (1200, 1500))


def photograph(page: Path, name: str, size: tuple[int, int]) -> None:
    """The top of a page, as a browser shows it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("docs/screenshots.py needs chromium (apt-get install chromium).")
    IMAGES.mkdir(exist_ok=True)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size[0]},{size[1]}"]
    command = [browser, *options, f"--screenshot={IMAGES / name}", page.as_uri()]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    with Image.open(IMAGES / name) as picture:
        picture.convert("RGB").quantize(64).save(IMAGES / name, optimize=True)


if __name__ == "__main__":
    terminal()
    report_page()
