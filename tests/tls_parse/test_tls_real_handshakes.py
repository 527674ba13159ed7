"""Real handshakes of the standard library, read without keys as tshark and its ends see them."""

from __future__ import annotations

import shutil
import ssl
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tlslab.tls.fingerprint import ja3
from tlslab.tls.hello import ServerHello, certificate_list, key_exchange_group, peek_client_hello
from tlslab.tls.records import NEED_MORE, ContentType, HandshakeParser, HandshakeType, RecordParser
from tlslab.tls.registry import cipher_suite_name, group_name, version_name


@dataclass(frozen=True)
class RealHandshake:
    """The bytes of one handshake between two ends of the standard library."""

    to_server: bytes
    to_client: bytes
    client: ssl.SSLObject


@pytest.fixture(scope="session")
def certificate_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh self-signed certificate for parse.test, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "parse.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("parse.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("parse") / "certificate.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture(scope="session")
def real_handshake(certificate_file: Path) -> Callable[..., RealHandshake]:
    """Does a real handshake in memory: `real_handshake(version, curve=None)`."""

    def run(version: ssl.TLSVersion, server_curve: str | None = None) -> RealHandshake:
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_context.load_cert_chain(certificate_file)
        server_context.set_alpn_protocols(["http/1.1"])
        if server_curve is not None:
            server_context.set_ecdh_curve(server_curve)
        client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client_context.load_verify_locations(certificate_file)
        client_context.minimum_version = client_context.maximum_version = version
        client_context.set_alpn_protocols(["h2", "http/1.1"])
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context.wrap_bio(down, up, server_hostname="parse.test")
        server_in, server_out = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = server_context.wrap_bio(server_in, server_out, server_side=True)
        to_server, to_client = b"", b""
        done: set[ssl.SSLObject] = set()
        while len(done) < 2:
            for side in (client, server):
                try:
                    side.do_handshake()
                    done.add(side)
                except ssl.SSLWantReadError:
                    pass
                sent = up.read()
                to_server += sent
                server_in.write(sent)
                sent = server_out.read()
                to_client += sent
                down.write(sent)
        return RealHandshake(to_server, to_client, client)

    return run


def messages_of(data: bytes) -> list[tuple[int, bytes]]:
    """The plaintext handshake messages at the start of a direction."""
    records, messages, found = RecordParser(), HandshakeParser(), []
    records.feed(data)
    while (item := records.next()) is not NEED_MORE:
        if item.content_type is not ContentType.HANDSHAKE:
            break
        messages.feed(item.payload)
        while (message := messages.next()) is not NEED_MORE:
            found.append((message.type, message.body))
    return found


def test_a_tls12_handshake_shows_certificate_suite_and_group(
    real_handshake: Callable[..., RealHandshake], certificate_file: Path
) -> None:
    seen = real_handshake(ssl.TLSVersion.TLSv1_2)
    client = peek_client_hello(seen.to_server)
    assert client is not None
    assert (client.server_name, client.alpn) == ("parse.test", ("h2", "http/1.1"))
    messages = dict(messages_of(seen.to_client))
    server = ServerHello.parse(messages[HandshakeType.SERVER_HELLO])
    assert version_name(server.selected_version) == "TLS 1.2"
    assert server.alpn == "http/1.1"
    chosen = seen.client.cipher()
    assert chosen is not None
    suite = cipher_suite_name(server.cipher_suite)
    assert suite.removeprefix("TLS_").replace("_WITH_AES_256_", "-AES256-").replace(
        "_", "-"
    ) == chosen[0].replace("AES_256", "AES256")
    ders = certificate_list(messages[HandshakeType.CERTIFICATE])
    assert ders == (seen.client.getpeercert(binary_form=True),)
    group = key_exchange_group(messages[HandshakeType.SERVER_KEY_EXCHANGE])
    assert group is not None
    assert group_name(group) == "x25519"


def test_a_tls13_handshake_shows_the_name_but_no_certificate(
    real_handshake: Callable[..., RealHandshake],
) -> None:
    seen = real_handshake(ssl.TLSVersion.TLSv1_3)
    client = peek_client_hello(seen.to_server)
    assert client is not None
    assert client.server_name == "parse.test"
    ((kind, body),) = messages_of(seen.to_client)
    assert kind == HandshakeType.SERVER_HELLO
    server = ServerHello.parse(body)
    assert version_name(server.selected_version) == "TLS 1.3"
    assert server.alpn is None
    chosen = seen.client.cipher()
    assert chosen is not None
    assert cipher_suite_name(server.cipher_suite) == chosen[0]
    assert b"parse.test" not in seen.to_client


def test_a_real_hello_retry_request_is_recognised(
    real_handshake: Callable[..., RealHandshake],
) -> None:
    seen = real_handshake(ssl.TLSVersion.TLSv1_3, "secp521r1")
    (_, first), *_ = messages_of(seen.to_client)
    retry = ServerHello.parse(first)
    assert retry.is_hello_retry_request
    assert retry.selected_group is not None
    assert group_name(retry.selected_group) == "secp521r1"


def test_tshark_reads_the_same_hello(
    real_handshake: Callable[..., RealHandshake], tmp_path: Path
) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    seen = real_handshake(ssl.TLSVersion.TLSv1_3)
    client = peek_client_hello(seen.to_server)
    assert client is not None
    file = tmp_path / "hello.pcap"  # one raw IPv4 packet; checksums are not what is tested here
    tcp = struct.pack(">HHIIBBHHH", 40000, 443, 1, 1, 0x50, 0x18, 65535, 0, 0) + seen.to_server
    ip = struct.pack(">BBHHHBBH8s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, b"\x0a\0\0\1" * 2)
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 101)
    size = len(ip + tcp)
    file.write_bytes(head + struct.pack("<IIII", 0, 0, size, size) + ip + tcp)
    fields = {
        "tls.handshake.ja3": ja3(client),
        "tls.handshake.extensions_server_name": "parse.test",
        "tls.handshake.random": client.random.hex(),
        "tls.handshake.ciphersuite": ",".join(f"0x{v:04x}" for v in client.cipher_suites),
        "tls.handshake.extension.type": ",".join(str(e.type) for e in client.extensions),
        "tls.handshake.extensions_alpn_str": ",".join(client.alpn),
        "tls.handshake.extensions_supported_group": ",".join(f"0x{v:04x}" for v in client.groups),
        "tls.handshake.sig_hash_alg": ",".join(f"0x{v:04x}" for v in client.signature_algorithms),
    }
    command = ["tshark", "-r", str(file), "-T", "fields", "-E", "separator=|"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip("\n").split("|") == list(fields.values())
