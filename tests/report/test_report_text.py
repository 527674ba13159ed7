"""Hostile text made visible, bytes dumped, links kept relative."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.report.hexdump import HALF, halves
from tlslab.report.links import file_link, way_to_folder
from tlslab.report.text import as_ascii, counted, duration, one_line, visible

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Grüße, 世界\u3000!", "Grüße, 世界\u3000!"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\x00b\x7f\x85", "a\\x00b\\x7f\\x85"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("\ufffe\ufeff", "\\ufffe\\ufeff"),
        ("one\r\ntwo\rthree", "one\ntwo\\rthree"),
        ("tab\tkept", "tab\tkept"),
    ],
)
def test_what_a_reader_would_act_on_is_shown_instead(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANY_TEXT)
def test_visible_text_is_allowed_in_xml_and_utf8(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert all(char in "\n\t" or ord(char) >= 0x20 for char in shown)
    assert not any(0x7F <= ord(char) < 0xA0 for char in shown)
    assert visible(shown) == shown


@given(ANY_TEXT)
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert "\t" not in one_line(text)
    as_ascii(one_line(text)).encode("ascii")


def test_numbers_read_well() -> None:
    assert duration(0.0184) == "18 ms"
    assert duration(1.0) == "1.00 s"
    assert counted(1, "byte") == "1 byte"
    assert counted(18402, "byte") == "18,402 bytes"
    assert counted(0, "copy", "copies") == "0 copies"


@given(st.binary(max_size=70), st.integers(0, 80), st.integers(0, 80), st.integers(0, 1 << 40))
def test_a_dump_shows_every_byte_and_marks_the_right_ones(
    data: bytes, start: int, length: int, offset: int
) -> None:
    parts = list(halves(data, offset=offset, start=start, length=length))
    stretches = [stretch for part in parts for stretch in part.stretches]
    assert b"".join(stretch.data for stretch in stretches) == data
    marked = b"".join(stretch.data for stretch in stretches if stretch.highlighted)
    assert marked == data[start : start + length]
    assert [part.offset for part in parts] == list(range(offset, offset + len(data), HALF))
    for stretch in stretches:
        assert stretch.data
        assert bytes.fromhex(stretch.hex) == stretch.data
        assert len(stretch.text) == len(stretch.data)


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("./captures/a b.pcapng", "./captures/a%20b.pcapng"),
        ("../run/x?y#z%41", "./../run/x%3Fy%23z%2541"),
        ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ("//evil.test/x", ".///evil.test/x"),
        ("\udcff", "./%FF"),
        ("\ud800", "./%5Cud800"),
    ],
)
def test_file_links(name: str, link: str) -> None:
    assert file_link(name) == link


@given(ANY_TEXT)
def test_a_file_link_names_neither_a_scheme_nor_a_host(name: str) -> None:
    link = file_link(name)
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    assert urljoin("http://here.test/run/report.html", link).startswith("http://here.test/")


def test_the_way_to_the_folder(tmp_path: Path) -> None:
    assert way_to_folder(tmp_path / "report.html", str(tmp_path)) == "."
    assert way_to_folder(tmp_path / "a" / "report.html", str(tmp_path / "b")) == "../b"
    assert way_to_folder(tmp_path / "report.html", "") == "."
    assert way_to_folder(tmp_path / "report.html", "nul\0") == "."
