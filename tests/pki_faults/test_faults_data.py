"""The files are read strictly: what is wrong in one is told with the file, the key and the cure."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import PKIError, UsageError
from tlslab.pki import Authority
from tlslab.pki.faults import Fault, build, shipped_faults
from tlslab.pki.faults import table as t
from tlslab.pki.faults.recipe import MAX_HEIGHT
from tlslab.shipped import shipped

GOOD = """\
id = "x"
catalogue = ["A01"]
title = "a title"
wrong = "something"
wins = "never"
severity = "low"
must_refuse = true
tags = ["dates"]
[expected]
openssl = { accepted = false, x509 = 10, depth = 0, alert = 45 }
cryptography = { accepted = false }
"""


def parse(text: str) -> Fault:
    return Fault.parse(text.encode(), id="x", source="x.toml")


def with_recipe(text: str) -> str:
    return f"{GOOD}[recipe]\n{text}\n"


def test_a_file_gives_a_fault(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(GOOD)
    fault = Fault.load(tmp_path / "x.toml")
    assert fault == parse(GOOD)
    assert fault.expected.openssl.x509 == 10
    assert fault.recipe.chain == ("leaf", "intermediate")
    assert Fault.named("expired-leaf").id == "expired-leaf"
    with pytest.raises(UsageError, match="there is no fault 'nope'"):
        Fault.named("nope")
    with pytest.raises(UsageError, match="cannot read"):
        Fault.load(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('severity = "low"', 'severity = "bad"', r"x\.toml: severity cannot be 'bad'"),
        ('severity = "low"', "", r"x\.toml: severity is missing"),
        ('title = "a title"', "title = 3", r"title cannot be 3"),
        ('title = "a title"', 'title = "a\\nb"', r"title cannot be"),
        ("must_refuse = true", "must_refuse = 1", r"must_refuse cannot be 1"),
        ('tags = ["dates"]', "tags = []", r"tags is empty"),
        ('tags = ["dates"]', 'tags = ["dates", "dates"]', r"tags cannot be"),
        ('tags = ["dates"]', 'tags = "dates"', r"tags cannot be"),
        ('catalogue = ["A01"]', 'catalogue = ["a1"]', r"catalogue cannot be"),
        ("depth = 0", "deepth = 0", r"expected: openssl: unknown key 'deepth'"),
        ("depth = 0", "depth = -1", r"expected: openssl: depth cannot be -1"),
        ("depth = 0", "depth = true", r"depth cannot be True"),
        ("cryptography = { accepted = false }", "cryptography = 1", r"cryptography is not a table"),
        ('id = "x"', 'id = "y"', r"id is 'y', but the file is called 'x'"),
        ('id = "x"', 'id = "x"\nid = "x"', r"not TOML"),
        ('id = "x"', 'id = "x"\ncolour = 1', r"unknown key 'colour'"),
    ],
)
def test_mistakes_are_told(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(UsageError, match=message):
        parse(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('chain = ["leef"]', "recipe: chain speaks of a certificate 'leef'"),
        ("chain = []", "recipe: chain is empty"),
        ('trust = ["mine"]', "trust speaks of"),
        ('maximum = "TLS 1.1"', "recipe: maximum cannot be"),
        ("[recipe.certificates.Leaf]", "certificates"),
        ('[recipe.certificates.leaf]\nkey = "rsa-768"', "certificates.leaf: key cannot be"),
        ('[recipe.certificates.leaf]\nissuer = "x"', "leaf speaks of a certificate 'x'"),
        ('[recipe.certificates.leaf]\nnot_after = "1y"', "not_after cannot be '1y'"),
        ('[recipe.certificates.leaf]\nnot_after = "40000d"', "not_after cannot be"),
        ('[recipe.certificates.leaf]\nnames = ["x"]', "names cannot be"),
        (f"[recipe.certificates.leaf]\nheight = {MAX_HEIGHT + 1}", "height cannot be"),
        ("[recipe.certificates.leaf]\nheight = 0", "height cannot be"),
        ('[[recipe.certificates.leaf.add]]\ntext = "x"', r"add\[0\]: oid is missing"),
        ('[[recipe.certificates.leaf.add]]\noid = "3.1"', r"add\[0\]: oid cannot be"),
        ('crls = [{ issuer = "nobody" }]', "crls speaks of"),
        ('staple = { status = "fine" }', "staple: status cannot be"),
    ],
)
def test_mistakes_in_recipes_are_told(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(with_recipe(text))


def test_limits_from_both_sides() -> None:
    assert parse(GOOD.replace("a title", "t" * t.MAX_TEXT))
    with pytest.raises(UsageError, match="title cannot be"):
        parse(GOOD.replace("a title", "t" * (t.MAX_TEXT + 1)))
    parse(with_recipe(f"[recipe.certificates.leaf]\nheight = {MAX_HEIGHT}"))
    padding = "#" * (t.MAX_FILE_SIZE - len(GOOD))
    assert parse(GOOD + padding)
    with pytest.raises(UsageError, match="larger than"):
        parse(GOOD + padding + "#")
    with pytest.raises(UsageError, match="not UTF-8 at byte 0"):
        Fault.parse(b"\xff", id="x", source="x.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '[recipe.certificates.leaf]\nissuer = "b"\n[recipe.certificates.b]\nissuer = "leaf"',
            "needs itself",
        ),
        ('[recipe.certificates.leaf]\nhash = "md5"', "ECDSA and md5"),
        ('[recipe.certificates.leaf]\nnames = ["ip:nowhere"]', "no IP address"),
    ],
)
def test_recipes_that_cannot_be_followed(authority: Authority, text: str, message: str) -> None:
    fault = parse(with_recipe(text))
    with pytest.raises(UsageError, match=message):
        build(fault, authority)


def test_a_root_that_is_locked_away(authority: Authority) -> None:
    locked = Authority(
        authority.name, authority.root, authority.intermediate, authority.intermediate_key
    )
    assert build(Fault.named("expired-leaf"), locked)
    with pytest.raises(PKIError, match="locked away"):
        build(Fault.named("expired-intermediate"), locked)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("1d"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(Fault.__dataclass_fields__)), _values))
def test_any_table_is_a_fault_or_the_users_mistake(table: dict[str, object]) -> None:
    with pytest.raises(UsageError):  # none of these has all keys with values that fit
        Fault._from_table(table, "x", "x.toml")


@given(st.binary(max_size=200))
def test_any_bytes_are_the_users_mistake(data: bytes) -> None:
    with pytest.raises(UsageError):
        Fault.parse(data, id="x", source="x.toml")


def test_every_file_is_read_and_listed_by_its_group() -> None:
    files = {path.stem for path in (shipped("certs") / "faults").glob("*.toml")}
    faults = shipped_faults()
    assert files == faults.keys()
    groups = [fault.tags[0] for fault in faults.values()]
    assert groups == sorted(groups, key=lambda tag: list(dict.fromkeys(groups)).index(tag))


def test_no_key_is_shown(authority: Authority) -> None:
    server = build(Fault.named("rsa-1024"), authority)
    assert "PRIVATE" not in repr(server)
    assert "key=" not in repr(server.credential)
