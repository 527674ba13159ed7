"""Bytes from anybody: whatever they are, there is a verdict, and it is safe to print."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tlslab.errors import UsageError
from tlslab.pki import Authority, Profile, TrustStore
from tlslab.pki.revocation import Revocations
from tlslab.pki.template import draft
from tlslab.pki.verify import DEFAULT, POLICIES, STRICT, Revocation, Verdict, verify
from tlslab.pki.verify.material import MAX_CERTIFICATES, MAX_CHAIN_SIZE
from tlslab.pki.verify.paths import MAX_PATHS, PathSearch
from tlslab.pki.verify.reference import reference_name
from tlslab.pki.verify.status.crl import MAX_CRLS
from tlslab.pki.verify.verdict import MAX_DETAIL

NOW = datetime(2026, 6, 1, tzinfo=UTC)
AUTHORITY = Authority.create("hostile test", now=NOW)
LEAF = AUTHORITY.issue("shop.test", now=NOW)
REGISTRY = Revocations(AUTHORITY)
CRL, ROOT_CRL = REGISTRY.crl(now=NOW), REGISTRY.crl("root", now=NOW)
OCSP = REGISTRY.response(LEAF.certificate, now=NOW)
DER = LEAF.certificate.public_bytes(Encoding.DER)
HARD = replace(STRICT, revocation=Revocation.HARD)


def judge(
    chain: bytes | list[bytes],
    *,
    crls: tuple[bytes, ...] = (CRL, ROOT_CRL),
    staple: bytes | None = OCSP,
) -> Verdict:
    verdict = verify(
        chain, "shop.test", trust=AUTHORITY.trust, now=NOW, policy=HARD, crls=crls, ocsp=staple
    )
    for finding in (*verdict.findings, *verdict.notes):
        assert finding.detail.isprintable()
        assert len(finding.detail) <= 10 * (MAX_DETAIL + 1)  # an escape takes up to ten
    for opinion in verdict.opinions:
        assert opinion.text.isprintable()
    return verdict


def sent(leaf: bytes) -> list[bytes]:
    return [leaf, AUTHORITY.intermediate.public_bytes(Encoding.DER)]


def test_the_untouched_material_is_good() -> None:
    assert judge(sent(DER)).accepted


@given(st.binary(max_size=400))
def test_random_bytes_as_a_chain(data: bytes) -> None:
    assert not judge(data).accepted
    assert not judge([data, *sent(DER)]).accepted


@given(st.binary(max_size=400))
def test_random_bytes_as_a_list(data: bytes) -> None:
    assert not judge(sent(DER), crls=(data,), staple=None).accepted
    assert judge(sent(DER), crls=(data, CRL, ROOT_CRL), staple=None).accepted


@given(st.binary(max_size=400))
def test_random_bytes_as_a_staple(data: bytes) -> None:
    assert not judge(sent(DER), staple=data).accepted


def changes(data: bytes, signed: bytes) -> st.SearchStrategy[bytes]:
    """`data` with one byte of its signed part changed."""
    start = data.index(signed)

    def changed(at: int, by: int) -> bytes:
        return data[:at] + bytes([data[at] ^ by]) + data[at + 1 :]

    places = st.integers(start, start + len(signed) - 1)
    return st.builds(changed, places, st.integers(1, 255))


@settings(max_examples=200)
@given(changes(DER, LEAF.certificate.tbs_certificate_bytes))
def test_one_changed_byte_of_the_leaf(data: bytes) -> None:
    assert not judge(sent(data)).accepted


@settings(max_examples=200)
@given(changes(CRL, x509.load_der_x509_crl(CRL).tbs_certlist_bytes))
def test_one_changed_byte_of_a_list(data: bytes) -> None:
    assert not judge(sent(DER), crls=(data, ROOT_CRL), staple=None).accepted


@settings(max_examples=200)
@given(changes(OCSP, ocsp.load_der_ocsp_response(OCSP).tbs_response_bytes))
def test_one_changed_byte_of_a_staple(data: bytes) -> None:
    assert not judge(sent(DER), staple=data).accepted


@given(st.text(max_size=300))
def test_any_text_as_a_name(name: str) -> None:
    try:
        expected = reference_name(name)
    except UsageError:
        return
    assert str(expected.value).isprintable()


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize(
    "name", ["\x1b[2J\x07", "a\x00b", "\u202egro.elpmaxe", "[bold]x[/]", "x" * 64]
)
def test_hostile_names_are_escaped(name: str, policy: object) -> None:
    """In the common name, and in an alternative name as far as cryptography reads it."""
    template = AUTHORITY.draft(
        "shop.test",
        public_key=AUTHORITY.intermediate_key.public_key(),
        profile=Profile.named("server"),
        now=NOW,
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    ascii_only = name.encode("ascii", "replace").decode()
    value = x509.SubjectAlternativeName([x509.DNSName._init_without_validation(ascii_only)])
    rest = [one for one in template.extensions if one.oid != value.oid]
    extension: x509.Extension[x509.ExtensionType] = x509.Extension(value.oid, False, value)
    leaf = replace(template, subject=subject, extensions=(*rest, extension)).signed_by(
        AUTHORITY.intermediate_key
    )
    verdict = judge(sent(leaf.public_bytes(Encoding.DER)), staple=None)
    assert not verdict.accepted


def test_bounds_of_a_chain() -> None:
    padding = AUTHORITY.root.public_bytes(Encoding.DER)
    most = [*sent(DER), *[padding] * (MAX_CERTIFICATES - 2)]
    assert judge(most).accepted
    refused = judge([*most, padding]).decided_by
    assert refused is not None
    assert refused.check == "chain-too-large"
    large = judge([*sent(DER), bytes(MAX_CHAIN_SIZE)]).decided_by
    assert large is not None
    assert large.check == "chain-too-large"
    for nothing in ([], b"", [b""]):
        empty = judge(nothing).decided_by
        assert empty is not None
        assert empty.check == "chain-unreadable"


def test_bounds_of_the_lists() -> None:
    junk = (b"junk",) * (MAX_CRLS - 2)
    assert judge(sent(DER), crls=(*junk, CRL, ROOT_CRL), staple=None).accepted
    assert not judge(sent(DER), crls=(*junk, b"one more", CRL, ROOT_CRL), staple=None).accepted


def test_a_maze_is_given_up() -> None:
    """Every CA of a clique has issued every other: there are more paths than anyone can walk."""
    profile = Profile.named("root")
    keys = [AUTHORITY.intermediate_key, *(profile.key_type.generate() for _ in range(4))]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"CA {n}")]) for n in range(5)]
    bare = [
        draft(profile, subject=name, public_key=key.public_key(), issuer=None, now=NOW)
        for name, key in zip(names, keys, strict=True)
    ]
    clique = [
        replace(bare[one], issuer=names[other]).signed_by(keys[other])
        for one in range(5)
        for other in range(5)
        if one != other
    ]
    leaf = replace(bare[0], issuer=names[4]).signed_by(keys[4])
    search = PathSearch(tuple(clique), ())
    assert list(search.paths(leaf)) == []
    assert search.exhausted
    verdict = verify(
        [leaf, *clique], "shop.test", trust=TrustStore(), now=NOW, policy=replace(STRICT, checks=())
    )
    assert "too-many-paths" in {finding.check for finding in verdict.findings}


def test_paths_are_counted() -> None:
    profile = Profile.named("root")
    key = profile.key_type.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "one of many")])
    template = draft(profile, subject=name, public_key=key.public_key(), issuer=None, now=NOW)
    roots = tuple(replace(template, serial=n + 1).signed_by(key) for n in range(MAX_PATHS + 1))
    leaf = replace(template, subject=x509.Name([])).signed_by(key)
    for count, exhausted in ((MAX_PATHS, False), (MAX_PATHS + 1, True)):
        search = PathSearch((), roots[:count])
        assert len(list(search.paths(leaf))) == MAX_PATHS
        assert search.exhausted is exhausted


def test_default_is_as_robust() -> None:
    found = verify(b"junk", "shop.test", trust=AUTHORITY.trust, now=NOW, policy=DEFAULT)
    assert found.decided_by is not None
    assert found.decided_by.check == "chain-unreadable"
    assert found.opinions == ()
