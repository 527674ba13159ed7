"""Every expectation in the data is measured: a wrong number in a file fails its test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.utils import CryptographyDeprecationWarning

from tlslab.pki import Authority
from tlslab.pki.faults import Fault, Verdict, build, shipped_faults
from tlslab.pki.faults.fault import TAGS
from tlslab.tls import ClientPolicy, Version

FAULTS = shipped_faults()

# Serial numbers that are not positive are a fault here, and cryptography warns of each.
pytestmark = pytest.mark.filterwarnings(
    f"ignore::{CryptographyDeprecationWarning.__module__}.CryptographyDeprecationWarning"
)

# OpenSSL finds no suite of TLS 1.2 for a certificate whose extensions it cannot read.
UNSERVED_IN_TLS_1_2 = {"duplicate-extension", "duplicate-names", "hostile-not-a-name"}

every = pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))


def some(choose: Callable[[Fault], bool]) -> pytest.MarkDecorator:
    chosen = {name: fault for name, fault in FAULTS.items() if choose(fault)}
    assert chosen
    return pytest.mark.parametrize("fault", chosen.values(), ids=list(chosen))


@every
async def test_a_careful_client_of_ours(measured: Any, verifiers: Any, fault: Fault) -> None:
    assert await verifiers.openssl(measured.server(fault)) == fault.expected.openssl


@some(lambda fault: fault.expected.openssl.x509 is not None)
async def test_the_same_in_tls_1_2(measured: Any, verifiers: Any, fault: Fault) -> None:
    server = measured.server(fault)
    policy = ClientPolicy(trust=server.trust, maximum=Version.TLS_1_2)
    found = await verifiers.openssl(server, client=policy)
    if fault.id in UNSERVED_IN_TLS_1_2:
        assert found == Verdict(accepted=False, alert=40, by="server")
    else:
        assert found == fault.expected.openssl


@every
def test_cryptographys_verifier(measured: Any, verifiers: Any, fault: Fault) -> None:
    assert verifiers.cryptographys(measured.server(fault)) == fault.expected.cryptography


@some(lambda fault: fault.expected.openssl.x509 is not None)
async def test_a_careless_client_is_deceived(measured: Any, verifiers: Any, fault: Fault) -> None:
    """The failing twin of every refusal: without verification the same server is believed."""
    server = measured.server(fault)
    careless = ClientPolicy(trust=server.trust, verify_chain=False, verify_name=False)
    verdict = await verifiers.openssl(server, client=careless)
    assert verdict.accepted


@some(lambda fault: fault.recipe.ciphers is not None)
async def test_a_client_without_security_level(measured: Any, verifiers: Any, fault: Fault) -> None:
    """Weak keys and hashes are refused by the level alone: a client that lowered it connects."""
    server = measured.server(fault)
    lax = ClientPolicy(trust=server.trust, ciphers="ALL:@SECLEVEL=0")
    verdict = await verifiers.openssl(server, client=lax)
    assert verdict.accepted or (fault.id == "p192" and verdict.by == "server")


@some(lambda fault: fault.expected.crl is not None)
def test_clients_that_ask_revocation_lists(measured: Any, verifiers: Any, fault: Fault) -> None:
    server = measured.server(fault)
    assert server.crls
    assert verifiers.with_crls(server, all_certificates=False) == fault.expected.crl
    assert verifiers.with_crls(server, all_certificates=True) == fault.expected.crl_all


@some(lambda fault: fault.expected.staple is not None)
def test_stapled_responses(measured: Any, verifiers: Any, fault: Fault, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    assert verifiers.staple(measured.server(fault), tmp_path) == fault.expected.staple


@some(lambda fault: fault.expected.scts is not None)
def test_timestamps(measured: Any, verifiers: Any, fault: Fault) -> None:
    assert verifiers.scts(measured.server(fault)) == fault.expected.scts


@every
def test_what_the_data_says_of_itself_fits(fault: Fault) -> None:
    expected = fault.expected
    assert fault.must_refuse <= (not expected.openssl.accepted), "ours is a careful client"
    if "control" in fault.tags:
        assert not fault.must_refuse
        assert fault.severity == "info"
        assert expected.openssl.accepted
    recipe = fault.recipe
    assert (expected.crl is not None) == (expected.crl_all is not None) == bool(recipe.crls)
    assert (expected.staple is not None) == (recipe.staple is not None)
    assert (expected.scts is not None) == ("transparency" in fault.tags)
    assert (fault.severity == "critical") <= (
        not expected.openssl.accepted or "trust" in fault.tags
    )


async def test_a_wrong_expectation_is_noticed(measured: Any, verifiers: Any) -> None:
    server = measured.server(FAULTS["expired-leaf"])
    found = await verifiers.openssl(server)
    assert found != Verdict(False, 9, 0, 45)
    assert found != Verdict(False, 10, 1, 45)
    assert found != Verdict(False, 10, 0, 42)
    assert found != Verdict(True)


def test_nothing_ever_expires_by_accident(authority: Authority) -> None:
    """Two makings share nothing but the authority: keys and serial numbers are new."""
    for fault in (FAULTS["good"], FAULTS["wrong-host"], FAULTS["untrusted-root"]):
        one, two = build(fault, authority), build(fault, authority)
        assert one.credential.certificate != two.credential.certificate
        assert one.credential.key_pem != two.credential.key_pem


def test_every_group_of_the_catalogue_is_there() -> None:
    ids = {entry for fault in FAULTS.values() for entry in fault.catalogue}
    certificates = {f"A{number:02}" for number in range(1, 34)}
    assert ids >= certificates
    assert ids >= {"B01", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B11"}
    assert ids >= {f"L{number:02}" for number in range(1, 11)}
    assert ids >= {"M01", "M03"}
    assert {tag for fault in FAULTS.values() for tag in fault.tags} == set(TAGS)
    assert len(FAULTS) >= 130
