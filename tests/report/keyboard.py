"""Keys pressed in a page, by Chromium's DevTools protocol over a pipe."""

import fcntl
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tests.report.chromium import FLAGS, program

KEYS = {"Tab": 9, "Enter": 13, "ArrowRight": 39}  # and their codes in Windows, which Chromium takes
# What has the focus, whether one sees so, and how far it is scrolled to the right.
FOCUSED = """(() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  return {
    tag: at.tagName.toLowerCase(), label: at.getAttribute("aria-label") || at.textContent.trim(),
    outlined: style.outlineStyle != "none" && parseFloat(style.outlineWidth) > 0,
    seen: box.bottom > 0 && box.top < innerHeight, open: at.parentElement?.open ?? null,
    scrolled: at.scrollLeft, wide: at.scrollWidth > at.clientWidth, hash: location.hash,
  };
})()"""


class Page:
    """A page in a browser of its own."""

    def __init__(self, to: BinaryIO, answers: BinaryIO) -> None:
        self.to, self.answers = to, answers
        self.asked = 0
        self.session: dict[str, str] = {}

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.asked += 1
        told = {"id": self.asked, "method": method, "params": parameters, **self.session}
        self.to.write(json.dumps(told).encode() + b"\0")
        self.to.flush()
        return self.until(lambda answer: answer.get("id") == self.asked)["result"]

    def until(self, wanted: Any) -> dict[str, Any]:
        """The next message that is wanted. Raises EOFError if the browser ends before."""
        while True:
            message = bytearray()
            while not message.endswith(b"\0"):
                byte = self.answers.read(1)
                if not byte:
                    raise EOFError("Chromium has ended")
                message += byte
            answer = json.loads(message[:-1])
            if wanted(answer):
                return answer

    def open(self, address: str, width: int) -> None:
        pages = self.ask("Target.getTargets")["targetInfos"]
        (page,) = (each["targetId"] for each in pages if each["type"] == "page")
        attached = self.ask("Target.attachToTarget", targetId=page, flatten=True)
        self.session = {"sessionId": attached["sessionId"]}
        self.ask("Page.enable")
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.ask("Emulation.setDeviceMetricsOverride", **size)
        self.ask("Page.navigate", url=address)
        self.until(lambda answer: answer.get("method") == "Page.loadEventFired")

    def press(self, key: str) -> dict[str, Any]:
        """What has the focus after it."""
        parameters = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **parameters, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **parameters)
        return self.focused()

    def focused(self) -> dict[str, Any]:
        found = self.ask("Runtime.evaluate", expression=FOCUSED, returnByValue=True)
        return dict(found["result"]["value"])


@contextmanager
def opened(page: Path, width: int) -> Iterator[Page]:
    asked, to = os.pipe()
    answers, told = os.pipe()
    # Chromium reads from 3 and writes to 4: neither may be one of these before.
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (asked, told)]
    piped = f'exec "$@" 3<&{high[0]} 4>&{high[1]}'
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = (*FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank")
        process = subprocess.Popen(
            ["bash", "-c", piped, "bash", program() or "", *words],
            pass_fds=high,
            stderr=subprocess.DEVNULL,
        )
        for fd in (asked, told, *high):
            os.close(fd)
        try:
            with os.fdopen(to, "wb") as writing, os.fdopen(answers, "rb") as reading:
                browser = Page(writing, reading)
                browser.open(page.resolve().as_uri(), width)
                yield browser
        finally:
            process.terminate()
            process.wait(timeout=30)
