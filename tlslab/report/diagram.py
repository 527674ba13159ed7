"""The sequence diagram of a scenario: who spoke to whom, in the order of time, as inline SVG.

One lifeline per party that spoke, then one per adversary that only listened. What a sniffer on the
leg could not read is a solid arrow with a lock, what it could is dashed; an alert has a warning
sign. The same messages follow as a list, for screens too small and readers without eyes.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from tlslab.lab.evidence import Message, PartyRecord, ScenarioResult
from tlslab.report.elements import element
from tlslab.report.text import counted, duration, one_line

MAX_ARROWS = 60
"""More arrows make a picture that nobody can follow; the list beside it has all of them."""

_KEY = (
    "Solid with a lock: a sniffer on that leg could not read it. Dashed: it could."
    " Warning sign: a TLS alert."
)
_GUTTER = 84
_HEAD = 54
_LINE = 18
_CHARACTER = 8.0  # width of an average character of the label's font, which SVG cannot tell us
_WIDTH = 1040  # what a page on a projector has room for; more lifelines than fit are scrolled
_NARROWEST = 200
_WIDEST = 320
_MAX_LINES = 3


@dataclass(frozen=True)
class _Lane:
    name: str
    x: int
    width: int
    role: str
    adversary: bool


@dataclass(frozen=True)
class _Row:
    """A message with its place: `y` is the arrow's line, below its label."""

    number: int
    message: Message
    left: int
    right: int
    rightwards: bool
    lines: Sequence[str]
    y: int

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


def sequence_diagram(result: ScenarioResult, anchor: str) -> list[Element]:
    """A scrolling figure with the drawing, and the list; nothing if nobody said anything.

    `anchor` makes the ids of the drawing unique within the page.
    """
    messages = sorted(result.messages, key=lambda message: message.seconds)
    if not messages:
        return []
    lanes = _lanes(messages[:MAX_ARROWS], result.parties)
    drawing = _drawing(messages[:MAX_ARROWS], lanes, anchor, len(messages))
    figure = element(
        "div",
        drawing,
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=f"Sequence diagram of {result.id}",
    )
    rest = len(messages) - MAX_ARROWS
    note = (
        element(
            "p", f"{counted(rest, 'later message')} not drawn; the list has all.", class_="soft"
        )
        if rest > 0
        else None
    )
    key = element("p", _KEY, class_="soft key")
    return [part for part in (figure, key, note, _list(messages)) if part is not None]


def _lanes(messages: Sequence[Message], parties: Sequence[PartyRecord]) -> dict[str, _Lane]:
    records = {party.name: party for party in parties}
    spoke = [name for message in messages for name in (message.source, message.target)]
    names = dict.fromkeys([*(party.name for party in parties), *spoke])
    width = min(max((_WIDTH - _GUTTER) // len(names), _NARROWEST), _WIDEST)
    lanes = {}
    for index, name in enumerate(names):
        record = records.get(name)
        x = _GUTTER + width // 2 + index * width
        adversary = record is not None and record.adversary
        lanes[name] = _Lane(name, x, width, record.kind if record else "", adversary)
    return lanes


def _rows(messages: Sequence[Message], lanes: dict[str, _Lane]) -> Iterator[_Row]:
    y = _HEAD + 20
    for number, message in enumerate(messages, start=1):
        source, target = lanes[message.source].x, lanes[message.target].x
        left, right = min(source, target), max(source, target)
        width = (right - left or lanes[message.source].width) - 24
        lines = textwrap.wrap(
            f"{number}. {one_line(message.text)}",
            max(8, int(width / _CHARACTER)),
            max_lines=_MAX_LINES,
            placeholder=" …",
        )
        y += _LINE * len(lines) + 16
        yield _Row(number, message, left, right, target >= source, lines, y)
        y += 16 if left != right else 28


def _drawing(
    messages: Sequence[Message], lanes: dict[str, _Lane], anchor: str, total: int
) -> Element:
    rows = list(_rows(messages, lanes))
    lane = next(iter(lanes.values()))
    width, height = _GUTTER + lane.width * len(lanes) + 12, rows[-1].y + 44
    names = ", ".join(one_line(lane.name) for lane in lanes.values())
    return element(
        "svg",
        element("title", "Who spoke to whom", id=f"{anchor}-title"),
        element("desc", f"{counted(total, 'message')} between {names}", id=f"{anchor}-desc"),
        [_lifeline(lane, height) for lane in lanes.values()],
        [_arrow(row) for row in rows],
        role="img",
        aria_labelledby=f"{anchor}-title {anchor}-desc",
        viewBox=f"0 0 {width} {height}",
        width=str(width),
        height=str(height),
        class_="sequence",
    )


def _lifeline(lane: _Lane, height: int) -> Element:
    name = textwrap.shorten(one_line(lane.name), 24, placeholder="…") or "…"
    role = f"adversary: {one_line(lane.role)}" if lane.adversary else one_line(lane.role)
    return element(
        "g",
        _line(lane.x, _HEAD, lane.x, height - 8, "lifeline"),
        element(
            "rect",
            x=str(lane.x - lane.width // 2 + 10),
            y="4",
            width=str(lane.width - 20),
            height=str(_HEAD - 4),
            rx="8",
        ),
        _text(lane.x, 26, name, "lane-name"),
        _text(lane.x, 44, textwrap.shorten(role, 28, placeholder="…"), "lane-role"),
        class_="lane adversary" if lane.adversary else "lane",
    )


def _arrow(row: _Row) -> Element:
    kind = row.message.kind
    style = "alert" if kind == "alert" else "protected" if row.message.protected else "open"
    time = _text(_GUTTER - 12, row.y + 4, f"+{duration(row.message.seconds)}", "time")
    if kind == "note":
        return element("g", time, _note(row), class_="arrow note")
    tip = row.right if row.rightwards else row.left
    shaft = _line(row.left, row.y, row.right, row.y, "shaft")
    if row.left == row.right:
        loop = f"M{tip} {row.y - 4} h48 v20 h-44"
        shaft = element("path", d=loop, class_="shaft")
        head = _head(tip, row.y + 16, rightwards=False)
    else:
        head = _head(tip, row.y, rightwards=row.rightwards)
    return element("g", time, _label(row), shaft, head, _sign(row, style), class_=f"arrow {style}")


def _label(row: _Row) -> list[Element]:
    first = row.y - 13 - _LINE * (len(row.lines) - 1)
    return [
        _text(row.middle, first + _LINE * index, line, "label")
        for index, line in enumerate(row.lines)
    ]


def _note(row: _Row) -> list[Element]:
    half = max(row.right - row.left, _NARROWEST - 24) / 2
    top = row.y - _LINE * len(row.lines) - 10
    height = _LINE * len(row.lines) + 10
    box = element(
        "rect",
        x=f"{row.middle - half:g}",
        y=str(top),
        width=f"{half * 2:g}",
        height=str(height),
        rx="4",
    )
    return [box, *_label(row)]


def _head(x: int, y: int, *, rightwards: bool) -> Element:
    back = x - 11 if rightwards else x + 11
    return element("path", d=f"M{x} {y} L{back} {y - 5} V{y + 5} Z", class_="head")


def _sign(row: _Row, style: str) -> list[Element]:
    """A lock or a warning triangle on the middle of the shaft; an open message has none."""
    x = row.middle if row.left != row.right else row.middle + 48
    y = row.y if row.left != row.right else row.y + 6
    disc = element("circle", cx=f"{x:g}", cy=str(y), r="11", class_="disc")
    if style == "protected":
        body = element(
            "rect", x=f"{x - 5.5:g}", y=str(y - 1), width="11", height="8", rx="1.5", class_="lock"
        )
        bow = f"M{x - 3.5:g} {y - 1} v-3 a3.5 3.5 0 0 1 7 0 v3"
        return [disc, body, element("path", d=bow, class_="bow")]
    if style == "alert":
        outline = f"M{x:g} {y - 8} L{x + 9:g} {y + 7} H{x - 9:g} Z"
        return [disc, element("path", d=outline, class_="warning"), _text(x, y + 5, "!", "bang")]
    return []


def _list(messages: Sequence[Message]) -> Element:
    items = [element("li", _sentence(message)) for message in messages]
    return element(
        "details",
        element("summary", "The same as a list"),
        element("ol", items, class_="messages"),
        class_="as-list",
    )


def _sentence(message: Message) -> str:
    if message.kind == "note":
        who, state = message.source, ""
    else:
        who = f"{message.source} → {message.target}"
        state = ", protected" if message.protected else ", readable on the way"
    when = f"+{duration(message.seconds)}"
    return one_line(f"{who}: {message.text} ({message.kind}{state}, {when})")


def _line(x1: int, y1: int, x2: int, y2: int, style: str) -> Element:
    return element("line", x1=str(x1), y1=str(y1), x2=str(x2), y2=str(y2), class_=style)


def _text(x: float, y: int, text: str, style: str) -> Element:
    return element("text", text, x=f"{x:g}", y=str(y), class_=style)
