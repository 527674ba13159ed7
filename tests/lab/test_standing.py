"""The URL of a standing lab is one that reaches it, by a name in its certificate."""

from __future__ import annotations

from pathlib import Path

import pytest

from tlslab.iam import Identities
from tlslab.lab.standing import StandingLab


@pytest.mark.parametrize(
    ("ip", "url"),
    [
        ("127.0.0.1", "https://localhost:8443/"),
        ("0.0.0.0", "https://localhost:8443/"),
        ("127.0.0.2", "https://127.0.0.2:8443/"),  # which localhost is not
        ("192.0.2.7", "https://192.0.2.7:8443/"),
        ("::1", "https://[::1]:8443/"),
        ("::", "https://[::1]:8443/"),
        ("2001:db8::7", "https://[2001:db8::7]:8443/"),
    ],
)
def test_the_url_is_one_that_reaches_it(ip: str, url: str) -> None:
    user = Identities.generate().keys[0]
    lab = StandingLab(Path("ca.pem"), (ip, 8443), Path("state"), "eu-west-2", user)
    assert lab.https_url == url
