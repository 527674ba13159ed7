"""The CA's services in a lab, asked by real clients; and the lab's own clients asking them."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography import x509
from cryptography.x509 import ocsp

from tlslab.errors import TlslabError, UsageError
from tlslab.lab import Lab, judge, open_lab
from tlslab.lab.ca_services import CAService
from tlslab.pki.credential import to_pem
from tlslab.pki.revocation import (
    CertID,
    OCSPRefusal,
    Revocations,
    Signer,
    make_ocsp_refusal,
    make_ocsp_request,
)
from tlslab.tls import CertificateRefused, Objection, Shown

SOURCES = pytest.mark.parametrize("source", ["staple", "ocsp", "crl"])


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path, "lab") as lab:
        yield lab


def port(lab: Lab, host: str) -> int:
    for party in lab.parties:
        if isinstance(party, CAService) and party.name == host and party.address:
            return party.address[1]
    raise AssertionError(host)


async def output(*command: str) -> bytes:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = await trio.run_process(
        command, capture_stdout=True, stderr=subprocess.STDOUT, check=False
    )
    return bytes(done.stdout)


async def test_openssl_ocsp_asks_our_responder(lab: Lab, tmp_path: Path) -> None:
    ca = await lab.ca_services()
    good, bad = lab.ca.issue("good.test"), lab.ca.issue("bad.test")
    ca.revoke(bad.certificate)
    files = {"root": lab.ca.root_pem, "issuer": to_pem((lab.ca.intermediate,))}
    files |= {"good": good.certificate_pem, "bad": bad.certificate_pem}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    url = f"http://127.0.0.1:{port(lab, 'ocsp.tlslab.test')}"
    said = await output(
        "openssl", "ocsp", "-url", url, "-CAfile", str(tmp_path / "root"),
        "-issuer", str(tmp_path / "issuer"), "-verify_other", str(tmp_path / "issuer"),
        "-cert", str(tmp_path / "good"),
    )  # fmt: skip
    assert b"Response verify OK" in said
    assert b"good: good" in said
    said = await output(
        "openssl", "ocsp", "-url", url, "-CAfile", str(tmp_path / "root"),
        "-issuer", str(tmp_path / "issuer"), "-verify_other", str(tmp_path / "issuer"),
        "-cert", str(tmp_path / "bad"),
    )  # fmt: skip
    assert b"Response verify OK" in said
    assert b"bad: revoked" in said
    assert b"keyCompromise" in said


async def test_curl_fetches_a_list_that_openssl_goes_by(
    lab: Lab, tmp_path: Path, crl_check: Callable[..., int]
) -> None:
    ca = await lab.ca_services()
    leaf = lab.ca.issue("bad.test")
    ca.revoke(leaf.certificate)
    url = f"http://127.0.0.1:{port(lab, 'crl.tlslab.test')}/intermediate.crl"
    await output("curl", "-sSf", "-o", str(tmp_path / "list"), url)
    world = type("World", (), {"authority": lab.ca})
    assert crl_check(world, leaf, (tmp_path / "list").read_bytes()) == 23
    assert crl_check(world, lab.ca.issue("good.test"), (tmp_path / "list").read_bytes()) == 0


async def test_what_the_services_serve(lab: Lab) -> None:
    await lab.ca_services()
    client = lab.client()
    root = await client.get("http://ca.tlslab.test/root.crt")
    assert x509.load_der_x509_certificate(root.body) == lab.ca.root
    assert (b"content-type", b"application/pkix-cert") in root.headers
    made = await client.get("http://crl.tlslab.test/root.crl")
    assert x509.load_der_x509_crl(made.body).issuer == lab.ca.root.subject
    for url in ("http://crl.tlslab.test/", "http://ca.tlslab.test/root.key"):
        assert (await client.get(url)).status == 404
    refusal = await client.get("http://ocsp.tlslab.test/%%%")
    assert refusal.body == make_ocsp_refusal(OCSPRefusal.MALFORMED)
    about = CertID.of(lab.ca.intermediate, lab.ca.root)
    posted = await client.post("http://ocsp.tlslab.test/", make_ocsp_request(about))
    answer = ocsp.load_der_ocsp_response(posted.body)
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD


@SOURCES
async def test_a_hard_fail_client_lets_the_genuine_server_through(lab: Lab, source: Any) -> None:
    """Or every refusal elsewhere would prove nothing."""
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    shop.staple(ca.staple(shop) if source == "staple" else None)
    wanted = [source, "crl"] if source == "staple" else [source]
    client = lab.client(revocation="hard", sources=wanted)
    assert (await client.get(shop.url())).status == 200


@SOURCES
async def test_revoked_is_revoked_from_every_source(lab: Lab, source: Any) -> None:
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    ca.revoke(shop)
    shop.staple(ca.staple(shop) if source == "staple" else None)
    client = lab.client(revocation="soft", sources=[source])
    with pytest.raises(CertificateRefused) as caught:
        await client.get(shop.url())
    assert caught.value.alert is not None
    assert caught.value.x509_number == 23
    assert caught.value.alert.number == (113 if source == "staple" else 44)


async def test_a_good_staple_spares_the_question(lab: Lab) -> None:
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    shop.staple(ca.staple(shop))
    await lab.client(revocation="soft").get(shop.url())
    asked = [message.target for message in lab.journal.messages if message.kind == "http"]
    assert "ocsp.tlslab.test" not in asked
    assert "crl.tlslab.test" in asked  # the intermediate's list


async def test_a_silent_responder_costs_no_more_than_the_deadline(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "FETCH_SECONDS", 0.05)
    shop = await lab.server("shop.test")
    listener = await lab.network.host("ocsp.tlslab.test").listen(80)

    async def silent(connection: trio.abc.Stream) -> None:
        async with connection:
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, silent, [listener])
        soft = lab.client("soft", revocation="soft", sources=["ocsp"])
        hard = lab.client("hard", revocation="hard", sources=["ocsp"])
        assert (await soft.get(shop.url())).status == 200
        with pytest.raises(CertificateRefused):
            await hard.get(shop.url())
        nursery.cancel_scope.cancel()


async def test_without_services_the_urls_lead_nowhere(lab: Lab) -> None:
    shop = await lab.server("shop.test")
    assert (await lab.client("soft", revocation="soft").get(shop.url())).status == 200
    with pytest.raises(CertificateRefused):
        await lab.client("hard", revocation="hard").get(shop.url())


async def test_must_staple_is_not_satisfied_by_a_response_that_was_fetched(lab: Lab) -> None:
    ca = await lab.ca_services()
    shop = await lab.server("shop.test", must_staple=True)
    client = lab.client(revocation="soft", must_staple=True)
    with pytest.raises(CertificateRefused) as caught:
        await client.get(shop.url())
    assert caught.value.alert is not None
    assert caught.value.alert.number == 113
    shop.staple(ca.staple(shop))
    assert (await client.get(shop.url())).status == 200
    by_list = lab.client("other", revocation="soft", must_staple=True, sources=["crl"])
    assert (await by_list.get(shop.url())).status == 200


async def test_published_lists_stay_as_they_are(lab: Lab) -> None:
    ca = await lab.ca_services()
    shop = await lab.server("shop.test")
    ca.publish(age=timedelta(days=1))
    ca.revoke(shop)
    client = lab.client(revocation="hard", sources=["crl"])
    assert (await client.get(shop.url())).status == 200
    ca.publish()
    with pytest.raises(CertificateRefused):
        await client.get(shop.url())


async def test_a_client_with_an_unknown_option_or_policy_is_told(lab: Lab) -> None:
    with pytest.raises(TypeError, match="revokation"):
        lab.client(revokation="soft")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="first use"):
        lab.client(first_use=True, revocation="soft")
    with pytest.raises(UsageError):
        lab.client(policy="lenient")
    with pytest.raises(UsageError):  # a pin without a backup
        lab.client(pins=[lab.ca.intermediate])


async def test_first_use_needs_a_key_it_can_read(lab: Lab) -> None:
    memory = judge.FirstUse()
    with pytest.raises(Objection):
        await memory(Shown("shop.test", (), None))
    leaf = lab.ca.issue("shop.test").certificate
    await memory(Shown("shop.test", (leaf,), None))
    await memory(Shown("shop.test", (leaf,), None))
    await memory(Shown("other.test", (lab.ca.root,), None))
    with pytest.raises(Objection):
        await memory(Shown("shop.test", (lab.ca.root,), None))


async def test_a_trusted_store_of_the_environment_is_read_when_the_client_starts(
    lab: Lab, tmp_path: Path
) -> None:
    store = tmp_path / "roots.pem"
    store.write_bytes(lab.ca.root_pem)
    shop = await lab.server("shop.test")
    client = lab.client(system_store=True, environment={"SSL_CERT_FILE": str(store)})
    assert os.environ.get("SSL_CERT_FILE") != str(store)
    assert (await client.get(shop.url())).status == 200
    with pytest.raises(TlslabError):
        await lab.client("other", system_store=True).get(shop.url())


async def test_a_list_of_this_very_moment_is_not_from_the_future(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is made while the client waits for it, maybe in the next second."""
    shop = await lab.server("shop.test")
    client = lab.client(revocation="hard", sources=["crl"])
    seconds = itertools.count()
    start = datetime.now(UTC)

    def clock() -> datetime:
        return start + timedelta(seconds=next(seconds))

    async def fetch(_: judge.CertificateJudge, url: str) -> bytes | None:
        which: Signer = "root" if "root" in url else "intermediate"
        return Revocations(lab.ca).crl(which, now=clock())

    monkeypatch.setattr(judge.CertificateJudge, "_fetch", fetch)
    assert isinstance(client.policy.judge, judge.CertificateJudge)
    client.policy = replace(client.policy, judge=replace(client.policy.judge, clock=clock))
    assert (await client.get(shop.url())).status == 200
    assert next(seconds) == 3  # two lists, and a verdict after both
