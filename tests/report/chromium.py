"""Debian's Chromium, headless, with a profile of its own that goes away again."""

import html
import json
import shutil
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--enable-logging=stderr",
)

# Put behind the page: what a reader would see, written into the page when it has loaded; which the
# server puts off, so that the page has been painted by then.
PROBE = """<img src="/hold" alt="" hidden><script>
addEventListener("load", () => {
  const images = [...document.images].filter(i => !i.hidden);
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  const told = document.createElement("pre");
  told.id = "probe";
  told.textContent = JSON.stringify({
    images: images.map(i => i.complete && i.naturalWidth > 0),
    paint_ms: paint ? paint.startTime : null,
    width: innerWidth, content_width: document.documentElement.scrollWidth,
    plots: document.querySelectorAll("figure svg").length,
    requests: performance.getEntriesByType("resource").map(r => new URL(r.name))
      .filter(url => url.protocol != "data:" && url.pathname != "/hold").map(String),
    lost: [...document.querySelectorAll("nav a")].map(a => a.hash)
      .filter(hash => !document.querySelector(hash)),
  });
  top.document.body.append(told);
});
</script>"""
HOLD_S = 1.5
# Chromium's windows are no narrower than 500 pixels; a frame is as narrow as a phone.
FRAME = '<!doctype html><body style="margin:0"><iframe src="{}" style="{}"></iframe></body>'


def program() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


def visit(page: Path, width: int) -> tuple[dict[str, Any], list[str]]:
    """What the probe found in a window so wide, and what the console said."""
    pages = {
        "/": _frame("/page", width, 900),
        "/page": page.read_text("utf-8").replace("</body>", PROBE + "</body>").encode(),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/hold":
                time.sleep(HOLD_S)
            self.send_response(200 if self.path in pages else 204)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/"
        done = _run(f"--window-size={max(width, 500)},900", "--dump-dom", address)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    told = done.stdout.partition('<pre id="probe">')[2].partition("</pre>")[0]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(told)), console


def screenshot(page: Path, out: Path, width: int, height: int) -> None:
    framed = out.with_suffix(".html")
    framed.write_bytes(_frame(page.resolve().as_uri(), width, height))
    size = f"--window-size={max(width, 500)},{height}"
    _run(size, f"--screenshot={out}", framed.resolve().as_uri())


def _frame(address: str, width: int, height: int) -> bytes:
    return FRAME.format(address, f"width:{width}px;height:{height}px;border:0").encode()


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        return subprocess.run(
            [program() or "", *FLAGS, f"--user-data-dir={profile}", *words],
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
