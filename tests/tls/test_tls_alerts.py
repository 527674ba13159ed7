"""The table of alerts, and the errors that lean on it."""

from __future__ import annotations

import pytest

from tlslab.tls import Alert, explain_alert
from tlslab.tls.alerts import REGISTERED

# RFC 8446 section 6, AlertDescription, and the IANA registry for what came later.
NAMES = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    22: "record_overflow",
    40: "handshake_failure",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    109: "missing_extension",
    110: "unsupported_extension",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
RESERVED_OR_LATER = {21, 30, 41, 52, 60, 100, 111, 114, 117, 121}


def test_every_registered_alert_is_explained() -> None:
    assert set(NAMES) | RESERVED_OR_LATER == REGISTERED
    for number, name in NAMES.items():
        assert Alert(number).name == name
        assert str(Alert(number)) == f"{name} ({number})"
    texts = [explain_alert(number) for number in REGISTERED]
    assert all(text.meaning and text.cause and text.fix for text in texts)
    assert len({text.name for text in texts}) == len(texts)


@pytest.mark.parametrize("number", [1, 99, 255])
def test_an_unregistered_alert_is_not_guessed(number: int) -> None:
    assert number not in REGISTERED
    assert Alert(number).name == f"alert {number}"
    assert "not a registered alert" in Alert(number).explanation.meaning
