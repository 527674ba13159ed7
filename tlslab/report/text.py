"""Hostile text made visible: names, excerpts and error texts come from peers and from files.

A report shows what was recorded, so nothing is dropped: characters that a terminal, a browser or
an XML parser would act on (or refuse) are replaced by their Python escapes. Markup is none of this
module's business; whoever writes HTML, XML or terminal output escapes by construction.
"""

from __future__ import annotations

import unicodedata

_LAYOUT = "\n\t"


def visible(text: str) -> str:
    r"""The text with every unprintable character but newline and tab shown as an escape.

    Escaped are control characters (`\x1b`), lone surrogates, noncharacters, and format characters
    such as the bidirectional overrides that make text read differently from what it is. The result
    can be encoded as UTF-8 and is allowed in XML 1.0 (section 2.2).
    """
    if text.isprintable():
        return text
    return "".join(map(_shown, text.replace("\r\n", "\n")))


def one_line(text: str) -> str:
    """Like `visible`, on one line: newlines and tabs become escapes too."""
    return "".join(_escaped(char) if char in _LAYOUT else char for char in visible(text))


def as_ascii(text: str) -> str:
    """The text for an output that knows only ASCII, everything else as escapes."""
    return text.encode("ascii", "backslashreplace").decode("ascii")


def duration(seconds: float) -> str:
    """A duration for people: milliseconds below one second."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun, as in `"1 file"`; `plural` is the noun with an s unless given."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def _shown(char: str) -> str:
    if char.isprintable() or char in _LAYOUT or unicodedata.category(char) == "Zs":
        return char
    return _escaped(char)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
