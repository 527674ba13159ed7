"""What a verification says in the end, and why: plain values, safe to print.

Every text in them is printable, whatever the certificate holds. Knows nothing of how it was found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tlslab.pki.credential import Chain
from tlslab.pki.explanation import Explanation
from tlslab.pki.facts import printable

MAX_DETAIL = 300  # characters; a certificate with a megabyte of names must not fill the screen


@dataclass(frozen=True)
class Opinion:
    """What one verifier says of the same input, whether or not the policy asks it.

    `number` is OpenSSL's X509 error number (0 if it accepts, None if the verifier has no numbers),
    `depth` where it objects (0 is the leaf, None if unknown), `chain` the path that it took.
    Neither verifier looks at revocation, pins or SCTs.
    """

    verifier: str
    accepted: bool
    number: int | None
    depth: int | None
    text: str
    chain: Chain = field(default=(), repr=False)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    `check` is a stable identifier (`x509-<number>` where OpenSSL objects), `depth` counts from the
    leaf (0; None if it is about no single certificate), `rule` is the section that it breaks,
    `detail` what exactly was seen, `number` OpenSSL's X509 error number for it, if it has one.
    """

    check: str
    depth: int | None
    rule: str
    explanation: Explanation
    detail: str
    number: int | None = None


@dataclass(frozen=True)
class Verdict:
    """Accepted or refused, with all reasons.

    The first of `findings` decides; there is none if and only if the chain is accepted. `notes` are
    findings that the policy let pass (revocation unknown under soft-fail, say). `path` leads from
    the leaf to the trust anchor, and is empty if there is none. `opinions` are always those of
    OpenSSL and of cryptography, in this order, unless there was nothing to read.
    """

    policy: str
    name: str | None
    now: datetime
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    path: Chain = field(default=(), repr=False)

    @property
    def accepted(self) -> bool:
        """Whether the policy accepts the chain."""
        return not self.findings

    @property
    def decided_by(self) -> Finding | None:
        """The finding that decided, or None if the chain is accepted."""
        return self.findings[0] if self.findings else None

    def opinion(self, verifier: str) -> Opinion:
        """The opinion of `openssl` or `cryptography`; raises KeyError if it was not asked."""
        for opinion in self.opinions:
            if opinion.verifier == verifier:
                return opinion
        raise KeyError(verifier)


def shown(text: object) -> str:
    """Text from a certificate as it may be shown: one printable line of bounded length."""
    whole = str(text)
    cut = whole if len(whole) <= MAX_DETAIL else whole[:MAX_DETAIL] + "…"
    return printable(cut)
