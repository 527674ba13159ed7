"""Two verifiers, asked the same question: OpenSSL, and `cryptography.x509.verification`.

OpenSSL's numbers are those of <openssl/x509_vfy.h>; cryptography has texts only. What pyOpenSSL
does not hand out (purpose, host, address) is probed at import, so that an update which takes it
away is noticed by name. Knows nothing of policies.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto
from OpenSSL._util import ffi as _ffi
from OpenSSL._util import lib as _openssl

from tlslab.pki.credential import Chain
from tlslab.pki.names import SubjectName
from tlslab.pki.verify.checks.base import Purpose
from tlslab.pki.verify.malformed import MALFORMED
from tlslab.pki.verify.verdict import Opinion, shown

OPENSSL: Final = "openssl"
CRYPTOGRAPHY: Final = "cryptography"

# <openssl/x509v3.h>: NO_PARTIAL_WILDCARDS refuses f*.shop.test, NEVER_CHECK_SUBJECT a common name
# in place of a SAN (RFC 9525 section 6.3).
_HOST_FLAGS: Final = 0x4 | 0x20

_MAX_SENT: Final = 64
"""Intermediates that cryptography is given: it takes time for each that does not fit."""

_FUNCTIONS: Final = (
    "X509_STORE_set1_param",
    "X509_STORE_set_purpose",
    "X509_VERIFY_PARAM_free",
    "X509_VERIFY_PARAM_new",
    "X509_VERIFY_PARAM_set1_host",
    "X509_VERIFY_PARAM_set1_ip",
    "X509_VERIFY_PARAM_set_hostflags",
    "X509_VERIFY_PARAM_set_time",
)

_missing = [name for name in _FUNCTIONS if not hasattr(_openssl, name)]
if _missing or not hasattr(crypto.X509Store(), "_store"):
    raise ImportError(
        f"this version of pyOpenSSL or cryptography lacks {', '.join(_missing) or '_store'}; "
        "install pyOpenSSL 26.4 and cryptography 50, which tlslab was tested with"
    )
_lib: Any = _openssl


@dataclass(frozen=True)
class Question:
    """What a verifier is asked. `name` is None if it is not to be checked."""

    leaf: x509.Certificate
    intermediates: Chain
    anchors: Chain
    name: SubjectName | None
    now: datetime
    purpose: Purpose
    partial_chain: bool
    max_intermediates: int


def ask_openssl(question: Question) -> Opinion:
    """OpenSSL's opinion, with its first objection."""
    try:
        context = crypto.X509StoreContext(
            _store(question),
            crypto.X509.from_cryptography(question.leaf),
            [crypto.X509.from_cryptography(sent) for sent in question.intermediates],
        )
        chain = context.get_verified_chain()
        path = tuple(certificate.to_cryptography() for certificate in chain)
    except crypto.X509StoreContextError as error:
        number, depth, text = error.errors
        return Opinion(OPENSSL, False, number, depth, shown(text))
    except (crypto.Error, *MALFORMED) as error:
        return Opinion(OPENSSL, False, None, None, shown(f"cannot read it ({error})"))
    return Opinion(OPENSSL, True, 0, None, "ok", path)


def _store(question: Question) -> crypto.X509Store:
    store = crypto.X509Store()
    for anchor in question.anchors:
        store.add_cert(crypto.X509.from_cryptography(anchor))
    if question.partial_chain:
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    parameters = _ffi.gc(_lib.X509_VERIFY_PARAM_new(), _lib.X509_VERIFY_PARAM_free)
    # Whole seconds, rounded down: RFC 5280 section 4.1.2.5 knows no fractions.
    _lib.X509_VERIFY_PARAM_set_time(parameters, int(question.now.timestamp() // 1))
    _lib.X509_VERIFY_PARAM_set_hostflags(parameters, _HOST_FLAGS)
    set_ = True
    if isinstance(question.name, x509.DNSName):
        host = question.name.value.encode("ascii")
        set_ = _lib.X509_VERIFY_PARAM_set1_host(parameters, host, len(host))
    elif question.name is not None:
        address = question.name.value
        assert isinstance(address, (ipaddress.IPv4Address, ipaddress.IPv6Address))
        packed = address.packed
        set_ = _lib.X509_VERIFY_PARAM_set1_ip(parameters, packed, len(packed))
    purpose = {
        Purpose.SERVER: _lib.X509_PURPOSE_SSL_SERVER,
        Purpose.CLIENT: _lib.X509_PURPOSE_SSL_CLIENT,
    }[question.purpose]
    if not (
        set_
        and _lib.X509_STORE_set1_param(store._store, parameters)
        and _lib.X509_STORE_set_purpose(store._store, purpose)
    ):
        raise MemoryError("OpenSSL did not take the verification's parameters")
    return store


def ask_cryptography(question: Question) -> Opinion:
    """The opinion of cryptography's verifier, which follows the Web PKI's profile.

    A CA without key usage is let pass, as RFC 5280 section 6.1.4(n) has it. Without a name to
    check, the client verifier is asked, which takes any, with the purpose that is wanted.
    """
    sent = list(question.intermediates[:_MAX_SENT])
    try:
        builder = (
            verification.PolicyBuilder()
            .store(verification.Store(list(question.anchors)))
            .time(question.now)
            .max_chain_depth(question.max_intermediates)
            .extension_policies(ca_policy=_ca_policy(), ee_policy=_leaf_policy(question.purpose))
        )
        if question.name is None or question.purpose is Purpose.CLIENT:
            path: Sequence[x509.Certificate] = (
                builder.build_client_verifier().verify(question.leaf, sent).chain
            )
        else:
            path = builder.build_server_verifier(question.name).verify(question.leaf, sent)
    except verification.VerificationError as error:
        return Opinion(CRYPTOGRAPHY, False, None, None, shown(error))
    except MALFORMED as error:
        return Opinion(CRYPTOGRAPHY, False, None, None, shown(f"cannot read it ({error})"))
    return Opinion(CRYPTOGRAPHY, True, None, None, "ok", tuple(path))


def _ca_policy() -> verification.ExtensionPolicy:
    def signs(_: object, __: object, usage: x509.KeyUsage | None) -> None:
        if usage is not None and not usage.key_cert_sign:
            raise ValueError("keyUsage does not have keyCertSign")

    return verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(
        x509.KeyUsage, verification.Criticality.AGNOSTIC, signs
    )


def _leaf_policy(purpose: Purpose) -> verification.ExtensionPolicy:
    wanted = {
        Purpose.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
        Purpose.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
    }[purpose]

    def serves(_: object, __: object, usage: x509.ExtendedKeyUsage | None) -> None:
        if usage is not None and wanted not in usage:
            raise ValueError(f"extendedKeyUsage does not have {purpose.value} authentication")

    return verification.ExtensionPolicy.webpki_defaults_ee().may_be_present(
        x509.ExtendedKeyUsage, verification.Criticality.NON_CRITICAL, serves
    )
