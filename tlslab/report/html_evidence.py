"""Pieces of evidence as HTML: found canaries, held bytes, refusals, links to files.

Both the matrix and the scenarios show them; this module knows of neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element

from tlslab.lab.evidence import Achievement, Holding, Refusal, Sighting
from tlslab.report.elements import Child, element
from tlslab.report.hexdump import Half, halves
from tlslab.report.links import Links
from tlslab.report.marks import refusal_numbers
from tlslab.report.text import counted, one_line

_OFFSET_DIGITS = 4
"""Digits of an offset in a dump: enough for a packet; a longer file gets more."""


def sighting_figure(sighting: Sighting, links: Links) -> Element:
    """Where a canary was found, and the bytes around it with the canary highlighted."""
    encoded = "" if sighting.encoding == "plain" else f", encoded as {sighting.encoding}"
    packet = None if sighting.packet is None else f", packet {sighting.packet}"
    return element(
        "figure",
        element(
            "figcaption",
            element("strong", sighting.canary),
            f" found{encoded} in ",
            file_anchor(sighting.file, links),
            packet,
            f", byte {sighting.offset}",
        ),
        dump(
            sighting.excerpt,
            label=f"{counted(len(sighting.excerpt), 'byte')} around the canary"
            f" {one_line(sighting.canary)}, as hex and as text",
            offset=sighting.offset - sighting.excerpt_start,
            start=sighting.excerpt_start,
            length=sighting.length,
        ),
    )


def achievement_block(achievement: Achievement) -> Element:
    """Harm that was done without reading anything, and how it was measured."""
    return element("p", element("strong", achievement.what.value), f": {achievement.measured}")


def holding_figure(holding: Holding, links: Links) -> Element:
    """What is held, how much of it, and a sample of its bytes."""
    where: Child = None
    if holding.file is not None:
        where = [" in ", file_anchor(holding.file, links)]
    sample = None
    if holding.sample:
        shown = counted(len(holding.sample), "byte")
        label = f"{shown} of {one_line(holding.title)}, as hex and as text"
        sample = dump(holding.sample, label=label, offset=holding.sample_offset)
    return element(
        "figure",
        element(
            "figcaption",
            element("strong", holding.title),
            f", {counted(holding.size, 'byte')}",
            where,
        ),
        sample,
    )


def refusal_block(refusal: Refusal) -> Element:
    """Who refused whom, with the numbers explained: what they mean, the cause and the fix."""
    numbers = [element("li", phrase) for phrase in refusal_numbers(refusal)]
    terms = [("Meaning", refusal.meaning), ("Usual cause", refusal.cause), ("Fix", refusal.fix)]
    return element(
        "div",
        element(
            "p",
            element("strong", refusal.refuser),
            " refused ",
            element("strong", refusal.peer),
            f": {refusal.reason}" if refusal.reason else ".",
        ),
        element("ul", numbers, class_="numbers") if numbers else None,
        facts((term, text) for term, text in terms if text),
        class_="refusal",
    )


def facts(pairs: Iterable[tuple[str, Child]]) -> Element | None:
    """Terms with their values; None if there are none."""
    rows = [element("div", element("dt", term), element("dd", value)) for term, value in pairs]
    return element("dl", rows, class_="facts") if rows else None


def identifier(name: str) -> list[Child]:
    """A scenario's id, which may be broken after its underscores where the line is too short."""
    first, *rest = name.split("_")
    pieces: list[Child] = [first]
    for part in rest:
        pieces += ["_", element("wbr"), part]
    return pieces


def file_anchor(name: str, links: Links) -> Element:
    """A link to an artefact of the run, shown by its name."""
    return element("a", one_line(name), href=links.file(name), class_="file")


def dump(data: bytes, *, label: str, offset: int = 0, start: int = 0, length: int = 0) -> Element:
    """Bytes as hex beside text; `length` bytes from `start` are marked.

    To assistive technology it is one image with a label: nobody wants hex digits read aloud.
    """
    parts = list(halves(data, offset=max(offset, 0), start=start, length=length))
    digits = max(_OFFSET_DIGITS, len(f"{parts[-1].offset:x}")) if parts else _OFFSET_DIGITS
    rows = [_row(parts[index : index + 2], digits) for index in range(0, len(parts), 2)]
    return element("div", rows, class_="dump", role="img", aria_label=label)


def _row(parts: list[Half], digits: int) -> Element:
    return element(
        "div", [_half(part, side, digits) for part, side in zip(parts, "ab", strict=False)]
    )


def _half(part: Half, side: str, digits: int) -> list[Element]:
    hexes: list[Child] = []
    texts: list[Child] = []
    for stretch in part.stretches:
        gap = " " if hexes else None
        hexes += [gap, element("mark", stretch.hex) if stretch.highlighted else stretch.hex]
        texts.append(element("mark", stretch.text) if stretch.highlighted else stretch.text)
    return [
        element("span", f"{part.offset:0{digits}x}", class_=f"o{side}"),
        element("span", hexes, class_=f"h{side}"),
        element("span", texts, class_=f"t{side}"),
    ]
