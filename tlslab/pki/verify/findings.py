"""Findings about the input or the path as a whole, which belong to no single certificate's form."""

from __future__ import annotations

from typing import Final

from tlslab.pki.explanation import Explanation
from tlslab.pki.verify.rules import rule_of
from tlslab.pki.verify.verdict import Finding, Opinion, shown
from tlslab.pki.x509_errors import explain_x509


def objection(opinion: Opinion) -> Finding:
    """A verifier's refusal, as a finding."""
    if opinion.number is None:
        return general(f"{opinion.verifier}-refuses", opinion.text, opinion.depth)
    number = opinion.number
    explanation = explain_x509(number)
    return Finding(
        f"x509-{number}", opinion.depth, rule_of(number), explanation, opinion.text, number
    )


def general(check: str, detail: object, depth: int | None = None) -> Finding:
    """The finding of that identifier in `GENERAL`."""
    rule, means, cause, fix = GENERAL[check]
    explanation = Explanation(check.replace("-", " "), means, cause, fix)
    return Finding(check, depth, rule, explanation, shown(detail))


GENERAL: Final[dict[str, tuple[str, str, str, str]]] = {
    "chain-unreadable": (
        "RFC 5280 section 4.1",
        "A certificate cannot be read.",
        "It is damaged, in another format, or made to look different to different readers.",
        "Fetch it again, or have it issued again with another tool.",
    ),
    "chain-too-large": (
        "a limit of tlslab's own",
        "More was sent than any chain needs, which is a way to keep a verifier busy.",
        "Somebody sends junk, or a whole trust store.",
        "Send the leaf and the intermediates up to the root, and nothing else.",
    ),
    "no-path": (
        "RFC 5280 section 6.1",
        "No path leads from the leaf to a trusted certificate.",
        "An intermediate was not sent, or the root is not trusted.",
        "Send the whole chain; trust the root if you mean to.",
    ),
    "too-many-paths": (
        "a limit of tlslab's own",
        "There are so many possible paths that the search for a good one was given up.",
        "The certificates sent form a maze, as they only do to keep a verifier busy.",
        "Send the leaf and the intermediates up to the root, and nothing else.",
    ),
    "path-too-long": (
        "a limit of the policy",
        "There are more intermediates between leaf and root than the policy allows.",
        "A CA let others make CAs, which made CAs in turn.",
        "Issue from a CA closer to the root.",
    ),
    "extensions-unreadable": (
        "RFC 5280 section 4.2",
        "An extension of the certificate is malformed or is there twice.",
        "A broken tool wrote it, or somebody wants two readers to see different things.",
        "Have it issued again with another tool.",
    ),
    "openssl-refuses": (
        "RFC 5280 section 4.1",
        "OpenSSL cannot read a certificate.",
        "It is malformed, or uses an algorithm that this OpenSSL lacks.",
        "Have it issued again with another tool.",
    ),
    "cryptography-refuses": (
        "RFC 5280 section 6.1, CABF BR section 7.1",
        "The verifier of cryptography, which follows the rules of the public Web, refuses it.",
        "Its text above says what it met; it tells no number.",
        "Have the certificate issued by the profile of the public Web.",
    ),
    "pin-mismatch": (
        "RFC 7469 section 2.6",
        "No key on the path is one of the pinned ones.",
        "Another CA vouches for the name, or the site changed its keys without its backup pin.",
        "Find out which. If the change is genuine, pin the new keys by another channel.",
    ),
    "staple-missing": (
        "RFC 7633 section 4",
        "The certificate demands a stapled OCSP response, and there is no good one.",
        "The server does not staple, or somebody on the path stripped the response.",
        "Switch stapling on at the server.",
    ),
    "sct-missing": (
        "RFC 6962 section 5.2, RFC 9162 section 8.1",
        "Too few certificate transparency logs have seen the certificate.",
        "The CA issued it in secret, or did not put the logs' timestamps into it.",
        "Have it issued with timestamps (SCTs) of logs that the client knows.",
    ),
}
"""Rule, meaning, cause and fix by identifier."""
