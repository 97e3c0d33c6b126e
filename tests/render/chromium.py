"""One headless Chromium for many pages, with no network to reach; it is spoken to through a pipe.

Source: the DevTools protocol, https://chromedevtools.github.io/devtools-protocol/ (messages end with a zero byte).
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 240.0
"""Seconds without any answer after which the browser counts as dead."""
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe"),
)
_AS_3_AND_4 = "import os, sys; [os.dup2(int(sys.argv[n]), n + 2) for n in (1, 2)]; os.execv(sys.argv[3], sys.argv[3:])"
"""Chromium reads what it is told from descriptor 3 and answers on 4, whatever else has these numbers here."""
_TALK = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}


class Browser:
    """A browser that runs."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._unread = b""
        self._number = 0
        self._events: list[dict[str, Any]] = []

    @contextmanager
    def page(self, file: Path, width: int = 1280) -> Iterator[Page]:
        """A page in a tab of its own that shares nothing with others, once it and its scripts are loaded."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        page = Page(self, self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])
        for domain in ("Page", "Runtime", "Log"):
            page.ask(f"{domain}.enable")
        page.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        page.ask("Page.navigate", url=file.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events(page.session)):
            self._events.append(self._read())
        yield page
        self.ask("Target.disposeBrowserContext", browserContextId=context)

    def ask(self, method: str, session: str | None = None, **given: Any) -> dict[str, Any]:
        """What the browser answers; events that come in between are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": given} | ({"sessionId": session} if session else {})
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self._events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    def events(self, session: str) -> list[dict[str, Any]]:
        """What has happened in a page so far."""
        return [event for event in self._events if event.get("sessionId") == session]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._reading], [], [], PATIENCE)
            received = os.read(self._reading, 1 << 20) if ready else b""
            assert received, "the browser does not answer"
            self._unread += received
        message, _, self._unread = self._unread.partition(b"\0")
        read: dict[str, Any] = json.loads(message)
        return read


class Page:
    """A page that is open."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self.session = browser, session

    def ask(self, method: str, **given: Any) -> dict[str, Any]:
        return self._browser.ask(method, self.session, **given)

    def returned(self, script: str) -> Any:
        """What the body of an asynchronous function returns in the page."""
        expression = f"(async () => {{ {script} }})()"
        answer = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def console(self) -> list[dict[str, Any]]:
        """What went to the console: by scripts, by their failures and by the browser itself."""
        self.ask("Runtime.evaluate", expression="0")  # behind everything that was told before
        return [event["params"] for event in self._browser.events(self.session) if event["method"] in _TALK]


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a new profile, ended and forgotten afterwards."""
    assert BINARY is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        told, answers = os.pipe(), os.pipe()
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (told[0], answers[1])]
        command = [sys.executable, "-ISc", _AS_3_AND_4, *map(str, theirs), BINARY, *_FLAGS]
        process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}"],
            pass_fds=theirs,
            env=os.environ | {"HOME": profile},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (told[0], answers[1], *theirs):
            os.close(end)
        try:
            made = Browser(answers[0], told[1])
            yield made
            made.ask("Browser.close")
            process.wait(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
            os.close(answers[0])
            os.close(told[1])
