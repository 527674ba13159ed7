"""HMAC against RFC 4231's vectors."""

from __future__ import annotations

import pytest

from tlslab.kms import material

RFC_4231_CASE_2 = {
    224: "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44",
    256: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    384: "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
    "8e2240ca5e69e2c78b3239ecfab21649",
    512: "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
}
SPECS = [f"HMAC_{bits}" for bits in RFC_4231_CASE_2]


@pytest.mark.parametrize("bits", RFC_4231_CASE_2)
def test_rfc_4231(bits: int) -> None:
    message = b"what do ya want for nothing?"
    mac = material.generate_mac(f"HMAC_{bits}", b"Jefe", f"HMAC_SHA_{bits}", message)
    assert mac.hex() == RFC_4231_CASE_2[bits]


@pytest.mark.parametrize("spec", SPECS)
def test_a_mac_is_for_this_message_and_key_alone(spec: str) -> None:
    key, algorithm = material.generate(spec), "HMAC_SHA_" + spec[-3:]
    mac = material.generate_mac(spec, key, algorithm, b"message")
    material.verify_mac(spec, key, algorithm, b"message", mac)
    for wrong_key, message, wrong in [
        (key, b"message.", mac),
        (key, b"message", bytes([mac[0] ^ 1]) + mac[1:]),
        (key, b"message", mac[:-1]),
        (key, b"message", b""),
        (material.generate(spec), b"message", mac),
    ]:
        with pytest.raises(material.InvalidMac) as caught:
            material.verify_mac(spec, wrong_key, algorithm, message, wrong)
        assert (caught.value.code, caught.value.message) == ("KMSInvalidMacException", "")


def test_the_algorithm_of_another_spec() -> None:
    with pytest.raises(material.InvalidKeyUsage) as caught:
        material.generate_mac("HMAC_224", bytes(28), "HMAC_SHA_256", b"message")
    assert caught.value.message == "Algorithm HMAC_SHA_256 is incompatible with key spec HMAC_224."
    with pytest.raises(material.InvalidKeyUsage):
        material.verify_mac("HMAC_256", bytes(32), "HMAC_SHA_512", b"message", bytes(64))
