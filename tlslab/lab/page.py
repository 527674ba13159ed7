"""A web page as a browser understands it: its links and its forms, and where they lead.

Bytes in, a page out. Nothing of it is shown or run.
"""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

from tlslab.errors import ScenarioError

MAX_PAGE: Final = 64 * 1024
"""Bytes of a page that are looked at: the lab's are smaller, and a hostile one is slow to read."""

MAX_ELEMENTS: Final = 1000
"""Links, and forms, that are remembered of a page."""


@dataclass(frozen=True)
class Link:
    """A link: its text, and the absolute URL that it leads to."""

    text: str
    url: str


@dataclass(frozen=True)
class Form:
    """A form: the absolute URL that it is sent to, and the names of its fields."""

    action: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """What came back from `url`, the last one of any redirects.

    `upgrades_requests` says that the page asks its browser to make http URLs in it https ones (the
    CSP directive upgrade-insecure-requests).
    """

    url: str
    status: int
    links: tuple[Link, ...] = ()
    forms: tuple[Form, ...] = ()
    upgrades_requests: bool = False

    def link(self, text: str) -> str:
        """Where the link with that text leads; ScenarioError if there is none."""
        for link in self.links:
            if link.text == text:
                return link.url
        raise ScenarioError(f"{self.url} has no link called {text!r}")

    def form(self) -> Form:
        """The page's first form; ScenarioError if it has none."""
        if not self.forms:
            raise ScenarioError(f"{self.url} (status {self.status}) has no form")
        return self.forms[0]


def read_page(url: str, status: int, content: bytes, *, upgrades_requests: bool = False) -> Page:
    """The page that `content`, up to `MAX_PAGE` of it, is. Any bytes are one."""
    reader = _Reader(url)
    reader.feed(content[:MAX_PAGE].decode("utf-8", "replace"))
    reader.close()
    return Page(url, status, tuple(reader.links), tuple(reader.forms), upgrades_requests)


class _Reader(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.forms: list[Form] = []
        self._base = base
        self._href: str | None = None
        self._text: list[str] = []
        self._in_form = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self._href, self._text = given["href"], []
        elif tag == "form" and len(self.forms) < MAX_ELEMENTS:
            self._in_form = True
            self.forms.append(Form(self._absolute(given.get("action", "")), ()))
        elif tag == "input" and self._in_form and given.get("name"):
            form = self.forms[-1]
            if len(form.fields) < MAX_ELEMENTS:
                self.forms[-1] = Form(form.action, (*form.fields, given["name"]))

    def handle_data(self, data: str) -> None:
        if self._href is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._href is not None and len(self.links) < MAX_ELEMENTS:
            self.links.append(Link("".join(self._text).strip(), self._absolute(self._href)))
            self._href = None
        elif tag == "form":
            self._in_form = False

    def _absolute(self, url: str) -> str:
        try:
            return urljoin(self._base, url)
        except ValueError:  # such as http://[
            return url
