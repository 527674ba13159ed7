"""Real verifiers, asked about each fault: a TLS client of ours, OpenSSL with CRLs, cryptography."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from OpenSSL import crypto

from tlslab.errors import TLSError, UsageError
from tlslab.pki import Authority
from tlslab.pki.credential import to_pem
from tlslab.pki.faults import Fault, FaultyServer, Verdict, build
from tlslab.pki.sct import sct_verdicts
from tlslab.tls import CertificateRefused, ClientPolicy, HandshakeFailure, ServerPolicy, TLSStream
from tlslab.tls.policy import Version


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.create("tests/pki_faults")


async def openssl(server: FaultyServer, *, client: ClientPolicy | None = None) -> Verdict:
    """A handshake over memory streams; by default with a careful client of ours."""
    left, right = trio.testing.memory_stream_pair()
    policy = ServerPolicy(
        server.credential,
        ciphers=server.ciphers,
        maximum=Version(server.maximum),
        staple=server.staple,
    )
    try:
        theirs = TLSStream.server(right, policy)
    except UsageError:
        return Verdict(accepted=False, by="loading")
    mine = TLSStream.client(left, client or ClientPolicy(trust=server.trust), server.name)
    failures: dict[str, TLSError] = {}

    async def run(side: str, stream: TLSStream) -> None:
        try:
            await stream.do_handshake()
            if side == "server":
                await stream.send_all(b"secret")
            else:
                assert await stream.receive_some() == b"secret"
        except TLSError as error:
            failures[side] = error
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, "client", mine)
        nursery.start_soon(run, "server", theirs)
    error = failures.get("client")
    if error is None:
        assert not failures
        return Verdict(accepted=True)
    assert isinstance(error, HandshakeFailure)
    alert = None if error.alert is None else error.alert.number
    by = "server" if error.alert_direction == "received" else "client"
    if isinstance(error, CertificateRefused):
        return Verdict(False, error.x509_number, error.depth, alert, "client")
    return Verdict(False, None, None, alert, "server" if by == "server" else "client")


def cryptographys(server: FaultyServer, *, now: datetime | None = None) -> Verdict:
    """What cryptography's verifier says; what it cannot even parse it refuses."""
    try:
        subject: x509.DNSName | x509.IPAddress = x509.IPAddress(ip_address(server.name))
    except ValueError:
        subject = x509.DNSName(server.name)
    leaf, *others = server.credential.chain
    try:
        store = Store(list(server.trust.certificates))
        builder = PolicyBuilder().store(store).time(now or datetime.now(UTC))
        builder.build_server_verifier(subject).verify(leaf, others)
    except (VerificationError, ValueError, UnsupportedAlgorithm):
        return Verdict(accepted=False)
    return Verdict(accepted=True)


def with_crls(server: FaultyServer, *, all_certificates: bool) -> Verdict:
    """What OpenSSL says that asks the client's revocation lists."""
    store = crypto.X509Store()
    for certificate in server.trust.certificates:
        store.add_cert(crypto.X509.from_cryptography(certificate))
    for crl in server.crls:
        store.add_crl(x509.load_der_x509_crl(crl))
    flags = crypto.X509StoreFlags.CRL_CHECK
    store.set_flags(flags | crypto.X509StoreFlags.CRL_CHECK_ALL if all_certificates else flags)
    leaf, *others = map(crypto.X509.from_cryptography, server.credential.chain)
    try:
        crypto.X509StoreContext(store, leaf, others).verify_certificate()
    except crypto.X509StoreContextError as error:
        number, depth, _ = error.errors
        return Verdict(False, number, depth)
    return Verdict(accepted=True)


def staple_verdict(server: FaultyServer, folder: Path) -> str:
    """What `openssl ocsp` says of the staple: no library for Python verifies one."""
    assert server.staple is not None
    leaf, issuer, *_ = server.credential.chain
    files = {"staple": server.staple, "leaf": to_pem([leaf]), "issuer": to_pem([issuer])}
    for name, data in {**files, "root": server.trust.pem}.items():
        (folder / name).write_bytes(data)
    done = subprocess.run(
        [
            *("openssl", "ocsp", "-respin", "staple", "-issuer", "issuer", "-cert", "leaf"),
            *("-CAfile", "root", "-verify_other", "issuer", "-no_nonce"),
        ],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
    )
    said = done.stdout + done.stderr
    if "Error reading OCSP response" in said or "asn1 encoding" in said:
        return "unreadable"
    if "Response verify OK" not in said:
        return "forged"
    if "WARNING: Status times invalid" in said:
        return "stale"
    status = re.search(r"^leaf: (good|revoked|unknown)", said, re.MULTILINE)
    return status[1] if status else "other-certificate"


def scts(server: FaultyServer) -> tuple[str, ...]:
    """How the embedded timestamps fare with our own verification."""
    leaf, issuer, *_ = server.credential.chain
    return tuple(verdict or "good" for verdict in sct_verdicts(leaf, issuer, server.logs))


class Measured:
    """Each shipped fault, built once: a certificate can be judged by several tests."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._servers: dict[str, FaultyServer] = {}

    def server(self, fault: Fault) -> FaultyServer:
        if fault.id not in self._servers:
            self._servers[fault.id] = build(fault, self._authority)
        return self._servers[fault.id]


@pytest.fixture(scope="session")
def measured(authority: Authority) -> Measured:
    return Measured(authority)


class Verifiers:
    """The verifiers above, as one fixture."""

    openssl = staticmethod(openssl)
    cryptographys = staticmethod(cryptographys)
    with_crls = staticmethod(with_crls)
    staple = staticmethod(staple_verdict)
    scts = staticmethod(scts)


@pytest.fixture(scope="session")
def verifiers() -> type[Verifiers]:
    return Verifiers
