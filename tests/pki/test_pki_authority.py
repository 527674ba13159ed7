"""What the authority issues, by RFC 5280, and what OpenSSL and cryptography make of it."""

from __future__ import annotations

import dataclasses
import ipaddress
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import verification
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from tlslab.errors import UsageError
from tlslab.pki import Authority, Credential, KeyType, Profile, TrustStore, explain_x509
from tlslab.pki.keys import signature_hash
from tlslab.pki.template import draft

NAMES = ("shop.test", "*.shop.test", "bücher.test", "192.0.2.7", "2001:db8::7")
NOW = datetime(2030, 2, 3, 4, 5, 6, 789, tzinfo=UTC)


def extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> x509.Extension[Any]:
    return certificate.extensions.get_extension_for_class(kind)


# --- accepted chains, and their twins without one thing each ---------------------------------


@pytest.mark.parametrize("key_type", KeyType)
def test_openssl_accepts_a_chain_of_each_key_type(
    key_type: KeyType,
    authority_for: Callable[[KeyType], Authority],
    openssl_verify: Callable[..., int],
) -> None:
    authority = authority_for(key_type)
    leaf = authority.issue(*NAMES)
    assert openssl_verify(authority.root_pem, leaf.chain, "-purpose", "sslserver") == 0
    for name in ("shop.test", "www.shop.test", "xn--bcher-kva.test"):
        assert openssl_verify(authority.root_pem, leaf.chain, "-verify_hostname", name) == 0
    for address in ("192.0.2.7", "2001:db8::7"):
        assert openssl_verify(authority.root_pem, leaf.chain, "-verify_ip", address) == 0


@pytest.mark.parametrize("key_type", KeyType)
@pytest.mark.parametrize(("profile", "purpose"), [("server", "sslserver"), ("client", "sslclient")])
def test_openssl_accepts_a_leaf_of_each_key_type(
    key_type: KeyType,
    profile: str,
    purpose: str,
    authority: Authority,
    openssl_verify: Callable[..., int],
) -> None:
    leaf = authority.issue("shop.test", profile=profile, key_type=key_type)
    assert openssl_verify(authority.root_pem, leaf.chain, "-purpose", purpose) == 0


WEBPKI_TYPES = [kind for kind in KeyType if kind is not KeyType.ED25519]


@pytest.mark.parametrize("key_type", WEBPKI_TYPES)
def test_cryptography_accepts_a_chain_of_each_key_type_of_the_web(
    key_type: KeyType, authority_for: Callable[[KeyType], Authority]
) -> None:
    authority = authority_for(key_type)
    leaf = authority.issue(*NAMES)
    store = verification.Store([authority.root])
    builder = verification.PolicyBuilder().store(store)
    subjects: list[x509.DNSName | x509.IPAddress] = [
        x509.DNSName("a.shop.test"),
        x509.DNSName("xn--bcher-kva.test"),
        x509.IPAddress(ipaddress.ip_address("2001:db8::7")),
    ]
    for subject in subjects:
        path = builder.build_server_verifier(subject).verify(leaf.certificate, list(leaf.chain[1:]))
        assert path[-1] == authority.root
    with pytest.raises(verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("other.test")).verify(
            leaf.certificate, list(leaf.chain[1:])
        )


def test_cryptography_accepts_a_client(authority: Authority) -> None:
    leaf = authority.issue("alice.test", profile="client")
    verifier = verification.PolicyBuilder().store(verification.Store([authority.root]))
    found = verifier.build_client_verifier().verify(leaf.certificate, list(leaf.chain[1:]))
    assert found.subjects == [x509.DNSName("alice.test")]


def test_openssl_refuses_what_it_should(
    authority: Authority, openssl_verify: Callable[..., int]
) -> None:
    server = authority.issue("*.shop.test")
    stranger = Authority.create("stranger")
    root = authority.root_pem
    refusals = [
        (openssl_verify(root, server.chain, "-verify_hostname", "shop.test"), 62),
        (openssl_verify(root, server.chain, "-verify_hostname", "a.b.shop.test"), 62),
        (openssl_verify(root, server.chain, "-verify_ip", "192.0.2.8"), 64),
        (openssl_verify(root, server.chain, "-purpose", "sslclient"), 26),
        (openssl_verify(root, server.chain[:1]), 20),
        (openssl_verify(stranger.root_pem, server.chain), 20),
        (openssl_verify(stranger.root_pem, (*server.chain, authority.root)), 19),
    ]
    for found, expected in refusals:
        assert found == expected
        assert explain_x509(found).fix


def test_two_authorities_of_one_name_are_told_apart(
    authority: Authority, openssl_verify: Callable[..., int]
) -> None:
    rogue = Authority.create(authority.name)
    assert rogue.root.subject == authority.root.subject
    assert openssl_verify(authority.root_pem, rogue.issue("shop.test").chain) != 0


@pytest.mark.parametrize(
    ("missing", "error"), [(x509.AuthorityKeyIdentifier, 85), (x509.SubjectKeyIdentifier, 86)]
)
def test_a_changed_template_is_a_faulty_certificate(
    missing: type[x509.ExtensionType],
    error: int,
    authority: Authority,
    openssl_verify: Callable[..., int],
) -> None:
    key = KeyType.ECDSA_P256.generate()
    good = authority.draft(
        "shop.test", public_key=key.public_key(), profile=Profile.named("server")
    )
    faulty = dataclasses.replace(
        good,
        extensions=tuple(e for e in good.extensions if not isinstance(e.value, missing)),
    )
    sign = authority.intermediate_key
    assert openssl_verify(authority.root_pem, (good.signed_by(sign), authority.intermediate)) == 0
    chain = (faulty.signed_by(sign), authority.intermediate)
    expected = error if missing is x509.AuthorityKeyIdentifier else 0  # a leaf may lack its own
    assert openssl_verify(authority.root_pem, chain) == expected


def test_neither_a_leaf_nor_a_third_ca_can_issue(
    authority: Authority, openssl_verify: Callable[..., int]
) -> None:
    leaf = authority.issue("shop.test")
    key = KeyType.ECDSA_P256.generate()
    below_leaf = draft(
        Profile.named("server"),
        subject=leaf.certificate.subject,
        public_key=key.public_key(),
        issuer=leaf.certificate,
        now=datetime.now(UTC),
    ).signed_by(leaf.key)
    assert openssl_verify(authority.root_pem, (below_leaf, *leaf.chain)) in (32, 79)

    third = draft(
        Profile.named("intermediate"),
        subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "third")]),
        public_key=key.public_key(),
        issuer=authority.intermediate,
        now=datetime.now(UTC),
    ).signed_by(authority.intermediate_key)
    below = dataclasses.replace(authority, intermediate=third, intermediate_key=key)
    chain = (*below.issue("shop.test").chain, authority.intermediate)
    assert openssl_verify(authority.root_pem, chain) == 25


def test_the_standard_library_connects_with_it(authority: Authority, tmp_path: Path) -> None:
    """A real handshake, both sides proving themselves; refused without the root."""
    server, client = authority.issue("shop.test"), authority.issue("alice.test", profile="client")

    def context(side: int, credential: Credential, trusted: bytes) -> ssl.SSLContext:
        (tmp_path / "chain.pem").write_bytes(credential.chain_pem)
        (tmp_path / "key.pem").write_bytes(credential.key_pem)
        made = ssl.SSLContext(side)
        made.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
        made.load_verify_locations(cadata=trusted.decode())
        made.verify_mode = ssl.CERT_REQUIRED
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        return made

    def handshake(trusted: bytes) -> ssl.SSLObject:
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        near = context(ssl.PROTOCOL_TLS_CLIENT, client, trusted).wrap_bio(
            down, up, server_hostname="shop.test"
        )
        far = context(ssl.PROTOCOL_TLS_SERVER, server, authority.root_pem).wrap_bio(
            up, down, server_side=True
        )
        for side in (near, far, near, far):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
        return far

    assert handshake(authority.root_pem).getpeercert() is not None
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        handshake(Authority.create("stranger").root_pem)
    assert refused.value.verify_code == 20


# --- what the certificates say ----------------------------------------------------------------


def test_the_root_and_the_intermediate(authority: Authority) -> None:
    root, intermediate = authority.root, authority.intermediate
    for certificate, path_length in ((root, None), (intermediate, 0)):
        constraints = extension(certificate, x509.BasicConstraints)
        assert constraints.critical
        assert constraints.value == x509.BasicConstraints(ca=True, path_length=path_length)
        usage = extension(certificate, x509.KeyUsage)
        assert usage.critical
        assert usage.value.key_cert_sign
        assert usage.value.crl_sign
        with pytest.raises(x509.ExtensionNotFound):
            extension(certificate, x509.ExtendedKeyUsage)
    root.verify_directly_issued_by(root)
    intermediate.verify_directly_issued_by(root)
    assert root.not_valid_after_utc > intermediate.not_valid_after_utc
    with pytest.raises(x509.ExtensionNotFound):
        extension(root, x509.CRLDistributionPoints)
    authority_key = extension(intermediate, x509.AuthorityKeyIdentifier)
    assert authority_key.value.key_identifier == (
        extension(root, x509.SubjectKeyIdentifier).value.digest
    )


def test_a_servers_extensions(authority: Authority) -> None:
    leaf = authority.issue(*NAMES, "shop.test").certificate
    names = extension(leaf, x509.SubjectAlternativeName)
    assert not names.critical
    assert list(names.value) == [
        x509.DNSName("shop.test"),
        x509.DNSName("*.shop.test"),
        x509.DNSName("xn--bcher-kva.test"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
        x509.IPAddress(ipaddress.ip_address("2001:db8::7")),
    ]
    assert extension(leaf, x509.BasicConstraints).value.ca is False
    assert list(extension(leaf, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    point = extension(leaf, x509.CRLDistributionPoints).value[0]
    assert point.full_name[0].value == "http://crl.tlslab.test/intermediate.crl"
    access = extension(leaf, x509.AuthorityInformationAccess).value
    assert {entry.access_method: entry.access_location.value for entry in access} == {
        AuthorityInformationAccessOID.OCSP: "http://ocsp.tlslab.test/",
        AuthorityInformationAccessOID.CA_ISSUERS: "http://ca.tlslab.test/intermediate.crt",
    }
    for kind in (
        x509.SubjectKeyIdentifier,
        x509.AuthorityKeyIdentifier,
        x509.CRLDistributionPoints,
        x509.AuthorityInformationAccess,
    ):
        assert not extension(leaf, kind).critical


@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P256, KeyType.RSA_2048, KeyType.ED25519])
def test_only_rsa_enciphers_keys(key_type: KeyType, authority: Authority) -> None:
    leaf = authority.issue("shop.test", key_type=key_type).certificate
    usage = extension(leaf, x509.KeyUsage).value
    assert usage.digital_signature
    assert usage.key_encipherment == isinstance(leaf.public_key(), rsa.RSAPublicKey)
    assert not usage.key_cert_sign


def test_times_are_whole_seconds_and_backdated() -> None:
    authority = Authority.create("time", now=NOW)
    leaf = authority.issue("shop.test", now=NOW, lifetime=timedelta(minutes=5)).certificate
    start = NOW.replace(microsecond=0)
    assert leaf.not_valid_before_utc == start - timedelta(hours=1)
    assert leaf.not_valid_after_utc == start + timedelta(minutes=5)
    assert authority.root.not_valid_before_utc == start - timedelta(days=1)


def test_a_leaf_may_be_expired_but_not_outlive_its_issuer() -> None:
    authority = Authority.create("time", now=NOW)
    past = authority.issue("shop.test", now=NOW - timedelta(days=90)).certificate
    assert past.not_valid_after_utc < NOW
    left = authority.intermediate.not_valid_after_utc - NOW
    last = authority.issue("shop.test", now=NOW, lifetime=left).certificate
    assert last.not_valid_after_utc <= authority.intermediate.not_valid_after_utc
    for lifetime in (left + timedelta(seconds=1), timedelta.max, timedelta(0), timedelta(days=-1)):
        with pytest.raises(UsageError):
            authority.issue("shop.test", now=NOW, lifetime=lifetime)


def test_a_naive_time_is_a_bug() -> None:
    with pytest.raises(ValueError, match="aware"):
        Authority.create(now=datetime(2030, 1, 1))


def test_serials_are_random_and_long(authority: Authority) -> None:
    serials = [authority.issue("shop.test").certificate.serial_number for _ in range(50)]
    assert len(set(serials)) == 50
    assert all(0 < serial < 2**159 for serial in serials)
    # 50 numbers of 159 bits are all below 2**120 once in 2**1950 times; 64 bits always would be
    assert max(serials).bit_length() > 120


def test_a_long_first_name_gives_an_empty_subject(
    authority: Authority, openssl_verify: Callable[..., int]
) -> None:
    """RFC 5280: at most 64 characters of common name, and a critical name without a subject."""
    fits, long = "a" * 59 + ".test", "a" * 60 + ".test"
    assert authority.issue(fits).certificate.subject.rdns
    leaf = authority.issue(long)
    assert not leaf.certificate.subject.rdns
    assert extension(leaf.certificate, x509.SubjectAlternativeName).critical
    assert openssl_verify(authority.root_pem, leaf.chain, "-verify_hostname", long) == 0


def test_a_client_may_have_a_common_name_alone(
    authority: Authority, openssl_verify: Callable[..., int]
) -> None:
    leaf = authority.issue(profile="client", common_name="Alice Ångström")
    assert leaf.names == ()
    assert openssl_verify(authority.root_pem, leaf.chain, "-purpose", "sslclient") == 0


@pytest.mark.parametrize(
    "issue",
    [
        lambda authority: authority.issue(),
        lambda authority: authority.issue(common_name="shop"),
        lambda authority: authority.issue(profile="client"),
        lambda authority: authority.issue("shop.test", profile="root"),
        lambda authority: authority.issue("shop.test", profile="nope"),
        lambda authority: authority.issue("shop.test", common_name=""),
        lambda authority: authority.issue("shop.test", common_name="x" * 65),
        lambda authority: authority.issue("shop.test", common_name="a\nb"),
        lambda authority: Authority.create(""),
        lambda authority: Authority.create("a\x1b[31m"),
        lambda authority: Authority.create("x" * 50),
    ],
)
def test_mistakes_are_told(issue: Callable[[Authority], object], authority: Authority) -> None:
    with pytest.raises(UsageError) as told:
        issue(authority)
    assert told.value.hint
    assert told.value.message.isprintable()


def test_the_longest_name_of_an_authority() -> None:
    assert Authority.create("x" * 48).name == "x" * 48  # " intermediate CA" takes the other 16
    with pytest.raises(UsageError):
        Authority.create("x" * 49)


# --- keys stay where they belong --------------------------------------------------------------


def test_no_key_in_a_repr(authority: Authority) -> None:
    leaf = authority.issue("shop.test")
    for text in (repr(leaf), repr(authority)):
        assert "key" not in text.lower()


def test_every_leaf_has_a_key_pair_of_its_own(authority: Authority) -> None:
    keys = {authority.issue("shop.test").key_pem for _ in range(10)}
    assert len(keys) == 10


def test_a_credential_comes_back_from_pem(authority: Authority) -> None:
    leaf = authority.issue("shop.test", "192.0.2.1")
    again = Credential.from_pem(leaf.chain_pem, leaf.key_pem)
    assert again.chain == leaf.chain
    assert again.key_pem == leaf.key_pem
    assert again.names == ("shop.test", "192.0.2.1")


def test_all_key_types_sign_with_sha256_or_their_own(authority: Authority) -> None:
    assert signature_hash(KeyType.ED25519.generate()) is None
    assert isinstance(authority.root.signature_hash_algorithm, hashes.SHA256)


def test_trust_stores_are_values(authority: Authority) -> None:
    empty = TrustStore()
    store = empty.adding(authority.root, authority.root)
    assert empty.certificates == ()
    assert store.certificates == (authority.root,)
    assert TrustStore.from_pem(store.pem) == store == authority.trust
