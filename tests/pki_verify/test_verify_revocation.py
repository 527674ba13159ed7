"""Revocation: lists and stapled responses, under every policy, and OpenSSL's view of the lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from tlslab.pki import Authority, Credential, KeyType, Profile
from tlslab.pki.revocation import (
    CertID,
    OCSPRefusal,
    Revocations,
    Revoked,
    make_ocsp_refusal,
    make_ocsp_responder,
    make_ocsp_response,
)
from tlslab.pki.template import Template
from tlslab.pki.verify import DEFAULT, STRICT, Policy, Revocation, Verdict, verify

DAY = timedelta(days=1)
URL = "http://crl.shop.test/one"


@dataclass
class World:
    authority: Authority
    leaf: Credential
    registry: Revocations
    now: datetime

    def ask(
        self, mode: Revocation, *crls: bytes, policy: Policy = STRICT, **more: object
    ) -> Verdict:
        return self.ask_about(self.leaf.chain, mode, *crls, policy=policy, **more)

    def ask_about(
        self,
        chain: tuple[x509.Certificate, ...],
        mode: Revocation,
        *crls: bytes,
        policy: Policy = STRICT,
        **more: object,
    ) -> Verdict:
        policy = replace(policy, revocation=mode)
        arguments = {"now": self.now, **more}
        return verify(
            chain,
            "shop.test",
            trust=self.authority.trust,
            policy=policy,
            crls=crls,
            **arguments,  # type: ignore[arg-type]
        )

    def crl(self, **more: object) -> bytes:
        return self.registry.crl(now=self.now, **more)  # type: ignore[arg-type]

    def root_crl(self) -> bytes:
        return self.registry.crl("root", now=self.now)

    def revoke(self, reason: x509.ReasonFlags | None = None) -> None:
        self.registry.revoke(self.leaf.certificate, when=self.now, reason=reason)


@pytest.fixture
def world(authority: Authority, now: datetime) -> World:
    leaf = authority.issue("shop.test", now=now)
    return World(authority, leaf, Revocations(authority), now)


def decision(verdict: Verdict) -> tuple[str, int | None, int | None] | None:
    decided = verdict.decided_by
    return None if decided is None else (decided.check, decided.depth, decided.number)


OpenSSL = Callable[..., int]


def test_lists_that_are_good(world: World, openssl_verify: OpenSSL) -> None:
    crls = (world.crl(), world.root_crl())
    assert world.ask(Revocation.HARD, *crls).accepted
    assert world.ask(Revocation.HARD, *crls, policy=DEFAULT).accepted
    root = (world.authority.root,)
    assert openssl_verify(root, world.leaf.chain, "-crl_check_all", crls=crls) == 0


@pytest.mark.parametrize("mode", [Revocation.SOFT, Revocation.HARD])
@pytest.mark.parametrize("policy", [DEFAULT, STRICT], ids=lambda p: p.name)
def test_a_revoked_leaf(
    world: World, openssl_verify: OpenSSL, mode: Revocation, policy: Policy
) -> None:
    world.revoke(x509.ReasonFlags.key_compromise)
    crls = (world.crl(), world.root_crl())
    verdict = world.ask(mode, *crls, policy=policy)
    assert decision(verdict) == ("certificate-revoked", 0, 23)
    assert "keyCompromise" in verdict.findings[0].detail
    root = (world.authority.root,)
    assert openssl_verify(root, world.leaf.chain, "-crl_check_all", crls=crls) == 23
    assert world.ask(Revocation.NONE, *crls, policy=policy).accepted


def test_a_revoked_intermediate(world: World, openssl_verify: OpenSSL) -> None:
    world.registry.revoke(world.authority.intermediate, when=world.now)
    crls = (world.crl(), world.root_crl())
    assert decision(world.ask(Revocation.SOFT, *crls)) == ("certificate-revoked", 1, 23)
    root = (world.authority.root,)
    assert openssl_verify(root, world.leaf.chain, "-crl_check", crls=crls) == 0
    assert openssl_verify(root, world.leaf.chain, "-crl_check_all", crls=crls) == 23


def test_missing_lists_are_the_policys_matter(world: World, openssl_verify: OpenSSL) -> None:
    root = (world.authority.root,)
    soft = world.ask(Revocation.SOFT)
    assert soft.accepted
    assert [(note.check, note.depth) for note in soft.notes] == [
        ("crl-missing", 0),
        ("crl-missing", 1),
    ]
    assert decision(world.ask(Revocation.HARD)) == ("crl-missing", 0, 3)
    assert openssl_verify(root, world.leaf.chain, "-crl_check") == 3
    assert decision(world.ask(Revocation.HARD, world.crl())) == ("crl-missing", 1, 3)
    assert openssl_verify(root, world.leaf.chain, "-crl_check_all", crls=(world.crl(),)) == 3


def test_stale_and_early_lists(world: World, openssl_verify: OpenSSL) -> None:
    root, chain = (world.authority.root,), world.leaf.chain
    for start, check, number in (
        (world.now - 30 * DAY, "crl-expired", 12),
        (world.now + DAY, "crl-not-yet-valid", 11),
    ):
        crl = world.registry.crl(now=start)
        verdict = world.ask(Revocation.HARD, crl, world.root_crl())
        assert decision(verdict) == (check, 0, number)
        assert openssl_verify(root, chain, "-crl_check", crls=(crl,)) == number
        assert world.ask(Revocation.SOFT, crl, world.root_crl()).accepted


def test_the_last_second_of_a_list_counts(world: World) -> None:
    crls = (world.crl(lifetime=DAY), world.root_crl())
    assert world.ask(Revocation.HARD, *crls, now=world.now + DAY).accepted
    late = world.ask(Revocation.HARD, *crls, now=world.now + DAY + timedelta(seconds=1))
    assert decision(late) == ("crl-expired", 0, 12)


def test_once_revoked_stays_revoked_unless_it_was_on_hold(world: World) -> None:
    later = world.now + 2 * DAY
    for reason, check in (
        (x509.ReasonFlags.key_compromise, "certificate-revoked"),
        (x509.ReasonFlags.certificate_hold, "crl-expired"),
    ):
        world.revoke(reason)
        crls = (world.crl(lifetime=DAY), world.root_crl())
        found = decision(world.ask(Revocation.HARD, *crls, now=later))
        assert found is not None
        assert found[0] == check


def test_a_forged_list_proves_nothing(world: World, openssl_verify: OpenSSL) -> None:
    forger = Authority.create(world.authority.name, now=world.now)
    forged = Revocations(forger).crl(now=world.now)
    assert decision(world.ask(Revocation.HARD, forged)) == ("crl-signature", 0, 8)
    assert world.ask(Revocation.SOFT, forged).accepted
    good = (forged, world.crl(), world.root_crl())
    assert world.ask(Revocation.HARD, *good).accepted  # a good one beside it decides


def test_an_unreadable_list(world: World) -> None:
    assert decision(world.ask(Revocation.HARD, b"no list")) == ("crl-unreadable", 0, None)
    assert world.ask(Revocation.HARD, b"no list", world.crl(), world.root_crl()).accepted


def _list(
    by: Credential,
    now: datetime,
    *extensions: tuple[x509.ExtensionType, bool],
    serials: tuple[int, ...] = (),
    entry: x509.ExtensionType | None = None,
    number: bool = True,
) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(now)
        .next_update(now + DAY)
    )
    if number:
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    for serial in serials:
        one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
        if entry is not None:
            one = one.add_extension(entry, critical=True)
        builder = builder.add_revoked_certificate(one.build())
    key = by.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def scope(**fields: object) -> tuple[x509.ExtensionType, bool]:
    defaults: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**(defaults | fields)), True  # type: ignore[arg-type]


def uri(text: str) -> list[x509.UniformResourceIdentifier]:
    return [x509.UniformResourceIdentifier(text)]


def with_point(world: World, point: x509.DistributionPoint) -> tuple[x509.Certificate, ...]:
    """A leaf that points to a list."""

    def change(template: Template) -> Template:
        value = x509.CRLDistributionPoints([point])
        added: x509.Extension[x509.ExtensionType] = x509.Extension(value.oid, False, value)
        rest = [one for one in template.extensions if one.oid != value.oid]
        return replace(template, extensions=(*rest, added))

    authority = world.authority
    template = authority.draft(
        "shop.test",
        public_key=world.leaf.key.public_key(),
        profile=Profile.named("server"),
        now=world.now,
    )
    return change(template).signed_by(authority.intermediate_key), authority.intermediate


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({}, 0),
        ({"only_contains_user_certs": True}, 0),
        ({"only_contains_ca_certs": True}, 44),
        ({"only_contains_attribute_certs": True}, 44),
        ({"full_name": uri("http://crl.shop.test/other")}, 44),
        ({"full_name": uri(URL)}, 0),
        ({"only_some_reasons": frozenset([x509.ReasonFlags.key_compromise])}, 44),
    ],
    ids=str,
)
def test_the_scope_of_a_list(
    world: World, openssl_verify: OpenSSL, fields: dict[str, object], number: int
) -> None:
    point = x509.DistributionPoint(uri(URL), None, None, None)
    chain = with_point(world, point)
    signer = world.registry.signer("intermediate")
    crl = _list(signer, world.now, *([scope(**fields)] if fields else []))
    found = decision(world.ask_about(chain, Revocation.HARD, crl, world.root_crl()))
    assert found == (None if number == 0 else ("crl-scope", 0, 44))
    theirs = openssl_verify((world.authority.root,), chain, "-crl_check", crls=(crl,))
    assert bool(theirs) == bool(number)


def test_lists_out_of_form(world: World) -> None:
    signer, now = world.registry.signer("intermediate"), world.now
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    for crl, check, number in (
        (_list(signer, now, number=False), "crl-number", None),
        (_list(signer, now, (x509.CRLNumber(1), True), number=False), "crl-number", None),
        (_list(signer, now, (odd, True)), "crl-critical-extension", 36),
        (_list(signer, now, (x509.DeltaCRLIndicator(1), True)), "crl-critical-extension", 36),
    ):
        assert decision(world.ask(Revocation.HARD, crl)) == (check, 0, number)
    assert world.ask(Revocation.HARD, _list(signer, now, (odd, False)), world.root_crl()).accepted


def _lister(world: World, *, may_sign: bool = True) -> Credential:
    """A CA under the same root that lists what others issued."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the lister")])
    key = ec.generate_private_key(ec.SECP256R1())
    bits = dict.fromkeys(
        (
            "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
            "key_agreement", "key_cert_sign", "encipher_only", "decipher_only",
        ),
        False,
    )  # fmt: skip
    assert world.authority.root_key is not None
    root = world.authority.root
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(world.now - DAY)
        .not_valid_after(world.now + DAY)
        .add_extension(
            x509.KeyUsage(**(bits | {"digital_signature": True}), crl_sign=may_sign), critical=True
        )
        .sign(world.authority.root_key, hashes.SHA256())
    )
    return Credential(key, certificate, (certificate,))


def test_an_indirect_list(world: World) -> None:
    lister = _lister(world)
    issuer = [x509.DirectoryName(lister.certificate.subject)]
    chain = with_point(world, x509.DistributionPoint(uri(URL), None, None, issuer))
    sent = (*chain, lister.certificate)
    serial = chain[0].serial_number
    ours = x509.CertificateIssuer([x509.DirectoryName(chain[0].issuer)])
    theirs = x509.CertificateIssuer([x509.DirectoryName(world.authority.root.subject)])
    indirect = scope(indirect_crl=True, full_name=uri(URL))

    def asked(
        entry: x509.ExtensionType | None, by: Credential, *sent: x509.Certificate
    ) -> tuple[str, int | None, int | None] | None:
        serials = () if entry is None else (serial,)
        crl = _list(by, world.now, indirect, serials=serials, entry=entry)
        return decision(world.ask_about(sent, Revocation.HARD, crl, world.root_crl()))

    assert asked(None, lister, *sent) is None
    assert asked(ours, lister, *sent) == ("certificate-revoked", 0, 23)
    assert asked(theirs, lister, *sent) is None  # the serial number of another CA's certificate
    assert asked(None, lister, *chain) == ("crl-signature", 0, 8)  # nobody knows the lister's key
    stranger = replace(_lister(world), certificate=lister.certificate)
    assert asked(None, stranger, *sent) == ("crl-signature", 0, 8)
    forbidden = _lister(world, may_sign=False)
    assert asked(None, forbidden, *chain, forbidden.certificate) == (
        "crl-issuer-may-not-sign", 0, 35,
    )  # fmt: skip
    assert decision(
        world.ask(Revocation.HARD, _list(lister, world.now, indirect), world.root_crl())
    ) == ("crl-missing", 0, 3)  # the certificate does not say that this CA lists it


# --- OCSP ---


def response(world: World, status: object = "good", **more: object) -> bytes:
    about = CertID.of(world.leaf.certificate, world.authority.intermediate)
    arguments: dict[str, object] = {
        "by": world.registry.signer("intermediate"),
        "this_update": world.now,
        "next_update": world.now + DAY,
        **more,
    }
    return make_ocsp_response(about, status, **arguments)  # type: ignore[arg-type]


def stapled(world: World, data: bytes, mode: Revocation = Revocation.HARD, **more: Any) -> Verdict:
    return world.ask(mode, world.root_crl(), ocsp=data, **more)


def test_good_responses(world: World) -> None:
    assert stapled(world, response(world)).accepted
    responder = make_ocsp_responder(world.authority, now=world.now)
    assert stapled(world, response(world, by=responder)).accepted


@pytest.mark.parametrize("mode", [Revocation.SOFT, Revocation.HARD])
def test_a_response_that_says_revoked(world: World, mode: Revocation) -> None:
    data = response(world, Revoked(1, world.now, x509.ReasonFlags.key_compromise))
    assert decision(stapled(world, data, mode)) == ("certificate-revoked", 0, 23)
    later = stapled(world, data, mode, now=world.now + 3 * DAY)
    assert decision(later) == ("certificate-revoked", 0, 23)
    assert stapled(world, data, Revocation.NONE).accepted


def test_a_list_counts_beside_a_good_response(world: World) -> None:
    data = response(world)
    world.revoke()
    verdict = world.ask(Revocation.SOFT, world.crl(), ocsp=data)
    assert decision(verdict) == ("certificate-revoked", 0, 23)


@pytest.mark.parametrize("mode", [Revocation.SOFT, Revocation.HARD])
def test_responses_that_do_not_satisfy(world: World, mode: Revocation) -> None:
    """RFC 6066 section 8: a stapled response that is not satisfactory ends the handshake."""
    authority, now = world.authority, world.now
    forger = Authority.create(authority.name, now=now)
    good = response(world)
    assert stapled(world, good, mode).accepted
    other = authority.issue("shop.test", now=now)
    about_other = Revocations(authority).response(other.certificate, now=now)
    foreign = make_ocsp_responder(forger, now=now)
    for data, check in (
        (response(world, "unknown"), "ocsp-unknown"),
        (good[:-1] + bytes([good[-1] ^ 1]), "ocsp-signature"),
        (response(world, by=foreign), "ocsp-responder"),
        (response(world, by=other), "ocsp-responder"),  # a leaf of the CA, but no responder
        (about_other, "ocsp-other-certificate"),
        (response(world, next_update=None), "ocsp-stale"),
        (good[:-9], "ocsp-unreadable"),
        (b"", "ocsp-unreadable"),
        (b"\x30" * 70_000, "ocsp-unreadable"),
    ):
        found = decision(stapled(world, data, mode))
        assert found == (check, 0, None), check


def test_a_responder_out_of_date(world: World) -> None:
    responder = make_ocsp_responder(world.authority, now=world.now - 30 * DAY)
    assert decision(stapled(world, response(world, by=responder))) == ("ocsp-responder", 0, None)


@pytest.mark.parametrize(
    ("shift", "check"),
    [
        (DAY + timedelta(minutes=5), None),
        (DAY + timedelta(minutes=5, seconds=1), "ocsp-stale"),
        (-timedelta(minutes=5), None),
        (-timedelta(minutes=5, seconds=1), "ocsp-not-yet-valid"),
    ],
)
def test_the_times_of_a_response(world: World, shift: timedelta, check: str | None) -> None:
    crl = world.registry.crl("root", now=world.now - DAY, lifetime=7 * DAY)
    policy = replace(STRICT, revocation=Revocation.HARD)
    found = verify(
        world.leaf.chain,
        "shop.test",
        trust=world.authority.trust,
        now=world.now + shift,
        policy=policy,
        crls=[crl],
        ocsp=response(world),
    )
    assert decision(found) == (None if check is None else (check, 0, None))


def test_an_error_of_the_responder_is_no_response(world: World) -> None:
    refusal = make_ocsp_refusal(OCSPRefusal.TRY_LATER)
    assert stapled(world, refusal, Revocation.SOFT).accepted
    assert decision(stapled(world, refusal)) == ("crl-missing", 0, 3)
    assert world.ask(Revocation.HARD, world.crl(), world.root_crl(), ocsp=refusal).accepted


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384()])
def test_the_certificate_is_named_by_any_hash(
    world: World, algorithm: hashes.HashAlgorithm
) -> None:
    key = world.authority.intermediate_key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    intermediate = world.authority.intermediate
    for issuer, check in ((intermediate, None), (world.authority.root, "ocsp-other-certificate")):
        data = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                world.leaf.certificate,
                issuer,
                algorithm,
                ocsp.OCSPCertStatus.GOOD,
                world.now,
                world.now + DAY,
                None,
                None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.NAME, intermediate)
            .sign(key, hashes.SHA256())
            .public_bytes(Encoding.DER)
        )
        found = decision(stapled(world, data))
        assert found == (None if check is None else (check, 0, None))


def test_must_staple(world: World) -> None:
    value = x509.TLSFeature([x509.TLSFeatureType.status_request])
    template = world.authority.draft(
        "shop.test",
        public_key=world.leaf.key.public_key(),
        profile=Profile.named("server"),
        now=world.now,
    )
    added: x509.Extension[x509.ExtensionType] = x509.Extension(value.oid, False, value)
    leaf = replace(template, extensions=(*template.extensions, added)).signed_by(
        world.authority.intermediate_key
    )
    chain = (leaf, world.authority.intermediate)
    good = world.registry.response(leaf, now=world.now)
    assert decision(world.ask_about(chain, Revocation.NONE)) == ("staple-missing", 0, None)
    assert world.ask_about(chain, Revocation.NONE, ocsp=good).accepted
    stale = world.ask_about(chain, Revocation.NONE, ocsp=good, now=world.now + 2 * DAY)
    assert decision(stale) == ("ocsp-stale", 0, None)
    lax = replace(STRICT, must_staple=False)
    assert world.ask_about(chain, Revocation.NONE, policy=lax).accepted


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.ED25519], ids=lambda k: k.value)
def test_other_kinds_of_keys_sign_as_well(key_type: KeyType, now: datetime) -> None:
    authority = Authority.create("other keys", now=now, key_type=key_type)
    leaf = authority.issue("shop.test", now=now, key_type=KeyType.ECDSA_P256)
    world = World(authority, leaf, Revocations(authority), now)
    good = world.registry.response(leaf.certificate, now=now)
    for data, check in (
        (good, None),
        (good[:-1] + bytes([good[-1] ^ 1]), "ocsp-signature"),
    ):
        found = decision(stapled(world, data, policy=DEFAULT))
        assert found == (None if check is None else (check, 0, None))
    crl = world.crl()
    assert world.ask(Revocation.HARD, crl, world.root_crl(), policy=DEFAULT).accepted
    forged = crl[:-1] + bytes([crl[-1] ^ 1])
    verdict = world.ask(Revocation.HARD, forged, world.root_crl(), policy=DEFAULT)
    assert decision(verdict) == ("crl-signature", 0, 8)


def _builder(world: World) -> ocsp.OCSPResponseBuilder:
    return (
        ocsp.OCSPResponseBuilder()
        .add_response(
            world.leaf.certificate,
            world.authority.intermediate,
            hashes.SHA256(),
            ocsp.OCSPCertStatus.GOOD,
            world.now,
            world.now + DAY,
            None,
            None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, world.authority.intermediate)
    )


@pytest.mark.parametrize("critical", [False, True])
def test_an_unknown_extension_of_a_response(world: World, critical: bool) -> None:
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    key = world.authority.intermediate_key
    signed = _builder(world).add_extension(odd, critical).sign(key, hashes.SHA256())
    found = decision(stapled(world, signed.public_bytes(Encoding.DER)))
    assert found == (("ocsp-critical-extension", 0, None) if critical else None)


def test_a_response_over_a_broken_hash(now: datetime) -> None:
    """cryptography signs none over SHA-1, so algorithm and signature are put in by hand."""
    authority = Authority.create("old responder", now=now, key_type=KeyType.RSA_2048)
    leaf = authority.issue("shop.test", now=now, key_type=KeyType.ECDSA_P256)
    world = World(authority, leaf, Revocations(authority), now)
    key = authority.intermediate_key
    assert isinstance(key, rsa.RSAPrivateKey)
    good = _builder(world).sign(key, hashes.SHA256())
    data, signed = good.public_bytes(Encoding.DER), good.tbs_response_bytes
    assert decision(stapled(world, data, policy=DEFAULT)) is None
    by_sha1 = key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    with_rsa = "2a864886f70d0101"  # PKCS #1: 0b is over SHA-256, 05 over SHA-1
    old = data.replace(bytes.fromhex(f"{with_rsa}0b"), bytes.fromhex(f"{with_rsa}05")).replace(
        good.signature, by_sha1
    )
    key.public_key().verify(
        ocsp.load_der_ocsp_response(old).signature,
        signed,
        padding.PKCS1v15(),
        hashes.SHA1(),
    )
    assert decision(stapled(world, old, policy=DEFAULT)) == ("ocsp-signature", 0, None)
