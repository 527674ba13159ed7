"""How a client of the lab judges a server beyond what OpenSSL checks.

Revocation (stapled, or fetched over the lab's network from where the certificates point), pins,
logs' timestamps, must-staple: what is asked is data, and `tlslab.pki.verify` decides. Where there
is no CA to go by, a client may remember keys instead. A refusal comes while the handshake waits.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias, TypedDict
from urllib.parse import quote

import trio
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from tlslab.errors import TlslabError, UsageError
from tlslab.lab.client import Client
from tlslab.pki import Explanation, TrustStore
from tlslab.pki.credential import Chain
from tlslab.pki.revocation import CertID, make_ocsp_request
from tlslab.pki.sct import LogKey
from tlslab.pki.verify import POLICIES, Policy, Revocation, pin_of, pinned, verify
from tlslab.pki.verify.status.answer import Standing
from tlslab.pki.verify.status.crl import Subject
from tlslab.pki.verify.status.ocsp import ocsp_answer
from tlslab.tls import Objection, Shown
from tlslab.tls.judgement import APPLICATION_VERIFICATION

FETCH_SECONDS: Final = 2.0
"""How long a client waits for one list or answer; nobody waits longer for a page to begin."""

Source: TypeAlias = Literal["staple", "ocsp", "crl"]
"""Where to look for the leaf's revocation: in this order, until something is found."""

SOURCES: Final[tuple[Source, ...]] = ("staple", "ocsp", "crl")

# Findings of `tlslab.pki.verify` that are about the OCSP response if there was one.
_STAPLE_MISSING: Final = "staple-missing"
_REVOKED: Final = "certificate-revoked"
_OCSP: Final = "ocsp-"


class Checks(TypedDict, total=False):
    """What a client may ask for beyond OpenSSL's checks; without any of it, nothing more.

    `policy` is one of `tlslab.pki.verify`, or its name (`"default"`, `"strict"`, `"public"`).
    `revocation` is `"none"`, `"soft"` or `"hard"`, and `sources` where to look for the leaf's; that
    of intermediates is always looked for in lists, unless `whole_chain` is false.
    `must_staple` enforces that where the certificate says so (RFC 7633). The key of one of the
    certificates in `pins` has to be in the chain. `scts` timestamps have to be in the certificate,
    by `logs` that the client knows. `crls` are revocation lists that it has already.
    """

    policy: str | Policy
    revocation: Literal["none", "soft", "hard"]
    sources: Sequence[Source]
    whole_chain: bool
    must_staple: bool
    pins: Iterable[x509.Certificate]
    scts: int
    logs: Mapping[bytes, LogKey]
    crls: Sequence[bytes]


def judged(client: Client, checks: Checks) -> None:
    """Have `client` judge servers by `checks` from now on, and ask for a staple where one counts.

    Raises UsageError for a policy that there is not, or a pin without a backup.
    """
    unknown = checks.keys() - Checks.__annotations__.keys()
    if unknown:
        raise TypeError(f"a client has no option {', '.join(sorted(unknown))}")
    if not checks:
        return
    if client.policy.judge is not None:
        raise TypeError("a client that goes by first use checks nothing else")
    policy = _policy(checks)
    if not client.policy.verify_name:
        policy = replace(policy, check_name=False)
    sources = tuple(checks.get("sources", SOURCES))
    judge = CertificateJudge(
        client,
        policy,
        sources,
        whole_chain=checks.get("whole_chain", True),
        crls=tuple(checks.get("crls", ())),
        logs=checks.get("logs", {}),
    )
    looks = policy.revocation is not Revocation.NONE and "staple" in sources
    client.policy = replace(client.policy, judge=judge, ask_status=looks or policy.must_staple)


def _policy(checks: Checks) -> Policy:
    base = checks.get("policy", "default")
    if isinstance(base, str):
        if base not in POLICIES:
            raise UsageError(
                f"there is no verification policy {base!r}", hint=f"one of {', '.join(POLICIES)}"
            )
        base = POLICIES[base]
    policy = replace(
        base,
        revocation=Revocation(checks.get("revocation", base.revocation.value)),
        must_staple=checks.get("must_staple", base.must_staple),
        scts_required=checks.get("scts", base.scts_required),
    )
    pins = [pin_of(certificate) for certificate in checks.get("pins", ())]
    return pinned(policy, pins) if pins else policy


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, eq=False)
class CertificateJudge:
    """Judges by a policy of `tlslab.pki.verify`, with what `client` can find out.

    `clock` tells the time (aware) whenever it is asked.
    """

    client: Client
    policy: Policy
    sources: tuple[Source, ...]
    whole_chain: bool = True
    crls: tuple[bytes, ...] = ()
    logs: Mapping[bytes, LogKey] = field(default_factory=dict)
    clock: Callable[[], datetime] = _now

    async def __call__(self, shown: Shown) -> None:
        """Raise Objection unless the policy accepts what was shown."""
        response: bytes | None = shown.staple
        crls: list[bytes] = []
        if self.policy.revocation is not Revocation.NONE:
            response, crls = await self._find_out(shown)
        verdict = verify(
            shown.chain,
            shown.server_name if self.policy.check_name else None,
            trust=self.client.policy.trust or TrustStore(),
            now=self.clock(),  # and no earlier, or what was fetched may be from the future
            policy=self.policy,
            crls=crls,
            ocsp=response,
            logs=self.logs,
        )
        name = self.client.name
        for passed_over in verdict.notes:
            text = f"{name} goes on in spite of: {passed_over.explanation.name}"
            self.client.journal.message(name, name, text, "note")
        found = verdict.decided_by
        if found is None:
            return
        stapled = response is not None and response == shown.staple and found.depth == 0
        raise Objection(
            found.detail if found.number else f"{found.explanation.name}: {found.detail}",
            x509_number=found.number or APPLICATION_VERIFICATION,
            depth=found.depth or 0,
            by_staple=found.check == _STAPLE_MISSING
            or (stapled and (found.check == _REVOKED or found.check.startswith(_OCSP))),
            explanation=found.explanation,
        )

    async def _find_out(self, shown: Shown) -> tuple[bytes | None, list[bytes]]:
        """An OCSP response about the leaf, and revocation lists about what that leaves open.

        A worthless staple does not keep the client from asking; but where only a staple will do, it
        is not replaced by what was asked for.
        """
        only_staple = self.policy.must_staple and _demands_staple(shown.chain)
        response = shown.staple if only_staple or "staple" in self.sources else None
        if "ocsp" in self.sources and not only_staple and not self._settled(response, shown.chain):
            response = await self._ask(shown.chain) or response
        asked: list[x509.Certificate] = []
        if "crl" in self.sources and not self._settled(response, shown.chain):
            asked += shown.chain[:1]
        if self.whole_chain and {"ocsp", "crl"} & set(self.sources):
            asked += shown.chain[1:]
        crls = [await self._fetch(url) for one in asked for url in _list_urls(one)]
        return response, [*self.crls, *(crl for crl in crls if crl is not None)]

    def _settled(self, response: bytes | None, chain: Chain) -> bool:
        """Whether an OCSP response proves anything about the leaf, good or bad."""
        if response is None or len(chain) < 2:
            return False
        answer = ocsp_answer(Subject(chain, 0, chain[1:], self.clock()), response)
        return answer.standing is not Standing.UNKNOWN

    async def _ask(self, chain: Chain) -> bytes | None:
        """Ask the responder that the leaf names, by GET (RFC 6960 appendix A.1)."""
        if len(chain) < 2:
            return None
        certificate, issuer = chain[:2]
        question = base64.b64encode(make_ocsp_request(CertID.of(certificate, issuer)))
        for url in _responder_urls(certificate):
            answer = await self._fetch(f"{url.rstrip('/')}/{quote(question, safe='')}")
            if answer is not None:
                return answer
        return None

    async def _fetch(self, url: str) -> bytes | None:
        """What is found at a URL; None if nothing is, or not in time."""
        with trio.move_on_after(FETCH_SECONDS):
            try:
                answer = await self.client.get(url)
            except (TlslabError, trio.BrokenResourceError):
                return None
            return answer.body if answer.status == 200 else None
        return None


_CHANGED_KEY: Final = Explanation(
    "changed key",
    "The server proves itself with another key than when it was first met.",
    "Somebody stands in the middle, or the server has a new key.",
    "Find out by another channel which; only then forget the old key.",
)


@dataclass(eq=False)
class FirstUse:
    """Judges by memory: whoever came first under a name is believed ever after (TOFU).

    As SSH does it. `known` are the keys remembered, by name.
    """

    known: dict[str, bytes] = field(default_factory=dict)

    async def __call__(self, shown: Shown) -> None:
        """Raise Objection if the key is another than the first one."""
        pin = pin_of(shown.chain[0]) if shown.chain else b""
        if not pin or self.known.setdefault(shown.server_name, pin) != pin:
            raise Objection(
                f"{shown.server_name} has another key than at first", explanation=_CHANGED_KEY
            )


def _demands_staple(chain: Chain) -> bool:
    try:
        feature = chain[0].extensions.get_extension_for_class(x509.TLSFeature).value
    except (IndexError, x509.ExtensionNotFound, ValueError):
        return False
    return x509.TLSFeatureType.status_request in feature


def _list_urls(certificate: x509.Certificate) -> list[str]:
    """Where a certificate's revocation list is (RFC 5280 section 4.2.1.13); HTTP only."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return _http(name for point in points for name in point.full_name or ())


def _responder_urls(certificate: x509.Certificate) -> list[str]:
    """Where a certificate's OCSP responder is (RFC 5280 section 4.2.2.1); HTTP only."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
    except (x509.ExtensionNotFound, ValueError):
        return []
    return _http(
        description.access_location
        for description in access.value
        if description.access_method == AuthorityInformationAccessOID.OCSP
    )


def _http(names: Iterable[x509.GeneralName]) -> list[str]:
    return [
        name.value
        for name in names
        if isinstance(name, x509.UniformResourceIdentifier) and name.value.startswith("http://")
    ]
