"""The verification itself: read, ask both verifiers, find the paths, judge the best one."""

from __future__ import annotations

import hashlib
import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tlslab.errors import PKIError, UsageError
from tlslab.pki.credential import Chain, public_key_of
from tlslab.pki.names import SubjectName, name_text
from tlslab.pki.sct import LogKey, embedded_scts, sct_verdicts
from tlslab.pki.trust import TrustStore
from tlslab.pki.verify.checks.base import Link, Purpose
from tlslab.pki.verify.findings import general, objection
from tlslab.pki.verify.malformed import MALFORMED
from tlslab.pki.verify.material import CRL, Sent, read_chain, read_crls
from tlslab.pki.verify.opinions import (
    CRYPTOGRAPHY,
    OPENSSL,
    Question,
    ask_cryptography,
    ask_openssl,
)
from tlslab.pki.verify.paths import PathSearch, is_self_issued
from tlslab.pki.verify.policy import DEFAULT, Policy, Revocation
from tlslab.pki.verify.reference import Name, reference_name
from tlslab.pki.verify.status.answer import Answer, Standing, unknown
from tlslab.pki.verify.status.crl import Subject, crl_answer
from tlslab.pki.verify.status.ocsp import ocsp_answer
from tlslab.pki.verify.verdict import Finding, Opinion, Verdict

MAX_FINDINGS: Final = 100  # of one path; a certificate may have 10,000 malformed names

_NO_LOGS: Final[Mapping[bytes, LogKey]] = MappingProxyType({})

_ASK: Final = {OPENSSL: ask_openssl, CRYPTOGRAPHY: ask_cryptography}


def verify(
    chain: Sent,
    name: Name | None,
    *,
    trust: TrustStore,
    now: datetime,
    policy: Policy = DEFAULT,
    crls: Iterable[CRL] = (),
    ocsp: bytes | None = None,
    logs: Mapping[bytes, LogKey] = _NO_LOGS,
) -> Verdict:
    """Whether `policy` accepts `chain` for `name` at `now` (aware), and why not.

    `chain` is what a peer sends, leaf first: PEM, or certificates as bytes or parsed; in whatever
    order the others come. It is untrusted, as are `crls` (DER or PEM) and `ocsp` (a stapled
    response, DER): what is wrong with them is in the verdict. `name` is the host's, or an IP
    address; it may be None only where the policy does not look at names or the leaf is a client's.
    `logs` are the certificate transparency logs that the client knows, keys by `log_id`. Nothing
    is fetched. Raises UsageError if `name` is no name or missing, ValueError if `now` is not aware.
    """
    if now.tzinfo is None:
        raise ValueError("`now` must be aware: give it a time zone")
    expected = None
    if policy.check_name and policy.purpose is Purpose.SERVER:
        if name is None:
            raise UsageError(
                "a certificate without the name that is expected proves nothing",
                hint="say which host the chain is from",
            )
        expected = reference_name(name)
    with warnings.catch_warnings():
        # Odd certificates are what this is for: each oddity is a finding, not a warning.
        warnings.simplefilter("ignore")
        read = read_chain(chain)
        if isinstance(read, Finding):
            return Verdict(policy.name, _text(expected), now, (read,))
        lists, flaw = read_crls(crls)
        case = _Case(read, expected, trust.certificates, now, policy, lists, flaw, ocsp, logs)
        return case.verdict()


def _text(name: SubjectName | None) -> str | None:
    return None if name is None else name_text(name)


@dataclass(frozen=True)
class _Judgement:
    path: Chain
    opinions: tuple[Opinion, ...]
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class _Case:
    """One verification, with everything read."""

    sent: Chain
    name: SubjectName | None
    anchors: Chain
    now: datetime
    policy: Policy
    crls: tuple[x509.CertificateRevocationList, ...]
    crl_flaw: str | None
    ocsp: bytes | None
    logs: Mapping[bytes, LogKey]

    def verdict(self) -> Verdict:
        opinions = self._ask(self.sent, self.anchors, self.policy.max_intermediates)
        best = self._best(opinions) if self.policy.every_path else self._taken(opinions)
        return Verdict(
            self.policy.name,
            _text(self.name),
            self.now,
            best.findings,
            best.notes,
            best.opinions,
            best.path,
        )

    def _ask(self, chain: Chain, anchors: Chain, depth: int) -> tuple[Opinion, ...]:
        question = Question(
            leaf=chain[0],
            intermediates=chain[1:],
            anchors=anchors,
            name=self.name,
            now=self.now,
            purpose=self.policy.purpose,
            partial_chain=self.policy.partial_chain,
            max_intermediates=depth,
        )
        return tuple(ask(question) for ask in _ASK.values())

    def _taken(self, opinions: tuple[Opinion, ...]) -> _Judgement:
        """Of the path that the first decider took."""
        first = next(o for o in opinions if o.verifier in self.policy.deciders)
        return self._judge(first.chain, opinions)

    def _best(self, opinions: tuple[Opinion, ...]) -> _Judgement:
        """Of the first path without findings, or else of the one with the fewest."""
        search = PathSearch(self.sent[1:], self._usable_anchors())
        best: _Judgement | None = None
        for path in search.paths(self.sent[0]):
            # On a path of its own nobody has to search: the policy's limit is applied by us.
            asked = self._ask(path[:-1] or path, path[-1:], len(path))
            judged = self._judge(path, asked)
            if best is None or len(judged.findings) < len(best.findings):
                best = judged
            if not judged.findings:
                return judged
        if search.exhausted:
            lost = general("too-many-paths", "none of those that were tried is good")
            path, asked = (best.path, best.opinions) if best else ((), opinions)
            return _Judgement(path, asked, (*(best.findings if best else ()), lost))
        if best is None:
            refusals = [objection(o) for o in opinions if not o.accepted and o.number is not None]
            missing = general("no-path", "no issuer that fits was sent or is trusted")
            return _Judgement((), opinions, (*refusals, missing))
        return best

    def _usable_anchors(self) -> Chain:
        if self.policy.partial_chain:
            return self.anchors
        return tuple(filter(is_self_issued, self.anchors))

    def _judge(self, path: Chain, opinions: tuple[Opinion, ...]) -> _Judgement:
        """All that is wrong with a path: what OpenSSL says first, since it has numbers."""
        refusals = {
            opinion.verifier: objection(opinion)
            for opinion in opinions
            if opinion.verifier in self.policy.deciders and not opinion.accepted
        }
        own: list[Finding] = []
        notes: list[Finding] = []
        if path:
            own += itertools.islice(self._checked(path), MAX_FINDINGS)
            found, notes = self._revocation(path)
            own += [*found, *self._staple(path), *self._scts(path), *self._pins(path)]
        ordered = [refusals.get(OPENSSL), *own, refusals.get(CRYPTOGRAPHY)]
        findings = tuple(dict.fromkeys(finding for finding in ordered if finding is not None))
        return _Judgement(path, opinions, findings, tuple(notes))

    def _checked(self, path: Chain) -> Iterator[Finding]:
        between = [one for one in path[1:-1] if not is_self_issued(one)]
        if len(between) > self.policy.max_intermediates:
            yield general(
                "path-too-long",
                f"there are {len(between)}, {self.policy.max_intermediates} are allowed",
            )
        for depth in range(len(path)):
            link = Link(path, depth, self.policy.purpose, self.now)
            try:
                for check in self.policy.checks:
                    yield from check.findings(link)
            except MALFORMED as error:
                yield general("extensions-unreadable", error, depth)

    def _revocation(self, path: Chain) -> tuple[list[Finding], list[Finding]]:
        """What refuses, and what the policy lets pass."""
        findings: list[Finding] = []
        notes: list[Finding] = []
        if self.policy.revocation is Revocation.NONE:
            return findings, notes
        for depth in range(len(path) - 1):
            answer, binding = self._standing(Subject(path, depth, self.sent[1:], self.now))
            if answer.finding is not None:
                hard = self.policy.revocation is Revocation.HARD or binding
                (findings if hard else notes).append(answer.finding)
        return findings, notes

    def _standing(self, subject: Subject) -> tuple[Answer, bool]:
        """What is known of one certificate, and whether that refuses it even under soft-fail.

        A stapled response that is signed but unsatisfactory does (RFC 6066 section 8); an error of
        the responder is no response.
        """
        listed = crl_answer(subject, self.crls)
        if self.crl_flaw and listed.finding and listed.finding.check == "crl-missing":
            listed = unknown("crl-unreadable", subject.depth, self.crl_flaw)
        stapled = None
        if subject.depth == 0 and self.ocsp is not None:
            stapled = ocsp_answer(subject, self.ocsp)
        for answer in (stapled, listed):
            if answer is not None and answer.standing is Standing.REVOKED:
                return answer, True
        if stapled is None or (stapled.finding and stapled.finding.check == "ocsp-unsuccessful"):
            return listed, False
        return stapled, True

    def _staple(self, path: Chain) -> Iterator[Finding]:
        asked = self.policy.must_staple and self.policy.purpose is Purpose.SERVER
        if not asked or not _demands_staple(path[0]):
            return
        if self.ocsp is None or len(path) < 2:
            yield general("staple-missing", "no response is stapled", 0)
            return
        answer = ocsp_answer(Subject(path, 0, self.sent[1:], self.now), self.ocsp)
        if answer.finding is not None:
            yield answer.finding

    def _scts(self, path: Chain) -> Iterator[Finding]:
        """Timestamps of as many different logs as the policy wants, embedded in the leaf."""
        if not self.policy.scts_required:
            return
        try:
            faults = sct_verdicts(path[0], path[min(1, len(path) - 1)], self.logs, now=self.now)
            scts = zip(embedded_scts(path[0]), faults, strict=True)
            good = {sct.log_id for sct, fault in scts if fault is None}
        except MALFORMED as error:
            yield general("sct-missing", error, 0)
            return
        if len(good) < self.policy.scts_required:
            flaws = ", ".join(sorted({fault.value for fault in faults if fault is not None}))
            yield general(
                "sct-missing",
                f"{len(good)} of {self.policy.scts_required} known logs have promised to publish"
                f" it; there are {len(faults)} timestamps" + (f", some {flaws}" if flaws else ""),
                0,
            )

    def _pins(self, path: Chain) -> Iterator[Finding]:
        if self.policy.pins and not self.policy.pins & {pin_of(one) for one in path}:
            yield general("pin-mismatch", f"the leaf's key is {pin_of(path[0]).hex()}")


def _demands_staple(leaf: x509.Certificate) -> bool:
    try:
        feature = leaf.extensions.get_extension_for_class(x509.TLSFeature).value
    except (x509.ExtensionNotFound, *MALFORMED):
        return False
    return x509.TLSFeatureType.status_request in feature


def pin_of(certificate: x509.Certificate) -> bytes:
    """The pin of a certificate's key: SHA-256 of its SPKI (RFC 7469 section 2.4).

    A key that cannot be read has no pin: b"".
    """
    try:
        key = public_key_of(certificate)
    except PKIError:
        return b""
    form = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return hashlib.sha256(form).digest()
