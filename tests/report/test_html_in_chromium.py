"""The page in a real browser: layout, accessibility tree, contrast, and nothing on its console."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tlslab.lab.evidence import RunResult
from tlslab.report import write_html

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
    " --remote-debugging-pipe"
)
DEADLINE = 30.0
DESKTOP = 1280
PHONE = 360

CONTRAST = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const channels = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => [r, g, b]
    .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => {
    for (let e = node; e; e = e.parentElement) {
      const image = getComputedStyle(e).backgroundImage.match(/rgba?\\([^)]*\\)/);
      if (image) return image[0];
      const colour = getComputedStyle(e).backgroundColor;
      if (channels(colour)[3] === 255) return colour;
    }
    return 'white';
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), e = walker.currentNode.parentElement;
    if (!text || !e.checkVisibility()) continue;
    if (e.namespaceURI.endsWith('svg') && e.classList.contains('bang')) continue;
    const style = getComputedStyle(e);
    const front = e.namespaceURI.endsWith('svg') ? style.fill : style.color;
    const [a, b] = [front, behind(e)].map(channels).map(luminance).sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push([text, front, behind(e)]);
  }
  return poor;
})()
"""


class Chromium:
    """A headless Chromium, spoken to over its debugging pipe (NUL-terminated JSON)."""

    def __init__(self, program: str, profile: str) -> None:
        read_command, self._out = os.pipe()
        self._in, write_answer = os.pipe()
        for end in (self._in, self._out):
            os.set_inheritable(end, False)
        arguments = [program, *FLAGS.split(), f"--user-data-dir={profile}", "about:blank"]
        quiet = os.open(os.devnull, os.O_RDWR)
        moves = [(os.POSIX_SPAWN_DUP2, read_command, 93), (os.POSIX_SPAWN_DUP2, write_answer, 94)]
        moves += [(os.POSIX_SPAWN_DUP2, 93, 3), (os.POSIX_SPAWN_DUP2, 94, 4)]
        moves += [(os.POSIX_SPAWN_DUP2, quiet, fd) for fd in (0, 1, 2)]
        closes = [(os.POSIX_SPAWN_CLOSE, fd) for fd in (93, 94)]
        self.pid = os.posix_spawn(
            program, arguments, dict(os.environ), file_actions=[*moves, *closes], setpgroup=0
        )
        for end in (read_command, write_answer, quiet):
            os.close(end)
        self._pending = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._in], [], [], DEADLINE)
            assert ready, f"chromium said nothing for {DEADLINE} s"
            data = os.read(self._in, 1 << 20)
            assert data, "chromium ended"
            self._pending += data
        first, self._pending = self._pending.split(b"\0", 1)
        message: dict[str, Any] = json.loads(first)
        if "method" in message:
            self.events.append(message)
        return message

    def open(self, page: Path, *, width: int, scheme: str = "light", media: str = "") -> None:
        self.events.clear()
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        self.call("Page.navigate", url=page.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive()

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def complaints(self) -> list[dict[str, Any]]:
        kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [event for event in self.events if event["method"] in kinds]

    def accessible(self) -> list[dict[str, Any]]:
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [node for node in nodes if not node["ignored"]]

    def close(self) -> None:
        """End the browser, which is the leader of a process group of its own."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._in)
        os.close(self._out)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("chromium is not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Chromium(program, profile)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture
def page(run: RunResult, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    write_html(run, path)
    return path


@pytest.fixture
def hostile_page(hostile: RunResult, tmp_path: Path) -> Path:
    path = tmp_path / "hostile.html"
    write_html(hostile, path)
    return path


@pytest.mark.parametrize("width", [PHONE, 820, DESKTOP])
def test_the_page_is_never_wider_than_the_screen(
    chromium: Chromium, page: Path, hostile_page: Path, width: int
) -> None:
    for path in (page, hostile_page):
        chromium.open(path, width=width)
        assert chromium.evaluate("document.documentElement.scrollWidth") <= width


def test_on_a_phone_nothing_of_the_matrix_needs_scrolling(chromium: Chromium, page: Path) -> None:
    right_edge = "Math.max(...[...document.querySelectorAll('.matrix td')].map(%s))"
    edges = right_edge % "cell => cell.getBoundingClientRect().right"
    chromium.open(page, width=PHONE)
    assert chromium.evaluate(edges) <= PHONE
    chromium.open(page, width=700)  # too wide to restack, too narrow for all columns
    assert chromium.evaluate(edges) > 700


def test_on_a_phone_no_byte_of_a_dump_is_cut_off(chromium: Chromium, page: Path) -> None:
    chromium.open(page, width=PHONE)
    cut = "[...document.querySelectorAll('.dump')].filter(d => d.scrollWidth > d.clientWidth)"
    assert chromium.evaluate(f"{cut}.length") == 0
    assert chromium.evaluate("document.querySelectorAll('.dump').length") > 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(
    chromium: Chromium, page: Path, scheme: str
) -> None:
    chromium.open(page, width=DESKTOP, scheme=scheme)
    dark = chromium.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 20, 26)"
    assert dark == (scheme == "dark")
    assert chromium.evaluate(CONTRAST) == []


def test_the_contrast_check_finds_poor_contrast(chromium: Chromium, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    policy = "Content-Security-Policy"  # the page's own would block the weakened style
    page.write_text(text.replace(policy, "x-none").replace("--soft: #4b5867", "--soft: #b5bdc7"))
    chromium.open(page, width=DESKTOP)
    assert chromium.evaluate(CONTRAST) != []


def test_the_console_stays_empty(chromium: Chromium, page: Path, hostile_page: Path) -> None:
    for path in (page, hostile_page):
        chromium.open(path, width=DESKTOP)
        assert chromium.complaints() == []


def test_hostile_names_become_neither_elements_nor_script(
    chromium: Chromium, hostile_page: Path
) -> None:
    chromium.open(hostile_page, width=DESKTOP)
    assert chromium.evaluate("document.querySelectorAll('script, b, body img').length") == 0
    shown = chromium.evaluate("document.querySelector('article h3').textContent")
    assert shown.startswith("<script>alert(1)</script>")
    hosts = "[...document.links].filter(a => a.protocol !== 'file:').length"
    assert chromium.evaluate(hosts) == 0


def test_the_policy_stops_a_script_that_would_otherwise_run(chromium: Chromium, page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    attacked = text.replace("</body>", "<script>document.title = 'owned'</script></body>")
    page.write_text(attacked, encoding="utf-8")
    chromium.open(page, width=DESKTOP)
    assert chromium.evaluate("document.title") == "Who can read what? – tlslab"
    assert chromium.complaints()

    page.write_text(attacked.replace("Content-Security-Policy", "x-none"), encoding="utf-8")
    chromium.open(page, width=DESKTOP)
    assert chromium.evaluate("document.title") == "owned"


def _role(node: dict[str, Any]) -> str:
    return str(node["role"]["value"])


def _name(node: dict[str, Any]) -> str:
    return str(node.get("name", {}).get("value", ""))


def test_headings_go_down_one_level_at_a_time(chromium: Chromium, page: Path) -> None:
    chromium.open(page, width=DESKTOP)
    levels = [
        next(p["value"]["value"] for p in node["properties"] if p["name"] == "level")
        for node in chromium.accessible()
        if _role(node) == "heading"
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_everything_that_needs_a_name_has_one(chromium: Chromium, page: Path) -> None:
    chromium.open(page, width=DESKTOP)
    named = {"link", "image", "table", "region", "navigation", "heading"}
    nodes = [node for node in chromium.accessible() if _role(node) in named]
    assert {_role(node) for node in nodes} == named
    assert [node for node in nodes if not _name(node)] == []
    diagrams = [_name(node) for node in nodes if _name(node).startswith("Who spoke to whom ")]
    assert len([name for name in diagrams if "messages between" in name]) == 3


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_matrix_is_a_table_with_headers_at_any_width(
    chromium: Chromium, page: Path, run: RunResult, width: int
) -> None:
    assert run.matrix is not None
    chromium.open(page, width=width)
    nodes = chromium.accessible()
    rows = [_name(node) for node in nodes if _role(node) == "rowheader"]
    columns = [_name(node) for node in nodes if _role(node) == "columnheader"]
    assert set(run.matrix.rows) <= set(rows)
    assert set(run.matrix.columns) <= set(columns)


def test_a_cell_leads_to_its_evidence(chromium: Chromium, page: Path) -> None:
    chromium.open(page, width=DESKTOP)
    chromium.evaluate("document.querySelector('.matrix td.refused .value').click()")
    target = "document.querySelector('article:target')"
    assert "X509 error 20" in chromium.evaluate(f"{target}.textContent")
    assert chromium.evaluate(f"{target}.getBoundingClientRect().top") < 900


def test_paper_shows_what_the_screen_folds(chromium: Chromium, page: Path) -> None:
    visible = "[...document.querySelectorAll('details pre')].map(e => e.checkVisibility())"
    chromium.open(page, width=DESKTOP)
    assert set(chromium.evaluate(visible)) == {False}
    chromium.open(page, width=DESKTOP, scheme="dark", media="print")
    assert set(chromium.evaluate(visible)) == {True}
    ink = "getComputedStyle(document.body).color"
    assert chromium.evaluate(ink) == "rgb(23, 32, 43)"  # dark ink, whatever the screen's scheme


def test_on_a_phone_a_conversation_needs_no_scrolling(chromium: Chromium, page: Path) -> None:
    right = "Math.max(...[...document.querySelectorAll('.sequence')].map(%s))"
    edges = right % "drawing => drawing.getBoundingClientRect().right"
    listed = "[...document.querySelectorAll('.messages li')].map(item => item.checkVisibility())"
    for width in (PHONE, 480):
        chromium.open(page, width=width)
        assert chromium.evaluate(edges) <= width
        assert set(chromium.evaluate(listed)) == {True}
    chromium.open(page, width=481)  # drawn in full size, and scrolled
    assert chromium.evaluate(edges) > 481
    assert set(chromium.evaluate(listed)) == {False}
    scripts = "[...document.querySelectorAll('details:not(.as-list) pre')]"
    chromium.open(page, width=PHONE)
    shown = chromium.evaluate(f"{scripts}.map(script => script.checkVisibility())")
    assert set(shown) == {False}


def test_paper_tells_what_is_not_as_declared(
    chromium: Chromium, mixed: RunResult, tmp_path: Path
) -> None:
    path = tmp_path / "mixed.html"
    write_html(mixed, path)
    for media in ("", "print"):
        chromium.open(path, width=DESKTOP, media=media)
        assert chromium.evaluate("document.querySelector('nav .differs').checkVisibility()")
