"""A headless Chromium that opens a page from a file, with no network to reach."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000"),
)
_CONSOLE = re.compile(r"CONSOLE[:(].*")


def opened(page: Path, *flags: str) -> tuple[str, list[str]]:
    """The document as it stands after its scripts ran, and what went to the console."""
    assert BINARY is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [BINARY, *_FLAGS, f"--user-data-dir={profile}", *flags, "--dump-dom", page.as_uri()]
        environment = {**os.environ, "HOME": profile}
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=True)
    return done.stdout, _CONSOLE.findall(done.stderr)
