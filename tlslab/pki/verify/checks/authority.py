"""Checks of CAs, trust anchors included: what lets them be one, and what limits them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from cryptography import x509

from tlslab.pki.verify.checks.base import AUTHORITY, Link, Place, check
from tlslab.pki.verify.paths import is_self_issued


@check(
    "ca-basic-constraints",
    "RFC 5280 section 4.2.1.9",
    AUTHORITY,
    means="A certificate that issues others does not say, or not properly, that it is a CA.",
    cause="A leaf is misused as a CA, or the CA's profile is wrong.",
    fix="Issue the CA's certificate with critical basic constraints that say CA.",
)
def basic_constraints(link: Link) -> Iterator[str]:
    """There, critical, and true."""
    found = link.find(x509.BasicConstraints)
    if found is None:
        yield "basic constraints are missing"
        return
    if not found.critical:
        yield "basic constraints have to be critical"
    if not found.value.ca:
        yield "it says that it is no CA"


@check(
    "ca-key-usage",
    "RFC 5280 sections 4.2.1.3 and 4.2.1.9",
    AUTHORITY,
    means="The key usage of a CA does not allow it to sign certificates.",
    cause="A leaf is misused as a CA, or the CA's profile is wrong.",
    fix="Issue the CA's certificate with keyCertSign.",
)
def key_usage(link: Link) -> Iterator[str]:
    """With keyCertSign, if it is there; a CA without it may sign all (section 6.1.4(n))."""
    found = link.find(x509.KeyUsage)
    if found is not None and not found.value.key_cert_sign:
        yield "keyCertSign is missing"


@check(
    "root-extended-key-usage",
    "CABF BR section 7.1.2.1.2",
    Place.ANCHOR,
    means="A root restricts its purpose, which only what it issues may do.",
    cause="The root was made with the profile of a leaf or an intermediate.",
    fix="Make the root without extended key usage.",
)
def root_purpose(link: Link) -> Iterator[str]:
    """Of self-issued anchors: an intermediate in the trust store may have it."""
    if is_self_issued(link.certificate) and link.find(x509.ExtendedKeyUsage) is not None:
        yield "it has extended key usage"


@check(
    "name-constraints-form",
    "RFC 5280 section 4.2.1.10, CABF BR section 7.1.2.5.2",
    AUTHORITY,
    means="Name constraints are malformed, so verifiers read them differently.",
    cause="They were written by hand: .shop.test or *.shop.test in place of shop.test, say.",
    fix="Write a DNS name constraint as a plain name, which covers all names below it.",
)
def constraints_form(link: Link) -> Iterator[str]:
    """DNS names without leading dot or wildcard, one @ in a mailbox, and at least one subtree."""
    found = link.find(x509.NameConstraints)
    if found is None:
        return
    subtrees = constraint_subtrees(found.value)
    if not subtrees:
        yield "they are empty"
    for subtree in subtrees:
        if isinstance(subtree, x509.DNSName) and not _DNS_CONSTRAINT.fullmatch(subtree.value):
            yield f"{subtree.value!r} is no DNS name"
        if isinstance(subtree, x509.RFC822Name) and not _MAIL_CONSTRAINT.fullmatch(subtree.value):
            yield f"{subtree.value!r} is neither a mailbox nor a host"


_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DNS_CONSTRAINT: Final = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*)?")  # empty: every name
_MAIL_CONSTRAINT: Final = re.compile(rf"[^@]+@{_LABEL}(?:\.{_LABEL})*|\.?{_LABEL}(?:\.{_LABEL})*")


def constraint_subtrees(constraints: x509.NameConstraints) -> tuple[x509.GeneralName, ...]:
    """All of them, permitted and excluded."""
    return (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ()))
