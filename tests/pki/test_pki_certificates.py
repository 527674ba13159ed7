"""Certificates from anywhere: parsing, facts and sentences, also about hostile ones."""

from __future__ import annotations

import dataclasses
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tlslab.errors import PKIError
from tlslab.pki import (
    Authority,
    Credential,
    KeyType,
    Profile,
    Template,
    certificate_facts,
    explain_certificate,
    parse_certificates,
)
from tlslab.pki.credential import public_key_of, to_pem
from tlslab.pki.facts import MAX_FACT, printable
from tlslab.pki.keys import describe_public_key, parse_private_key, private_key_pem

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def old() -> Authority:
    return Authority.create("old", now=NOW)


def variant(authority: Authority, **changes: object) -> x509.Certificate:
    """A server's certificate whose template was changed before signing."""
    key = KeyType.ECDSA_P256.generate()
    template = authority.draft(
        "shop.test", public_key=key.public_key(), profile=Profile.named("server"), now=NOW
    )
    changed: Template = dataclasses.replace(template, **changes)  # type: ignore[arg-type]
    return changed.signed_by(authority.intermediate_key)


# --- parsing ----------------------------------------------------------------------------------


def test_pem_der_and_what_lies_around_them(old: Authority) -> None:
    leaf = old.issue("shop.test", now=NOW)
    assert parse_certificates(leaf.chain_pem) == leaf.chain
    assert parse_certificates(b"noise\n" + leaf.key_pem + leaf.chain_pem + b"noise") == leaf.chain
    der = leaf.certificate.public_bytes(Encoding.DER)
    assert parse_certificates(der) == (leaf.certificate,)


def test_every_prefix_and_trailing_bytes_are_refused(old: Authority) -> None:
    der = old.root.public_bytes(Encoding.DER)
    for length in range(len(der)):
        with pytest.raises(PKIError):
            parse_certificates(der[:length])
    with pytest.raises(PKIError):
        parse_certificates(der + b"\x00")


@pytest.mark.parametrize(
    "data", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(PKIError):
        parse_certificates(data)


def test_a_key_alone_is_no_certificate(old: Authority) -> None:
    with pytest.raises(PKIError):
        parse_certificates(old.issue("shop.test", now=NOW).key_pem)


def test_keys_that_cannot_be_used_are_told(old: Authority) -> None:
    leaf = old.issue("shop.test", now=NOW)
    encrypted = leaf.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    other = ed448.Ed448PrivateKey.generate()
    for pem in (b"", leaf.key_pem[:-40], encrypted, private_key_pem(other)):  # type: ignore[arg-type]
        with pytest.raises(PKIError):
            parse_private_key(pem)
    with pytest.raises(PKIError, match="does not belong"):
        Credential.from_pem(leaf.chain_pem, old.issue("shop.test", now=NOW).key_pem)


def test_pkcs12_comes_back_with_its_password_only(old: Authority) -> None:
    leaf = old.issue("shop.test", now=NOW)
    data = leaf.pkcs12("pässword".encode(), label="shöp")
    key, certificate, others = pkcs12.load_key_and_certificates(data, "pässword".encode())
    assert certificate == leaf.certificate
    assert others == [old.intermediate]
    assert private_key_pem(key) == leaf.key_pem  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="password"):
        pkcs12.load_key_and_certificates(data, b"other")
    for bad in (b"", b"\xff"):
        with pytest.raises(PKIError):
            leaf.pkcs12(bad, label="shop")


# --- facts ------------------------------------------------------------------------------------


def test_the_facts_of_a_leaf(old: Authority) -> None:
    leaf = old.issue("shop.test", "bücher.test", "::1", now=NOW).certificate
    facts = certificate_facts(leaf)
    assert list(facts) == [
        *("subject", "issuer", "serial", "not_before", "not_after", "key", "signature", "names"),
        *("basic_constraints", "key_usage", "extended_key_usage", "subject_key_id"),
        *("authority_key_id", "crl", "ocsp", "issuer_certificate", "fingerprint_sha256"),
    ]
    assert facts["subject"] == "CN=shop.test"
    assert facts["names"] == "shop.test, xn--bcher-kva.test (bücher.test), ::1"
    assert facts["not_before"] == "2029-12-31 23:00:00 UTC"
    assert facts["key"] == "ECDSA P-256"
    assert facts["signature"] == "ecdsa-with-SHA256"
    assert facts["basic_constraints"] == "not a CA"
    assert facts["extended_key_usage"] == "serverAuth (1.3.6.1.5.5.7.3.1)"
    assert facts["crl"] == "http://crl.tlslab.test/intermediate.crl"
    assert int(facts["serial"], 16) == leaf.serial_number
    assert certificate_facts(old.intermediate)["basic_constraints"] == "CA, path length 0"
    assert "names" not in certificate_facts(old.root)


def test_hostile_text_is_made_printable(old: Authority) -> None:
    hostile = "\x1b]0;owned\x07\u202egpj.exe\r\n[red]x[/red]"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostile)])
    facts = certificate_facts(variant(old, subject=subject))
    assert all(text.isprintable() for text in facts.values())
    assert "\\x1b" in facts["subject"]
    assert "\\u202e" in facts["subject"]


@given(st.text())
def test_printable_is_printable_and_keeps_what_was(text: str) -> None:
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


def test_a_certificate_of_many_names_does_not_fill_the_screen(old: Authority) -> None:
    many = x509.SubjectAlternativeName([x509.DNSName(f"host{n}.test") for n in range(2000)])
    facts = certificate_facts(variant(old, extensions=(x509.Extension(many.oid, False, many),)))
    assert len(facts["names"]) < MAX_FACT + 20
    assert facts["names"].endswith("… (cut)")


def test_names_of_every_kind_are_told(old: Authority) -> None:
    kinds = x509.SubjectAlternativeName(
        [
            x509.RFC822Name("alice@shop.test"),
            x509.UniformResourceIdentifier("spiffe://shop.test/api"),
            x509.DirectoryName(old.root.subject),
            x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4")),
        ]
    )
    facts = certificate_facts(variant(old, extensions=(x509.Extension(kinds.oid, False, kinds),)))
    assert facts["names"] == (
        "email:alice@shop.test, spiffe://shop.test/api, CN=old root CA,O=old, RegisteredID"
    )


def test_a_malformed_extension_is_a_fact(old: Authority) -> None:
    names = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\xff\xff")
    broken = variant(old, extensions=(x509.Extension(names.oid, False, names),))
    facts = certificate_facts(broken)
    assert facts["extensions"].startswith("unreadable")
    assert facts["subject"] == "CN=shop.test"
    assert any("cannot be told" in sentence for sentence in explain_certificate(broken, now=NOW))


def test_unknown_extensions_are_named(old: Authority) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    facts = certificate_facts(
        variant(old, extensions=(x509.Extension(unknown.oid, True, unknown),))
    )
    assert facts["other_extensions"] == "1.2.3.4 critical"


damages = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4)


@settings(deadline=None)
@given(damage=damages)
def test_facts_and_sentences_of_any_damaged_certificate(
    damage: list[tuple[int, int]], old: Authority
) -> None:
    der = bytearray(old.intermediate.public_bytes(Encoding.DER))
    for position, value in damage:
        der[position % len(der)] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cryptography warns of odd serial numbers
        try:
            (damaged,) = parse_certificates(bytes(der))
        except PKIError:
            return
        facts = certificate_facts(damaged)
        sentences = explain_certificate(damaged, now=NOW)
    assert all(text.isprintable() for text in facts.values())
    assert sentences


def test_keys_of_other_types_are_described() -> None:
    keys: dict[str, Any] = {
        "ECDSA P-384": ec.generate_private_key(ec.SECP384R1()),
        "ECDSA secp256k1": ec.generate_private_key(ec.SECP256K1()),
        "Ed448": ed448.Ed448PrivateKey.generate(),
        "RSA 2048 bits": rsa.generate_private_key(65537, 2048),
    }
    for words, key in keys.items():
        assert describe_public_key(key.public_key()) == words
    assert describe_public_key(object()) == "object"


# --- sentences --------------------------------------------------------------------------------


def told(certificate: x509.Certificate, now: datetime = NOW) -> str:
    return " ".join(explain_certificate(certificate, now=now))


def test_validity_is_told(old: Authority) -> None:
    leaf = old.issue("shop.test", now=NOW).certificate
    assert "valid now, and for another 30 days" in told(leaf)
    assert "valid now, and for another 1 hour." in told(leaf, NOW + timedelta(days=29, hours=23))
    assert "expired 1 day ago" in told(leaf, NOW + timedelta(days=31))
    assert "not valid yet, but 59 seconds from now" in told(leaf, NOW - timedelta(seconds=3659))


def test_the_signer_is_told(old: Authority) -> None:
    assert "self-signed" in told(old.root)
    assert "Another key signed it" in told(old.intermediate)
    impostor = variant(old, subject=old.root.subject, issuer=old.root.subject)
    assert "its own key did not sign it" in told(impostor)


def test_the_role_is_told(old: Authority) -> None:
    assert "with any number of CAs below it" in told(old.root)
    assert "with no further CA below it" in told(old.intermediate)
    assert "It is for TLS servers." in told(old.issue("shop.test", now=NOW).certificate)
    client = old.issue(profile="client", common_name="Alice", now=NOW).certificate
    assert "It is for TLS clients." in told(client)
    assert "vouches for no DNS name" in told(client)
    assert "does not restrict what it is for" in told(variant(old, extensions=()))


def test_weakness_is_told(old: Authority) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    assert "RSA key is too short" in told(variant(old, public_key=weak.public_key()))
    long = variant(old, not_after=NOW + timedelta(days=826))
    assert "lives for 826 days" in told(long)
    assert "lives for" not in told(variant(old, not_after=NOW + timedelta(days=824)))
    assert "exactly one label" in told(old.issue("*.shop.test", now=NOW).certificate)


def test_public_key_of_a_good_certificate(old: Authority) -> None:
    assert public_key_of(old.root) == old.root.public_key()
    assert to_pem(()) == b""
