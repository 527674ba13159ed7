"""OCSP: requests of OpenSSL's answered, responses judged by OpenSSL, hostile requests survived."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from tlslab.errors import PKIError, UsageError
from tlslab.pki import Authority
from tlslab.pki.credential import to_pem
from tlslab.pki.revocation import (
    MAX_NONCE,
    CertID,
    OCSPQuery,
    OCSPRefusal,
    Revocations,
    Revoked,
    make_ocsp_refusal,
    make_ocsp_request,
    make_ocsp_responder,
    make_ocsp_response,
    parse_ocsp_request,
)

DAY = timedelta(days=1)
Status = ocsp.OCSPResponseStatus


def about(world: Any, certificate: x509.Certificate) -> CertID:
    return CertID.of(certificate, world.authority.intermediate)


class Responder:
    """`openssl ocsp` as the client: it makes a request, and judges a response to it."""

    def __init__(self, world: Any, openssl: Callable[..., str], folder: Any) -> None:
        self._common = [
            "ocsp",
            "-CAfile",
            world.authority.root_pem,
            "-issuer",
            to_pem((world.authority.intermediate,)),
            "-verify_other",
            to_pem((world.authority.intermediate,)),
        ]
        self._openssl, self._folder = openssl, folder

    def request(self, certificate: x509.Certificate, *options: str) -> bytes:
        out = self._folder / "request.der"
        self._openssl(*self._common, "-cert", to_pem((certificate,)), *options, "-reqout", str(out))
        data: bytes = out.read_bytes()
        return data

    def judge(self, certificate: x509.Certificate, response: bytes) -> str:
        leaf = to_pem((certificate,))
        return self._openssl(*self._common, "-cert", leaf, "-no_nonce", "-respin", response)


@pytest.fixture
def peer(world: Any, openssl: Callable[..., str], tmp_path: Any) -> Responder:
    return Responder(world, openssl, tmp_path)


@pytest.mark.parametrize("delegated", [False, True])
@pytest.mark.parametrize("nonce", ["-nonce", "-no_nonce"])
def test_openssl_agrees_on_good_and_revoked(
    world: Any, peer: Responder, delegated: bool, nonce: str
) -> None:
    if delegated:
        world.revocations.responder = make_ocsp_responder(world.authority)
    good, revoked = world.good.certificate, world.revoked.certificate
    verdict = peer.judge(good, world.revocations.answer(peer.request(good, nonce)))
    assert "Response verify OK" in verdict
    assert ": good" in verdict
    verdict = peer.judge(revoked, world.revocations.answer(peer.request(revoked, nonce)))
    assert "Response verify OK" in verdict
    assert ": revoked" in verdict


def test_the_nonce_is_repeated_and_another_is_noticed(world: Any, openssl: Any) -> None:
    good = world.good.certificate
    nonce = os.urandom(32)
    request = make_ocsp_request(about(world, good), nonce=nonce)
    response = world.revocations.answer(request)
    found = ocsp.load_der_ocsp_response(response).extensions.get_extension_for_class(x509.OCSPNonce)
    assert found.value.nonce == nonce
    issuer = to_pem((world.authority.intermediate,))
    judge = ["ocsp", "-CAfile", world.authority.root_pem, "-verify_other", issuer]
    assert "Nonce Verify error" not in openssl(*judge, "-reqin", request, "-respin", response)
    other = make_ocsp_request(about(world, good), nonce=os.urandom(32))
    assert "Nonce Verify error" in openssl(*judge, "-reqin", other, "-respin", response)


def test_openssl_reads_the_status_unknown(world: Any, peer: Responder) -> None:
    good = world.good.certificate
    response = make_ocsp_response(
        about(world, good),
        "unknown",
        by=world.revocations.signer("intermediate"),
        this_update=world.now,
        next_update=world.now + DAY,
    )
    assert ": unknown" in peer.judge(good, response)


def test_openssl_refuses_what_is_wrong_with_a_response(world: Any, peer: Responder) -> None:
    good, issuer = world.good.certificate, world.revocations.signer("intermediate")

    def judge(by: Any, **times: Any) -> str:
        times = {"this_update": world.now, "next_update": world.now + DAY} | times
        return peer.judge(good, make_ocsp_response(about(world, good), by=by, **times))

    assert "Response verify OK" in judge(issuer)
    stale = judge(issuer, this_update=world.now - 2 * DAY, next_update=world.now - DAY)
    assert "status expired" in stale
    early = judge(issuer, this_update=world.now + DAY, next_update=world.now + 2 * DAY)
    assert "status not yet valid" in early
    # Any leaf of the CA, such as the stolen one itself, may not sign: it lacks OCSPSigning.
    assert "Response verify OK" not in judge(world.good)
    stranger = make_ocsp_responder(Authority.create("stranger"))
    assert "Response verify OK" not in judge(stranger)
    namesake = Revocations(Authority.create(world.authority.name))
    assert "Response verify OK" not in judge(namesake.signer("intermediate"))
    other = make_ocsp_response(
        CertID.of(world.revoked.certificate, world.authority.intermediate),
        by=issuer,
        this_update=world.now,
        next_update=world.now + DAY,
    )
    assert ": good" not in peer.judge(good, other)  # about another certificate


def test_the_root_answers_for_the_intermediate(world: Any) -> None:
    authority = world.authority
    request = make_ocsp_request(CertID.of(authority.intermediate, authority.root))

    def status(revocations: Revocations) -> Any:
        response = ocsp.load_der_ocsp_response(revocations.answer(request))
        if response.response_status is not Status.SUCCESSFUL:
            return response.response_status
        return response.certificate_status

    assert status(world.revocations) is ocsp.OCSPCertStatus.GOOD
    world.revocations.revoke(authority.intermediate)
    assert status(world.revocations) is ocsp.OCSPCertStatus.REVOKED
    assert status(Revocations(replace(authority, root_key=None))) is Status.UNAUTHORIZED


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()])
def test_the_answer_is_hashed_as_the_question(world: Any, algorithm: Any) -> None:
    wanted = CertID.of(world.revoked.certificate, world.authority.intermediate, algorithm)
    response = ocsp.load_der_ocsp_response(world.revocations.answer(make_ocsp_request(wanted)))
    assert response.hash_algorithm.name == algorithm.name
    assert response.issuer_key_hash == wanted.issuer_key_hash
    assert response.serial_number == wanted.serial
    assert response.revocation_time_utc == world.now


def test_another_cas_certificate_is_none_of_its_business(world: Any) -> None:
    other = Authority.create("stranger")
    leaf = other.issue("good.test")
    request = make_ocsp_request(CertID.of(leaf.certificate, other.intermediate))
    assert world.revocations.answer(request) == make_ocsp_refusal(OCSPRefusal.UNAUTHORIZED)


def test_a_responders_certificate(world: Any) -> None:
    certificate = make_ocsp_responder(world.authority).certificate
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert list(usage.value) == [ExtendedKeyUsageOID.OCSP_SIGNING]
    assert certificate.extensions.get_extension_for_class(x509.OCSPNoCheck)
    certificate.verify_directly_issued_by(world.authority.intermediate)


@pytest.mark.parametrize("size", [1, 32, MAX_NONCE])
def test_nonces_within_the_limit(world: Any, size: int) -> None:
    query = OCSPQuery(about(world, world.good.certificate), bytes(size))
    parsed = parse_ocsp_request(make_ocsp_request(query.about, nonce=query.nonce))
    assert (parsed.nonce, parsed.about.serial) == (query.nonce, query.about.serial)


@pytest.mark.parametrize("size", [0, MAX_NONCE + 1])
def test_nonces_beyond_the_limit(world: Any, size: int) -> None:
    with pytest.raises(UsageError):
        make_ocsp_request(about(world, world.good.certificate), nonce=bytes(size))
    builder = ocsp.OCSPRequestBuilder().add_certificate(
        world.good.certificate, world.authority.intermediate, hashes.SHA256()
    )
    builder = builder.add_extension(x509.OCSPNonce(bytes(size)), critical=False)
    request = builder.build().public_bytes(Encoding.DER)
    with pytest.raises(PKIError):
        parse_ocsp_request(request)
    assert world.revocations.answer(request) == make_ocsp_refusal(OCSPRefusal.MALFORMED)


def test_two_questions_at_once_are_refused(world: Any, openssl: Any, tmp_path: Any) -> None:
    out, issuer = tmp_path / "request.der", to_pem((world.authority.intermediate,))
    leaves = (world.good.certificate_pem, world.revoked.certificate_pem)
    openssl("ocsp", "-issuer", issuer, "-cert", leaves[0], "-cert", leaves[1], "-reqout", str(out))
    answer = world.revocations.answer(out.read_bytes())
    assert answer == make_ocsp_refusal(OCSPRefusal.MALFORMED)


def test_what_no_response_can_say_is_told(world: Any) -> None:
    with pytest.raises(UsageError):
        make_ocsp_response(
            about(world, world.good.certificate),
            by=world.revocations.signer("intermediate"),
            this_update=world.now,
            next_update=world.now - DAY,
        )


_AUTHORITY = Authority.create("property")
_REVOCATIONS = Revocations(_AUTHORITY)
_LEAF = _AUTHORITY.issue("property.test").certificate
_REQUEST = make_ocsp_request(CertID.of(_LEAF, _AUTHORITY.intermediate), nonce=bytes(16))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_garbage_is_answered(data: bytes) -> None:
    status = ocsp.load_der_ocsp_response(_REVOCATIONS.answer(data)).response_status
    assert status is Status.MALFORMED_REQUEST


def test_a_negative_serial_number_is_malformed() -> None:
    serial = replace(CertID.of(_LEAF, _AUTHORITY.intermediate), serial=0x7F01020304)
    request = make_ocsp_request(serial)
    negative = request.replace(bytes.fromhex("7f01020304"), bytes.fromhex("ff01020304"))
    assert negative != request
    assert _REVOCATIONS.answer(negative) == make_ocsp_refusal(OCSPRefusal.MALFORMED)


@settings(deadline=None)
@given(st.integers(0, len(_REQUEST) - 1), st.integers(1, 255))
def test_a_damaged_request_gets_some_answer(at: int, flip: int) -> None:
    damaged = bytearray(_REQUEST)
    damaged[at] ^= flip
    assert ocsp.load_der_ocsp_response(_REVOCATIONS.answer(bytes(damaged)))


@pytest.mark.parametrize("size", range(0, len(_REQUEST), 7))
def test_a_cut_or_prolonged_request_is_malformed(size: int) -> None:
    malformed = make_ocsp_refusal(OCSPRefusal.MALFORMED)
    assert _REVOCATIONS.answer(_REQUEST[:size]) == malformed
    assert _REVOCATIONS.answer(_REQUEST + bytes(size + 1)) == malformed


@settings(deadline=None, max_examples=50)
@given(st.integers(1, (1 << 159) - 1), st.one_of(st.none(), st.binary(min_size=1, max_size=128)))
def test_a_request_is_read_as_it_was_made(serial: int, nonce: bytes | None) -> None:
    wanted = replace(CertID.of(_LEAF, _AUTHORITY.intermediate), serial=serial)
    parsed = parse_ocsp_request(make_ocsp_request(wanted, nonce=nonce))
    assert (parsed.about.serial, parsed.nonce) == (serial, nonce)
    assert parsed.about.is_issued_by(_AUTHORITY.intermediate)
    assert not parsed.about.is_issued_by(_AUTHORITY.root)


def test_revoked_is_told_with_its_reason(world: Any) -> None:
    entry = Revoked(7, world.now, x509.ReasonFlags.key_compromise)
    response = ocsp.load_der_ocsp_response(
        make_ocsp_response(
            replace(about(world, world.good.certificate), serial=7),
            entry,
            by=world.revocations.signer("intermediate"),
            this_update=world.now,
            next_update=None,
        )
    )
    assert response.revocation_reason is entry.reason
    assert response.next_update_utc is None
