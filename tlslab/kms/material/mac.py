"""GenerateMac and VerifyMac: HMAC (FIPS 198-1) with the one hash that belongs to the key."""

from __future__ import annotations

import hmac

from tlslab.kms.material.errors import InvalidMac
from tlslab.kms.material.specs import GENERATE_VERIFY_MAC, check_algorithm


def generate_mac(spec: str, material: bytes, algorithm: str, message: bytes) -> bytes:
    """The MAC. Raises InvalidKeyUsage for an algorithm that is not this spec's."""
    check_algorithm(spec, GENERATE_VERIFY_MAC, algorithm)
    return hmac.digest(material, message, "sha" + algorithm[-3:])


def verify_mac(spec: str, material: bytes, algorithm: str, message: bytes, mac: bytes) -> None:
    """Return if the MAC is this key's for this message.

    Raises InvalidMac if it is not, also for one cut short; InvalidKeyUsage as `generate_mac`.
    """
    if not hmac.compare_digest(generate_mac(spec, material, algorithm, message), mac):
        raise InvalidMac
