"""Signs what no careful library signs: a template as X.509, with everything wrong that is wanted.

cryptography refuses to make certificates with broken hashes, of version 1, with an extension twice
or with an odd serial number. So the certificate is written here octet by octet (RFC 5280 section
4.1); the signature itself is real, by the key that is given. Not for good certificates:
`Template.signed_by` makes those.
"""

from __future__ import annotations

import random
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tlslab.errors import UsageError
from tlslab.pki import der
from tlslab.pki.keys import RSA_PUBLIC_EXPONENT, PrivateKey
from tlslab.pki.template import Template

MLDSAKey: TypeAlias = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
AnyKey: TypeAlias = PrivateKey | MLDSAKey

_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "md5": hashes.MD5(),  # noqa: S303  # broken on purpose: see the module's docstring
    "sha1": hashes.SHA1(),  # noqa: S303
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}

# RFC 8017 appendix A.2 with the parameters NULL; RFC 5758 section 3.2 without parameters.
_RSA: Final = {
    "md5": "1.2.840.113549.1.1.4",
    "sha1": "1.2.840.113549.1.1.5",
    "sha256": "1.2.840.113549.1.1.11",
    "sha384": "1.2.840.113549.1.1.12",
    "sha512": "1.2.840.113549.1.1.13",
}
_ECDSA: Final = {
    "sha1": "1.2.840.10045.4.1",
    "sha256": "1.2.840.10045.4.3.2",
    "sha384": "1.2.840.10045.4.3.3",
    "sha512": "1.2.840.10045.4.3.4",
}
_ED25519: Final = "1.3.101.112"  # RFC 8410 section 3
_ML_DSA: Final = {  # RFC 9881 section 2
    mldsa.MLDSA44PrivateKey: "2.16.840.1.101.3.4.3.17",
    mldsa.MLDSA65PrivateKey: "2.16.840.1.101.3.4.3.18",
    mldsa.MLDSA87PrivateKey: "2.16.840.1.101.3.4.3.19",
}

_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "ecdsa-p192": ec.SECP192R1(),
    "ecdsa-p224": ec.SECP224R1(),
    "ecdsa-p256": ec.SECP256R1(),
    "ecdsa-p384": ec.SECP384R1(),
    "ecdsa-p521": ec.SECP521R1(),
    "ecdsa-secp256k1": ec.SECP256K1(),
}
_ML_DSA_KEYS: Final[dict[str, Any]] = {
    "ml-dsa-44": mldsa.MLDSA44PrivateKey,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey,
}
_SMALLEST_RSA: Final = 1024  # bits; cryptography makes no smaller keys


def generate(key_type: str) -> AnyKey:
    """A fresh key of any type that a recipe may name, too weak ones as well."""
    if key_type in _CURVES:
        return ec.generate_private_key(_CURVES[key_type])
    if key_type in _ML_DSA_KEYS:
        key: MLDSAKey = _ML_DSA_KEYS[key_type].generate()
        return key
    if key_type == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    bits = int(key_type.removeprefix("rsa-"))
    if bits >= _SMALLEST_RSA:
        return rsa.generate_private_key(RSA_PUBLIC_EXPONENT, bits)
    return _tiny_rsa_key(bits)


def sign(
    template: Template, key: AnyKey, *, hash_name: str | None = None, version: int = 3
) -> bytes:
    """The certificate (DER) that says what `template` says, signed with `key`.

    `hash_name` is SHA-256 unless it is given; Ed25519 and ML-DSA have their own. Raises UsageError
    for a hash that the key cannot sign with.
    """
    algorithm = _algorithm(key, hash_name or "sha256")
    tbs = to_be_signed(template, algorithm, version=version)
    return der.sequence(tbs, algorithm, der.bit_string(_signature(key, tbs, hash_name)))


def to_be_signed_by(template: Template, key: AnyKey, *, hash_name: str | None = None) -> bytes:
    """The TBSCertificate (DER, version 3) that `sign` would sign."""
    return to_be_signed(template, _algorithm(key, hash_name or "sha256"), version=3)


def to_be_signed(template: Template, algorithm: bytes, *, version: int) -> bytes:
    """The TBSCertificate (DER) of RFC 5280 section 4.1; version 1 has no extensions."""
    public = template.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    extensions = [
        der.sequence(
            der.object_identifier(extension.oid.dotted_string),
            der.boolean(True) if extension.critical else b"",
            der.octet_string(extension.value.public_bytes()),
        )
        for extension in template.extensions
    ]
    return der.sequence(
        der.tagged(0, der.integer(version - 1)) if version > 1 else b"",
        der.integer(template.serial),
        algorithm,
        template.issuer.public_bytes(),
        der.sequence(der.time(template.not_before), der.time(template.not_after)),
        template.subject.public_bytes(),
        public,
        der.tagged(3, der.sequence(*extensions)) if extensions and version > 1 else b"",
    )


def flipped(certificate: bytes, where: str) -> bytes:
    """The certificate with one bit turned: in its signature, or in the contents under it.

    The bit of the contents is the last of the serial number: it changes no length and no type.
    """
    tbs, algorithm, signature = der.parts(der.contents(certificate))
    if where == "signature":
        return der.sequence(tbs, algorithm, signature[:-1] + bytes((signature[-1] ^ 1,)))
    fields = der.parts(der.contents(tbs))
    serial = next(n for n, part in enumerate(fields) if part[0] == der.INTEGER)
    fields[serial] = fields[serial][:-1] + bytes((fields[serial][-1] ^ 1,))
    return der.sequence(der.sequence(*fields), algorithm, signature)


def _algorithm(key: AnyKey, hash_name: str) -> bytes:
    """The AlgorithmIdentifier of a signature by `key`."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return der.sequence(der.object_identifier(_ED25519))
    if isinstance(key, rsa.RSAPrivateKey):
        return der.sequence(der.object_identifier(_RSA[hash_name]), der.NULL)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        if hash_name not in _ECDSA:
            raise UsageError(
                f"no certificate is signed with ECDSA and {hash_name}",
                hint="the issuer needs an RSA key for that",
            )
        return der.sequence(der.object_identifier(_ECDSA[hash_name]))
    oid = next(oid for kind, oid in _ML_DSA.items() if isinstance(key, kind))
    return der.sequence(der.object_identifier(oid))


def _signature(key: AnyKey, data: bytes, hash_name: str | None) -> bytes:
    algorithm = _HASHES[hash_name or "sha256"]
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), algorithm)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(algorithm))
    return key.sign(data)


def _tiny_rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """An RSA key so small that nobody makes them any more, and that a laptop can factor."""
    while True:
        p, q = _prime(bits // 2), _prime(bits // 2)
        if p == q or (p - 1) % RSA_PUBLIC_EXPONENT == 0 or (q - 1) % RSA_PUBLIC_EXPONENT == 0:
            continue
        d = pow(RSA_PUBLIC_EXPONENT, -1, (p - 1) * (q - 1))
        numbers = rsa.RSAPrivateNumbers(
            p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q),
            rsa.RSAPublicNumbers(RSA_PUBLIC_EXPONENT, p * q),
        )  # fmt: skip
        # OpenSSL's check calls small keys invalid; ours is made right, only small.
        return numbers.private_key(unsafe_skip_rsa_key_validation=True)


_random = random.SystemRandom()
_ROUNDS: Final = 40  # of Miller and Rabin: a composite passes each with a chance of 1/4 at most


def _prime(bits: int) -> int:
    """A random prime whose two top bits are set, so that two of them multiply to full length."""
    while True:
        candidate = _random.getrandbits(bits) | 3 << (bits - 2) | 1
        if all(_maybe_prime(candidate) for _ in range(_ROUNDS)):
            return candidate


def _maybe_prime(number: int) -> bool:
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    power = pow(_random.randrange(2, number - 1), odd, number)
    if power in (1, number - 1):
        return True
    return any((power := power * power % number) == number - 1 for _ in range(twos - 1))
