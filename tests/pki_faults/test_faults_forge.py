"""The DER signer: agrees with cryptography where cryptography signs, goes on where it refuses."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import PKIError, UsageError
from tlslab.pki import Authority, KeyType, Profile, der
from tlslab.pki.faults import forge
from tlslab.pki.faults.recipe import KEYS
from tlslab.pki.keys import PrivateKey
from tlslab.pki.template import Template, draft


def template(authority: Authority, key: PrivateKey) -> Template:
    return authority.draft(
        "shop.test", "127.0.0.1", public_key=key.public_key(), profile=Profile.named("server")
    )


@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P256, KeyType.RSA_2048, KeyType.ED25519])
def test_a_good_certificate_is_the_same_octet_for_octet(
    authority: Authority, key_type: KeyType
) -> None:
    key = key_type.generate()
    unsigned = template(authority, key)
    ours = x509.load_der_x509_certificate(forge.sign(unsigned, key))
    theirs = unsigned.signed_by(key)
    assert ours.tbs_certificate_bytes == theirs.tbs_certificate_bytes
    assert ours.signature_algorithm_oid == theirs.signature_algorithm_oid
    if key_type is not KeyType.ECDSA_P256:  # whose signatures are random
        assert ours.public_bytes(Encoding.DER) == theirs.public_bytes(Encoding.DER)


@pytest.mark.parametrize("key_type", [name for name in KEYS if name != "rsa-8192"])
def test_every_type_of_key_signs_itself(key_type: str, tmp_path: Path) -> None:
    """OpenSSL's command line, another OpenSSL, checks the signature."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key = forge.generate(key_type)
    root = draft(
        Profile.named("root"),
        subject=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, key_type)]),
        public_key=key.public_key(),  # type: ignore[arg-type]  # Template takes no ML-DSA by type
        issuer=None,
        now=datetime.now(UTC),
    )
    data = forge.sign(root, key)
    certificate = x509.load_der_x509_certificate(data)
    certificate.verify_directly_issued_by(certificate)
    if key_type.startswith("ml-dsa"):
        return  # OpenSSL learned it with version 3.5
    (tmp_path / "root.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    verify = ["openssl", "verify", "-auth_level", "0", "-check_ss_sig"]
    done = subprocess.run(
        [*verify, "-CAfile", "root.pem", "root.pem"], cwd=tmp_path, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    flipped = x509.load_der_x509_certificate(forge.flipped(data, "signature"))
    (tmp_path / "bad.pem").write_bytes(flipped.public_bytes(Encoding.PEM))
    done = subprocess.run(
        [*verify, "-CAfile", "bad.pem", "bad.pem"], cwd=tmp_path, check=False, capture_output=True
    )
    assert done.returncode != 0


def test_what_cryptography_refuses(authority: Authority) -> None:
    key = KeyType.RSA_2048.generate()
    unsigned = template(authority, key)
    for name in ("md5", "sha1"):
        made = x509.load_der_x509_certificate(forge.sign(unsigned, key, hash_name=name))
        assert made.signature_hash_algorithm is not None
        assert made.signature_hash_algorithm.name == name
    old = x509.load_der_x509_certificate(forge.sign(unsigned, key, version=1))
    assert old.version is x509.Version.v1
    assert len(old.extensions) == 0
    with pytest.raises(UsageError, match="ECDSA and md5"):
        forge.sign(unsigned, KeyType.ECDSA_P256.generate(), hash_name="md5")


def test_tiny_keys_have_the_size_they_say() -> None:
    for _ in range(5):
        key = forge.generate("rsa-512")
        assert key.public_key().key_size == 512  # type: ignore[union-attr]


@given(st.integers(-(2**200), 2**200))
def test_integers_as_cryptography_reads_them(value: int) -> None:
    encoded = der.integer(value)
    assert der.contents(encoded) == value.to_bytes(len(encoded) - 2, signed=True)
    octets = der.contents(encoded)
    if len(octets) > 1:  # the shortest form: the first nine bits are not all alike
        assert octets[0] not in (0, 0xFF) or (octets[0] ^ octets[1]) & 0x80


@given(st.lists(st.binary(max_size=300), max_size=5), st.data())
def test_values_are_taken_apart_again_and_nothing_cut_off_is(
    blobs: list[bytes], data: st.DataObject
) -> None:
    encoded = [der.octet_string(blob) for blob in blobs]
    whole = der.sequence(*encoded)
    assert der.parts(der.contents(whole)) == encoded
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(PKIError):
        der.contents(whole[:cut])
    with pytest.raises(PKIError):
        der.contents(whole + b"\0\0")


@given(st.binary(max_size=60))
def test_any_bytes_are_values_or_refused(data: bytes) -> None:
    try:
        parts = der.parts(data)
    except PKIError:
        return
    assert b"".join(parts) == data


@pytest.mark.parametrize(
    "bad", [b"\x1f\x01\x00", b"\x04\x80", b"\x04\x81\x05hello", b"\x04\x82\0\x80"]
)
def test_what_is_not_der(bad: bytes) -> None:
    with pytest.raises(PKIError):
        der.parts(bad + bytes(200))


@pytest.mark.parametrize("year", [1999, 2049, 2050, 2100])
def test_times_change_their_form_in_2050(year: int) -> None:
    encoded = der.time(datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC))
    assert encoded[0] == (der.UTC_TIME if year < 2050 else der.GENERALIZED_TIME)
    assert encoded.endswith(b"0203040506Z")


@pytest.mark.parametrize(
    "oid", ["2.5.29.17", "1.3.6.1.4.1.11129.2.4.2", "0.9.2342.19200300.100.1.1"]
)
def test_object_identifiers(oid: str) -> None:
    name = x509.Name([x509.NameAttribute(x509.ObjectIdentifier(oid), "x")])
    assert der.object_identifier(oid) in name.public_bytes()
