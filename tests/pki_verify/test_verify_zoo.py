"""Every fault that can be issued, before the verifier: none that must be refused is accepted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tlslab.pki import Authority
from tlslab.pki.faults import Fault, FaultyServer, build, shipped_faults
from tlslab.pki.verify import DEFAULT, STRICT, Policy, Revocation, Verdict, verify

SLOW_KEYS = ("rsa-3072", "rsa-4096", "rsa-8192")  # seconds to make, and no different from others

FAULTS = {
    identifier: fault
    for identifier, fault in shipped_faults().items()
    if not identifier.endswith(SLOW_KEYS)
}

NOT_IN_THE_CERTIFICATE = {"key-mismatch", "too-many-names"}
"""What only a handshake shows: the proof of the key, and the size of the message."""

MORE_THAN_STRICT_ALLOWS = {
    "good-ed25519": "CABF BR section 6.1.5 knows no Ed25519",
}


@pytest.fixture(scope="module")
def fresh() -> Authority:
    return Authority.create("zoo")


def judge(server: FaultyServer, policy: Policy) -> Verdict:
    return verify(
        server.credential.chain,
        server.name,
        trust=server.trust,
        now=datetime.now(UTC),
        policy=policy,
        crls=server.crls,
        ocsp=server.staple,
        logs=server.logs,
    )


def strict_for(fault: Fault, server: FaultyServer) -> Policy:
    """The strict policy of a client that uses all that it was given."""
    mode = Revocation.NONE
    if server.staple is not None:
        mode = Revocation.SOFT
    if server.crls:
        mode = Revocation.HARD
    scts = 1 if "transparency" in fault.tags else 0
    return replace(STRICT, revocation=mode, scts_required=scts)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_strict_policy(fault: Fault, fresh: Authority) -> None:
    server = build(fault, fresh)
    verdict = judge(server, strict_for(fault, server))
    if fault.id in MORE_THAN_STRICT_ALLOWS:
        assert not verdict.accepted
    elif "control" in fault.tags:
        assert verdict.findings == ()
    elif fault.must_refuse and fault.id not in NOT_IN_THE_CERTIFICATE:
        assert not verdict.accepted


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_default_policy_is_like_a_tls_client(fault: Fault, fresh: Authority) -> None:
    """As measured in handshakes, as far as it is the client that refuses."""
    expected = fault.expected.openssl
    if expected.by != "client" or fault.id in NOT_IN_THE_CERTIFICATE:
        return
    verdict = judge(build(fault, fresh), DEFAULT)
    assert verdict.accepted == expected.accepted
    if verdict.decided_by is not None and verdict.decided_by.number is not None:
        assert (verdict.decided_by.number, verdict.decided_by.depth) == (
            expected.x509,
            expected.depth,
        )
