"""The pages as a real browser shows them: headless Chromium, driven by playwright.

``ensure`` finds a browser or installs one; ``Visitor.visit`` opens a page and notes what tests object to.
"""

import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

VARIABLE = "BOOKKIT_BROWSER"
COMMANDS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chrome", "microsoft-edge"),
)
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)
HOST = "127.0.0.1"
OPTIONS = (
    *("--disable-gpu", "--disable-background-networking", "--no-first-run"),
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}",  # no other host is ever reached
)
DESK, PHONE = 1280, 390  # pixels that a window is wide
READABLE = 3.0  # contrast of large text and graphics, WCAG 2.1, 1.4.3 and 1.4.11


# ------------------------------------------------------------------------------- finding a browser


def ensure() -> str:
    """A browser that runs: one that is there, else playwright's own, else the system's package.

    Raises: RuntimeError: saying what was tried and what to do, if none can be had.
    """
    tried: list[str] = []
    for find in (_present, _from_playwright, _from_apt):
        found = find(tried)
        if found:
            return found
    raise RuntimeError(
        "the site's tests need Chromium or Chrome, and none could be had:\n  "
        + "\n  ".join(tried)
        + f"\nInstall one, or set {VARIABLE} to its program"
    )


def _present(tried: list[str]) -> str | None:
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return _running(chosen, tried)
    there = [path for name in COMMANDS if (path := shutil.which(name))]
    there += [place for place in PLACES if Path(place).is_file()]
    if not there:
        tried.append(f"found no {', '.join(COMMANDS)}")
    found = next((path for path in there if _running(path, tried)), None)
    own = None if found else _playwrights()
    return _running(own, tried) if own and Path(own).is_file() else found


def _from_playwright(tried: list[str]) -> str | None:
    command = [sys.executable, "-m", "playwright", "install", "chromium", "--no-shell"]
    if _ran(command, tried) and (own := _playwrights()):
        return _running(own, tried)
    return None


def _from_apt(tried: list[str]) -> str | None:
    if not shutil.which("apt-get") or getattr(os, "geteuid", lambda: 1)() != 0:
        tried.append("no apt-get, or not root: no system package was installed")
        return None
    install = ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]
    if _ran(["apt-get", "update"], tried) and _ran(install, tried):
        path = shutil.which("chromium")
        return _running(path, tried) if path else None
    return None


def _playwrights() -> str | None:
    """Where playwright keeps its own browser, whether or not it is there."""
    program = (
        "from playwright.sync_api import sync_playwright as start\n"
        "with start() as playwright: print(playwright.chromium.executable_path)"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip() or None


def _running(path: str, tried: list[str]) -> str | None:
    """The path, if the program starts: one that lacks system libraries does not."""
    return path if _ran([path, "--version"], tried, seconds=60) else None


def _ran(command: list[str], tried: list[str], seconds: float = 600) -> bool:
    shown = " ".join(command)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env=quiet
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        tried.append(f"{shown}: {error}")
        return False
    if done.returncode:
        last = (done.stderr + done.stdout).strip().splitlines()[-1:]
        tried.append(f"{shown}: exit {done.returncode} {' '.join(last)}")
    return done.returncode == 0


# --------------------------------------------------------------------------------- visiting a page


@dataclass(frozen=True)
class Figure:
    """How well a figure's titles and labels stand out; None where its margin is empty."""

    source: str
    contrast: float | None


@dataclass
class Visit:
    """What happened when a page was opened."""

    page: str
    errors: list[str] = field(default_factory=list)  # on the console, or uncaught
    strangers: list[str] = field(default_factory=list)  # asked for from other hosts
    missing: list[str] = field(default_factory=list)  # not delivered by our own
    mathematics: list[str] = field(default_factory=list)  # left raw, or in error
    rendered: int = 0  # formulas
    links: list[str] = field(default_factory=list)  # within the site
    anchors: set[str] = field(default_factory=set)
    figures: dict[str, list[Figure]] = field(default_factory=dict)  # by theme
    wider: dict[int, int] = field(default_factory=dict)  # pixels, by window's width


class Visitor:
    """Opens the pages of a folder in a browser; visits them one after another in one tab, where what all
    pages load is fetched and compiled once."""

    def __init__(self, browser: Any, base: str):
        self.browser, self.base = browser, base
        self.tab = browser.new_context().new_page()

    def open(self, page: str, **options: Any) -> Any:
        """A playwright page, in a context of its own; options such as ``viewport``."""
        tab = self.browser.new_context(**options).new_page()
        tab.goto(f"{self.base}/{page}")
        return tab

    def visit(self, page: str) -> Visit:
        """Open a page, let its scripts finish; look at it in light and dark, on a desk and in the hand."""
        tab, visit = self.tab, Visit(page)
        tab.set_viewport_size({"width": DESK, "height": 900})
        tab.emulate_media(color_scheme="light")
        heard = {
            "console": lambda message: self._console(visit, message),
            "pageerror": lambda error: visit.errors.append(str(error)),
            "request": lambda request: self._request(visit, request.url),
            "response": lambda response: self._response(visit, response),
        }
        for event, note in heard.items():
            tab.on(event, note)
        tab.goto(f"{self.base}/{page}", wait_until="load")
        tab.evaluate(SETTLE)
        found = tab.evaluate(LOOK)
        visit.mathematics, visit.rendered = found["raw"], found["rendered"]
        visit.anchors = set(found["anchors"])
        here = self.base + "/"
        visit.links = [
            x.removeprefix(here) for x in found["links"] if x.startswith(here)
        ]
        for theme in ("light", "dark"):
            tab.emulate_media(color_scheme=theme)
            tab.wait_for_function(THEMED, arg=theme)
            visit.figures[theme] = [Figure(*one) for one in tab.evaluate(FIGURES)]
        for width in (DESK, PHONE):
            tab.set_viewport_size({"width": width, "height": 900})
            visit.wider[width] = tab.evaluate(WIDER)
        tab.goto("about:blank")  # what this page still does is not the next one's
        for event, note in heard.items():
            tab.remove_listener(event, note)
        return visit

    def _console(self, visit: Visit, message: Any) -> None:
        if message.type == "error":
            visit.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def _request(self, visit: Visit, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.hostname != HOST:
            visit.strangers.append(url)

    def _response(self, visit: Visit, response: Any) -> None:
        if response.status >= 400:
            visit.missing.append(f"{response.status} {response.url}")


def dead_links(visits: dict[str, Visit], folder: Path) -> list[str]:
    """Links within the site whose page, or whose place on it, is not there."""
    dead = []
    for visit in visits.values():
        for link in dict.fromkeys(visit.links):
            parts = urlsplit(link)
            page = unquote(parts.path) or "index.html"
            place = unquote(parts.fragment)
            there = (folder / page).is_file()
            known = visits[page].anchors if page in visits else {place}
            if not there or (place and place not in known):
                dead.append(f"{visit.page}: {link}")
    return dead


@contextlib.contextmanager
def launched() -> Iterator[Any]:
    """A browser, as playwright has it."""
    from playwright.sync_api import sync_playwright

    program = ensure()
    options = list(OPTIONS)
    if getattr(os, "geteuid", lambda: 1)() == 0:
        options.append("--no-sandbox")  # Chromium refuses to run as root with it
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a folder's pages, served to this machine alone."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer((HOST, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for many requests

    def end_headers(self) -> None:
        """Let the browser keep what all pages share, instead of asking for it again on each."""
        shared = self.path.startswith("/_static/")
        self.send_header("Cache-Control", "max-age=3600" if shared else "no-store")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing is printed for each request."""


# ---------------------------------------------------------------------------- what is asked of a page

SETTLE = """async () => {
  await document.fonts.ready;
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  for (const image of document.images) {
    image.loading = "eager";
    await image.decode().catch(() => null);  // a missing one is seen by its response
  }
}"""

LOOK = r"""() => {
  const raw = [];
  const skip = "pre, code, script, style, mjx-container, textarea";
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.data;
    if (texts.currentNode.parentElement.closest(skip)) continue;
    const found = text.match(/\$[^$\s][^$]*\$|\\\(|\\\[|\\(begin|frac|sqrt|sum)\b/);
    if (found) raw.push("raw: " + text.trim().slice(0, 80));
  }
  for (const math of document.querySelectorAll(".math"))
    if (!math.querySelector("mjx-container"))
      raw.push("not rendered: " + math.textContent.slice(0, 80));
  for (const error of document.querySelectorAll("mjx-merror, [data-mjx-error]"))
    raw.push("error: " + (error.dataset.mjxError || error.textContent).slice(0, 80));
  const all = [...document.querySelectorAll("[id], a[name]")];
  return {
    raw,
    rendered: document.querySelectorAll("mjx-container").length,
    anchors: all.flatMap(e => [e.id, e.getAttribute("name")]).filter(Boolean),
    links: [...document.links].map(link => link.href),
  };
}"""

WIDER = "() => document.documentElement.scrollWidth - window.innerWidth"

THEMED = """theme => {
  const set = document.documentElement.dataset.theme;
  return set === undefined || set === theme;
}"""

# The ink of titles and labels is the commonest colour of thin strokes in the outer tenth of a figure: of what
# is within two pixels of its background. What lies behind is that background, or where it is clear, the page.
FIGURES = """() => {
  const backdrop = element => {
    for (let e = element; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (!/^rgba\\(.*, 0\\)$|^transparent$/.test(color)) return color;
    }
    return "white";
  };
  const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const contrast = (a, b) => {
    const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const measure = image => {
    const canvas = document.createElement("canvas");
    const w = canvas.width = image.naturalWidth, h = canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d", {willReadFrequently: true});
    context.fillStyle = backdrop(image);
    context.fillRect(0, 0, 1, 1);
    const page = [...context.getImageData(0, 0, 1, 1).data];
    context.clearRect(0, 0, w, h);
    context.filter = getComputedStyle(image).filter;
    context.drawImage(image, 0, 0);
    const bytes = context.getImageData(0, 0, w, h).data;
    const data = new Uint32Array(bytes.buffer);  // a pixel each: alpha, blue, green, red
    const rgb = pixel => [pixel & 255, pixel >> 8 & 255, pixel >> 16 & 255];
    const own = data[0] >>> 24 >= 128, behind = own ? rgb(data[0]) : page;
    const empty = (x, y) => {
      if (x < 0 || y < 0 || x >= w || y >= h) return true;
      const pixel = data[y * w + x];
      return own ? pixel === data[0] : pixel >>> 24 < 128;
    };
    const edge = Math.round(0.1 * Math.min(w, h)), counts = new Map();
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
      if (x === edge && y >= edge && y < h - edge) x = Math.max(x, w - edge);
      if (x >= w || empty(x, y)) continue;
      const thin = empty(x + 2, y) || empty(x - 2, y) || empty(x, y + 2) || empty(x, y - 2);
      if (!thin) continue;  // inside a picture or a bar, not a stroke of text
      const key = data[y * w + x] & 0xffffff;
      counts.set(key, (counts.get(key) || 0) + 1);
    }
    const [ink] = [...counts].sort((a, b) => b[1] - a[1]);
    return ink ? contrast(rgb(ink[0]), behind) : null;
  };
  const images = document.querySelectorAll(".cell_output img, figure img, p > img");
  return [...images].filter(i => i.naturalWidth).map(i => [i.src.split("/").pop(), measure(i)]);
}"""
