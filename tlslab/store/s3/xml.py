"""S3's XML: documents written, and untrusted ones read within bounds.

What is read is held against what an operation knows: an element that is unknown, missing or there
twice is MalformedXML, so nothing that a client asks for is overlooked. A DTD, an entity or another
namespace is refused too. The module knows no operation's schema.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from tlslab.store.refusals import Refused

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

MAX_DEPTH = 16
"""CORS and encryption rules nest four deep, policies of grants six."""

MAX_ELEMENTS = 80_000
"""CompleteMultipartUpload: 10,000 parts with number, ETag and up to five checksums."""

Content: TypeAlias = "str | int | bool | Sequence[Child]"
Child: TypeAlias = tuple[str, "Content | None"]
"""An element's name (attributes may follow it) and what it holds; None leaves the element out."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")


def document(name: str, content: Content, *, namespace: str | None = NAMESPACE) -> bytes:
    """A whole document.

    Characters that XML 1.0 has no place for become character references, as AWS writes them; to
    read such keys, clients ask for `encoding-type=url`.
    """
    parts = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    _write(parts, f'{name} xmlns="{namespace}"' if namespace else name, content)
    return "".join(parts).encode("utf-8", "surrogatepass")


def _write(parts: list[str], name: str, content: Content) -> None:
    parts.append(f"<{name}>")
    if isinstance(content, bool):
        parts.append("true" if content else "false")
    elif isinstance(content, str | int):
        parts.append(_CONTROL.sub(lambda found: f"&#x{ord(found[0]):X};", escape(str(content))))
    else:
        for child, inner in content:
            if inner is not None:
                _write(parts, child, inner)
    parts.append(f"</{name.partition(' ')[0]}>")


@dataclass(slots=True)
class Element:
    """An element that was read: its name without namespace, its text, its children in order."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def knows(self, *names: str) -> Element:
        """Itself, if it has no children but these and no text between them."""
        if any(child.name not in names for child in self.children):
            raise Refused("MalformedXML")
        if self.children and self.text.strip():
            raise Refused("MalformedXML")
        return self

    def all(self, name: str) -> list[Element]:
        """Its children of that name."""
        return [child for child in self.children if child.name == name]

    def find(self, name: str) -> Element | None:
        """Its child of that name, if there is one; two are MalformedXML."""
        found = self.all(name)
        if len(found) > 1:
            raise Refused("MalformedXML")
        return found[0] if found else None

    def one(self, name: str) -> Element:
        """Its child of that name, which must be there once."""
        found = self.find(name)
        if found is None:
            raise Refused("MalformedXML")
        return found

    def value(self, name: str) -> str | None:
        """The text of its child of that name, None if there is no such child."""
        found = self.find(name)
        return None if found is None else found.leaf()

    def leaf(self) -> str:
        """Its text, if it has nothing else."""
        if self.children:
            raise Refused("MalformedXML")
        return self.text


def parse(data: bytes, root: str) -> Element:
    """Read a document whose outermost element is `root`. Raises Refused (MalformedXML)."""
    builder = _Builder()
    parser = DefusedXMLParser(target=builder, forbid_dtd=True)
    try:
        parser.feed(data)
        parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise Refused("MalformedXML") from None
    if builder.root is None or builder.root.name != root:
        raise Refused("MalformedXML")
    return builder.root


class _Builder:
    """Builds elements while they are parsed, so that the bounds hold before memory is spent."""

    def __init__(self) -> None:
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self.root: Element | None = None
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        namespace, brace, name = tag.rpartition("}")
        if brace and namespace != "{" + NAMESPACE:
            raise ValueError("another namespace")
        self._count += 1
        if self._count > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise ValueError("too many elements")
        element = Element(name)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append([])

    def data(self, text: str) -> None:
        if self._texts:
            self._texts[-1].append(text)

    def end(self, tag: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())
