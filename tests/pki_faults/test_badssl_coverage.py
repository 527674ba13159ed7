"""Every host of badssl.com is shown here, or it is said why not; settings are measured."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import trio
import trio.testing
from OpenSSL import SSL

from tlslab.errors import TLSError, UsageError
from tlslab.pki import Authority, KeyType
from tlslab.pki.faults import shipped_faults
from tlslab.pki.faults.coverage import BadsslHost, Setting, badssl_hosts, load_hosts
from tlslab.tls import (
    ClientPolicy,
    HandshakeFailure,
    RetiredVersion,
    ServerPolicy,
    TLSStream,
    Version,
)

HOSTS = badssl_hosts()

# As badssl.com's repository had them in April 2026.
SIZES = {
    "cert": 38, "cipher-suite": 8, "client": 2, "http": 6, "key-exchange": 7, "known-bad": 6,
    "misc": 2, "mixed": 5, "protocol": 5, "ui": 4, "upgrade": 5,
}  # fmt: skip


def test_no_host_is_missing() -> None:
    assert Counter(host.family for host in HOSTS) == SIZES
    assert len({host.host for host in HOSTS}) == len(HOSTS) == 88


def test_faults_and_hosts_name_each_other() -> None:
    hosts = {host.host: host for host in HOSTS}
    for fault in shipped_faults().values():
        for name in fault.badssl:
            assert hosts[name].fault == fault.id
    for host in HOSTS:
        if host.fault is not None and host.note is None:
            assert host.host in shipped_faults()[host.fault].badssl


def of(version: str) -> Version | RetiredVersion:
    retired = [one for one in RetiredVersion if one.value == version]
    return retired[0] if retired else Version(version)


async def measure(setting: Setting, authority: Authority) -> tuple[bool, int | None]:
    wanted = setting.client_certificate != "none"
    server = ServerPolicy(
        authority.issue("shop.test", key_type=KeyType(setting.key)),
        ciphers=setting.ciphers,
        minimum=of(setting.minimum),
        maximum=of(setting.maximum),
        groups=setting.groups,
        client_trust=authority.trust if wanted else None,
        client_certificate="required" if wanted else "none",
    )
    shown = setting.client_certificate == "shown"
    client = ClientPolicy(
        trust=authority.trust,
        credential=authority.issue("alice.test", profile="client") if shown else None,
    )
    left, right = trio.testing.memory_stream_pair()
    errors: dict[str, TLSError] = {}

    async def run(side: str, stream: TLSStream) -> None:
        try:
            await stream.do_handshake()
            if side == "server":
                await stream.send_all(b"x")
            else:
                assert await stream.receive_some() == b"x"
        except TLSError as error:
            errors[side] = error
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, "client", TLSStream.client(left, client, "shop.test"))
        nursery.start_soon(run, "server", TLSStream.server(right, server))
    error = errors.get("client")
    if error is None:
        return True, None
    assert isinstance(error, HandshakeFailure)
    return False, None if error.alert is None else error.alert.number


@pytest.mark.parametrize(
    "host", [host for host in HOSTS if host.setting], ids=lambda host: host.host
)
async def test_settings_are_as_they_say(authority: Authority, host: BadsslHost) -> None:
    assert host.setting is not None
    assert await measure(host.setting, authority) == (host.setting.accepted, host.setting.alert)


@pytest.mark.parametrize(
    "host", [host for host in HOSTS if host.no_cipher], ids=lambda host: host.host
)
def test_suites_that_are_said_to_lack_do(host: BadsslHost) -> None:
    assert host.no_cipher is not None
    context = SSL.Context(SSL.TLS_METHOD)
    with pytest.raises(SSL.Error):
        context.set_cipher_list(f"{host.no_cipher}:@SECLEVEL=0".encode())
    context.set_cipher_list(b"AES128-SHA:@SECLEVEL=0")  # the twin: a list that it has


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[cert]\nx = { fault = "nope" }', "there is no fault 'nope'"),
        ('[cert]\nx = { fault = "good", reason = "y" }', "exactly one"),
        ("[cert]\nx = {}", "exactly one"),
        ("[cert]\nx = 3", "not a table"),
        ("cert = 3", "not a table"),
        ("[cert]\nx = { setting = { accepted = 1 } }", "accepted cannot be 1"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "hosts.toml").write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_hosts(tmp_path / "hosts.toml")
    assert "hosts.toml" in caught.value.message


def test_reasons_are_told() -> None:
    assert all(host.reason for host in HOSTS if host.fault is None and host.setting is None)
