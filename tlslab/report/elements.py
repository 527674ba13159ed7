"""HTML and SVG elements, escaped by construction.

An element is made of elements and strings; strings are text, never markup. There is no way to put
markup in by hand, so no value of a report can become any. This module knows nothing of reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import TypeAlias, Union
from xml.etree.ElementTree import Element

from tlslab.report.text import visible

Child: TypeAlias = Union["Element", str, Iterable["Child"], None]

_BLOCK_NAMES = (
    "article body caption dd details div dl dt figcaption figure footer g h1 h2 h3 h4 h5 head"
    " header html li main meta nav ol p pre section style summary svg table tbody td th thead"
    " title tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_VOID = frozenset({"meta", "wbr"})
"""Elements without content or end tag (HTML section 13.1.2), as far as reports use them."""
"""Elements that end a line of the file, so that two reports can be compared with diff."""


def element(tag: str, /, *children: Child, **attributes: str | None) -> Element:
    """An element with its children in order; None is left out, nested iterables are flattened.

    In attribute names a trailing underscore is dropped (`class_`) and others become hyphens
    (`aria_label`). Attributes that are None are left out.
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), visible(value))
    _append(made, children)
    return made


def document(root: Element) -> str:
    """The HTML file of a root element, with its doctype."""
    return "<!doctype html>\n" + "".join(_markup(root)) + "\n"


def _markup(node: Element) -> Iterator[str]:
    # not ElementTree's own HTML: it leaves < in attributes, which is valid but alarms who greps
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in node.items())
    yield f"<{node.tag}{attributes}>"
    if node.tag not in _VOID:
        text = node.text or ""
        yield text if node.tag == "style" else escape(text, quote=False)
        for child in node:
            yield from _markup(child)
        yield f"</{node.tag}>"
    yield escape(node.tail or "", quote=False)


def _append(parent: Element, children: Iterable[Child]) -> None:
    for child in children:
        if child is None:
            continue
        if isinstance(child, str):
            _append_text(parent, visible(child))
        elif isinstance(child, Element):
            child.tail = "\n" if child.tag in _BLOCKS else None
            parent.append(child)
        else:
            _append(parent, child)


def _append_text(parent: Element, text: str) -> None:
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text
