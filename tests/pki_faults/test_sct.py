"""Certificate Transparency: our timestamps by our verification, and by OpenSSL's."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.certificate_transparency import SignedCertificateTimestamp
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import PKIError
from tlslab.pki import Authority, KeyType, Profile
from tlslab.pki.ct_log import CTLog, root_from_path, tree_root
from tlslab.pki.faults import Fault, build
from tlslab.pki.sct import (
    POISON,
    SCT,
    SCT_LIST,
    SCTFault,
    SCTRefused,
    embedded_scts,
    poison_extension,
    sct_list_extension,
    verify_sct,
    without_extension,
)
from tlslab.pki.template import Template

NOW = datetime.now(UTC)


def published(authority: Authority, log: CTLog, **change: Any) -> x509.Certificate:
    """A certificate as a CA makes it: precertificate, timestamp, certificate with the timestamp."""
    key = KeyType.ECDSA_P256.generate()
    template = authority.draft(
        "shop.test", public_key=key.public_key(), profile=Profile.named("server")
    )
    signer = authority.intermediate_key
    precertificate = adding(template, poison_extension(), critical=True).signed_by(signer)
    sct = log.submit(precertificate, authority.intermediate)
    return adding(template, sct_list_extension([dataclasses.replace(sct, **change)])).signed_by(
        signer
    )


def adding(template: Template, value: x509.ExtensionType, *, critical: bool = False) -> Template:
    extension = x509.Extension(value.oid, critical, value)
    return dataclasses.replace(template, extensions=(*template.extensions, extension))


def check(authority: Authority, log: CTLog, certificate: x509.Certificate) -> None:
    (sct,) = embedded_scts(certificate)
    verify_sct(sct, certificate, authority.intermediate, log.public_key)


def test_what_a_log_has_promised(authority: Authority) -> None:
    log = CTLog()
    certificate = published(authority, log)
    (sct,) = embedded_scts(certificate)
    assert sct.log_id == log.id
    check(authority, log, certificate)
    assert certificate.tbs_precertificate_bytes == without_extension(
        certificate.tbs_certificate_bytes, SCT_LIST
    ), "cryptography cuts the same bytes"


def test_what_it_has_not(authority: Authority) -> None:
    log, other = CTLog(), CTLog()
    certificate = published(authority, log)
    with pytest.raises(SCTRefused) as refused:
        check(authority, other, certificate)
    assert refused.value.fault is SCTFault.UNKNOWN_LOG
    (sct,) = embedded_scts(certificate)
    with pytest.raises(SCTRefused) as refused:  # the same timestamp, another certificate
        verify_sct(sct, published(authority, log), authority.intermediate, log.public_key)
    assert refused.value.fault is SCTFault.BAD_SIGNATURE
    with pytest.raises(SCTRefused) as refused:  # another issuer of that name
        verify_sct(sct, certificate, authority.root, log.public_key)
    assert refused.value.fault is SCTFault.BAD_SIGNATURE
    with pytest.raises(SCTRefused) as refused:
        verify_sct(
            sct, certificate, authority.intermediate, log.public_key, now=NOW - timedelta(days=1)
        )
    assert refused.value.fault is SCTFault.FUTURE


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": NOW - timedelta(days=3)},
        {"extensions": b"x"},
        {"signature": b""},
        {"signature": b"\x30\x06\x02\x01\x01\x02\x01\x01"},
    ],
)
def test_every_signed_field_counts(authority: Authority, change: dict[str, Any]) -> None:
    log = CTLog()
    with pytest.raises(SCTRefused) as refused:
        check(authority, log, published(authority, log, **change))
    assert refused.value.fault is SCTFault.BAD_SIGNATURE


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1)),
    st.binary(max_size=100),
    st.binary(max_size=100),
)
def test_timestamps_are_read_as_they_were_written(
    moment: datetime, signature: bytes, extensions: bytes
) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    sct = SCT(bytes(range(32)), moment, signature, extensions)
    value = sct_list_extension([sct, sct]).public_bytes()
    found = parsed(value)
    assert [(one.log_id, one.signature, one.extension_bytes) for one in found] == [
        (sct.log_id, signature, extensions)
    ] * 2
    assert found[0].timestamp.replace(tzinfo=UTC) == moment


_KEY = KeyType.ECDSA_P256.generate()


def parsed(value: bytes) -> tuple[SignedCertificateTimestamp, ...]:
    """An extension's value as cryptography reads it, in a certificate."""
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder(name, name, _KEY.public_key(), 1, NOW, NOW)
        .add_extension(x509.UnrecognizedExtension(SCT_LIST, value), critical=False)
        .sign(_KEY, SHA256())
    )
    return embedded_scts(certificate)


@given(st.binary(max_size=60))
def test_any_list_is_read_or_refused(value: bytes) -> None:
    with contextlib.suppress(PKIError):
        parsed(value)


def test_extensions_are_cut_out_whole(authority: Authority) -> None:
    tbs = published(authority, CTLog()).tbs_certificate_bytes
    assert without_extension(tbs, POISON) == tbs
    assert len(without_extension(tbs, SCT_LIST)) < len(tbs)
    with pytest.raises(PKIError):
        without_extension(tbs[:-1], SCT_LIST)


def test_a_log_takes_no_certificate_and_no_forgery(authority: Authority) -> None:
    log = CTLog()
    with pytest.raises(PKIError, match="poison"):
        log.submit(authority.issue("shop.test").certificate, authority.intermediate)
    made = build(Fault.named("precertificate"), authority)
    assert log.submit(made.credential.certificate, authority.intermediate).log_id == log.id
    with pytest.raises(PKIError, match="not signed by its issuer"):
        log.submit(made.credential.certificate, Authority.create().intermediate)
    assert len(log.entries) == 1


# The tree of RFC 6962's reference implementation: eight entries, and the roots over the first few.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def test_roots_are_those_of_the_reference() -> None:
    for size, root in ROOTS.items():
        assert tree_root(ENTRIES[:size]).hex() == root


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=20), st.data())
def test_every_entry_is_proved_and_no_other(entries: list[bytes], data: st.DataObject) -> None:
    log = CTLog(key=_LOG_KEY, entries=entries)
    index = data.draw(st.integers(0, len(entries) - 1))
    path = log.audit_path(index)
    root = tree_root(entries)
    assert root_from_path(entries[index], index, len(entries), path) == root
    assert root_from_path(entries[index] + b"x", index, len(entries), path) != root
    with pytest.raises(PKIError):
        root_from_path(entries[index], index, len(entries), [*path, bytes(32)])
    with pytest.raises(PKIError):
        root_from_path(entries[index], len(entries), len(entries), path)
    if path:
        with pytest.raises(PKIError):
            root_from_path(entries[index], index, len(entries), path[1:])


_LOG_KEY = ec.generate_private_key(ec.SECP256R1())


def test_a_split_view_convicts_the_log(authority: Authority) -> None:
    """A log that shows the victim one tree and everybody else another signs both heads."""
    log = CTLog()
    evil = published(authority, log)
    shown_to_victim = log.head()
    hidden = CTLog(key=log.key, entries=[])
    published(authority, hidden)
    shown_to_monitor = hidden.head()
    for head in (shown_to_victim, shown_to_monitor):
        head.check(log.public_key)
    assert shown_to_victim.size == shown_to_monitor.size
    assert shown_to_victim.root != shown_to_monitor.root
    assert all(evil.serial_number.to_bytes(20) not in entry for entry in hidden.entries)
    with pytest.raises(PKIError, match="did not sign"):
        dataclasses.replace(shown_to_monitor, root=shown_to_victim.root).check(log.public_key)


@pytest.mark.parametrize(("known", "word"), [(True, "valid"), (False, "unknown log")])
def test_openssls_client_agrees(
    authority: Authority, tmp_path: Path, known: bool, word: str
) -> None:
    """`openssl s_client -ct` verifies timestamps on its own; it reads its logs from a file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    log, made = CTLog(), build(Fault.named("sct-good"), authority)
    keys = list(made.logs.values()) if known else [log.public_key]
    lines = ["enabled_logs=" + ",".join(f"log{number}" for number, _ in enumerate(keys))]
    for number, key in enumerate(keys):
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        lines += [f"[log{number}]", "description=x", f"key={base64.b64encode(spki).decode()}"]
    (tmp_path / "logs").write_text("\n".join([*lines, ""]))
    (tmp_path / "chain.pem").write_bytes(made.credential.chain_pem)
    (tmp_path / "key.pem").write_bytes(made.credential.key_pem)
    (tmp_path / "root.pem").write_bytes(made.trust.pem)
    serve = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cert", "chain.pem"]
    ask = ["openssl", "s_client", "-ct", "-ctlogfile", "logs", "-CAfile", "root.pem"]
    with subprocess.Popen(
        [*serve, "-cert_chain", "chain.pem", "-key", "key.pem"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            line = next(line for line in server.stdout if line.startswith("ACCEPT "))
            where = line.split()[1]
            done = subprocess.run(
                [*ask, "-connect", where, "-servername", "shop.test"],
                cwd=tmp_path,
                input="",
                check=False,
                capture_output=True,
                text=True,
                timeout=20,
            )
        finally:
            server.terminate()
    assert done.stdout.count(f"SCT validation status: {word}") == 2, done.stdout + done.stderr
