"""The strict policy measured on x509-limbo: every case that it gets wrong is named, with why.

A case that is got wrong and is not named fails the test, and so does one that is named and is right
by now.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.utils import CryptographyDeprecationWarning

from tlslab.errors import PKIError, UsageError
from tlslab.pki import TrustStore
from tlslab.pki.verify import STRICT, Purpose, Revocation, Verdict, verify

CASES = Path(__file__).parents[3] / "shared" / "data" / "x509-limbo-core.json"

FALSE_ACCEPTS = {
    "rfc5280::nc::permitted-dns-match-noncritical": "CABF BR 7.1.2.5.2 allows name constraints that"
    " are not critical, and webpki::nc::permitted-dns-match-noncritical wants them accepted",
    "webpki::cn::not-in-san": "issuance rule, left to the policy `public`: clients do not read"
    " common names, and 13 cases that are to be accepted break it",
    "webpki::cn::punycode-not-in-san": "as not-in-san",
    "webpki::cn::utf8-vs-punycode-mismatch": "as not-in-san: the two are different names",
    "webpki::san::public-suffix-multi-label-wildcard-san": "no list of public suffixes is kept",
    "webpki::san::public-suffix-private-namespace-wildcard-san": "no list of public suffixes",
}

FALSE_REJECTS = {
    "cve::cve-2024-0567": "its anchor is cross-signed and has no authority key identifier, which"
    " rfc5280::aki::cross-signed-root-missing-aki wants refused",
    "pathlen::validation-ignores-pathlen-in-leaf": "a CA as a server's leaf: CABF BR 7.1.2.7.8",
    "rfc5280::ca-as-leaf": "webpki::ca-as-leaf wants the same refused: CABF BR 7.1.2.7.8",
    "rfc5280::eku::ee-without-eku": "webpki::eku::ee-without-eku wants the same refused",
}

GOAL_FALSE_ACCEPTS, GOAL_FALSE_REJECTS = 20, 10


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    if not CASES.is_file():
        pytest.skip("x509-limbo-core.json is not there")
    loaded: list[dict[str, Any]] = json.loads(CASES.read_text())["testcases"]
    return loaded


@pytest.fixture(scope="module")
def verdicts(cases: list[dict[str, Any]]) -> dict[str, Verdict | None]:
    """By case; None where the trust store itself cannot be read."""
    return {case["id"]: judge(case) for case in cases}


def judge(case: dict[str, Any]) -> Verdict | None:
    name, depth, time = (
        case[key] for key in ("expected_peer_name", "max_chain_depth", "validation_time")
    )
    policy = replace(
        STRICT,
        purpose=Purpose(case["validation_kind"].lower()),
        check_name=name is not None,
        revocation=Revocation.HARD if case["crls"] else Revocation.NONE,
        max_intermediates=STRICT.max_intermediates if depth is None else depth,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            trust = TrustStore.from_pem("".join(case["trusted_certs"]).encode())
        except PKIError:
            return None
    chain = [case["peer_certificate"], *case["untrusted_intermediates"]]
    try:
        return verify(
            [pem.encode() for pem in chain],
            None if name is None else name["value"],
            trust=trust,
            now=datetime.now(UTC) if time is None else datetime.fromisoformat(time),
            policy=policy,
            crls=[crl.encode() for crl in case["crls"] or ()],
        )
    except UsageError as error:  # a name that no host has; it must not be what decides
        raise AssertionError(case["id"]) from error


def wrong(cases: list[dict[str, Any]], accepted: dict[str, bool]) -> tuple[set[str], set[str]]:
    """False accepts and false rejects."""
    success = {case["id"]: case["expected_result"] == "SUCCESS" for case in cases}
    return (
        {case for case, good in success.items() if accepted[case] and not good},
        {case for case, good in success.items() if good and not accepted[case]},
    )


def test_what_is_wrong_is_known(
    cases: list[dict[str, Any]], verdicts: dict[str, Verdict | None]
) -> None:
    assert len(cases) == len(verdicts) == 208
    accepted = {
        case: verdict is not None and verdict.accepted for case, verdict in verdicts.items()
    }
    assert wrong(cases, accepted) == (set(FALSE_ACCEPTS), set(FALSE_REJECTS))
    assert len(FALSE_ACCEPTS) <= GOAL_FALSE_ACCEPTS
    assert len(FALSE_REJECTS) <= GOAL_FALSE_REJECTS


def test_every_case_of_revocation_is_right(cases: list[dict[str, Any]]) -> None:
    revocation = {case["id"] for case in cases if case["crls"]}
    assert len(revocation) == 8
    assert not revocation & (FALSE_ACCEPTS.keys() | FALSE_REJECTS.keys())


def test_every_refusal_is_explained(verdicts: dict[str, Verdict | None]) -> None:
    for case, verdict in verdicts.items():
        for finding in verdict.findings if verdict is not None else ():
            assert finding.rule, case
            assert finding.explanation.fix, case
            assert (finding.check + finding.detail).isprintable(), case


@pytest.mark.parametrize("verifier", ["openssl", "cryptography"])
def test_no_verifier_is_as_good_alone(
    cases: list[dict[str, Any]], verdicts: dict[str, Verdict | None], verifier: str
) -> None:
    accepted = {
        case: verdict is not None and bool(verdict.opinions) and verdict.opinion(verifier).accepted
        for case, verdict in verdicts.items()
    }
    false_accepts, _ = wrong(cases, accepted)
    assert len(false_accepts) > GOAL_FALSE_ACCEPTS > len(FALSE_ACCEPTS)
