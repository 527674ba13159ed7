"""Checks of the names in a leaf: their form, and that all of them stand where clients look.

That the expected name is among them, and within the constraints of the CAs above, is asked of the
verifiers. No list of public suffixes is kept, so only a wildcard on a top-level domain is known to
be too wide.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator
from typing import Final

import idna
from cryptography import x509
from cryptography.x509.oid import NameOID

from tlslab.pki.verify.checks.base import LEAF, Link, check

MAX_NAME_CHECKS: Final = 100_000
"""Pairs of name and constraint; more are an attack (OpenSSL gives up after 2^20)."""

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME: Final = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_MAILBOX: Final = re.compile(rf"[^@\s]+@{_LABEL}(?:\.{_LABEL})*")
_MAX_DNS_NAME: Final = 253  # RFC 1034 section 3.1


@check(
    "name-missing",
    "RFC 9525 section 6.3, CABF BR section 7.1.2.7.12",
    LEAF,
    means="The certificate vouches for no name: clients do not look at the common name.",
    cause="It was made by an old recipe, which puts the name into the common name alone.",
    fix="Issue it with a subject alternative name.",
)
def missing(link: Link) -> Iterator[str]:
    """There is a subject alternative name, and something in it."""
    found = link.find(x509.SubjectAlternativeName)
    if found is None:
        yield "there is no subject alternative name"
    elif not list(found.value):
        yield "the subject alternative name is empty"


@check(
    "name-criticality",
    "RFC 5280 section 4.2.1.6, CABF BR section 7.1.2.7.12",
    LEAF,
    means="The subject alternative name is critical exactly if there is no other subject.",
    cause="The leaf's profile is wrong.",
    fix="Mark it critical if the subject is empty, and not otherwise.",
)
def criticality(link: Link) -> Iterator[str]:
    """Critical if and only if the subject is empty."""
    found = link.find(x509.SubjectAlternativeName)
    if found is None:
        return
    empty = not link.certificate.subject.rdns
    if empty and not found.critical:
        yield "the subject is empty, so it has to be critical"
    if found.critical and not empty:
        yield "the subject is not empty, so it must not be critical"


@check(
    "name-form",
    "RFC 5280 section 4.2.1.6, CABF BR section 3.2.2.6",
    LEAF,
    means="A name in the certificate is malformed, so clients read it differently.",
    cause="The CA did not check what it was asked to certify.",
    fix="Issue it with letters, digits and hyphens, a wildcard as *. in front of at least two"
    " labels, and IP addresses as such.",
)
def form(link: Link) -> Iterator[str]:
    """DNS names in preferred syntax, mailboxes with one @."""
    found = link.find(x509.SubjectAlternativeName)
    for name in found.value if found is not None else ():
        if isinstance(name, x509.DNSName):
            yield from _dns_form(name.value)
        elif isinstance(name, x509.RFC822Name) and not _MAILBOX.fullmatch(name.value):
            yield f"{name.value!r} is no mailbox"


def _dns_form(name: str) -> Iterator[str]:
    if len(name) > _MAX_DNS_NAME or not _DNS_NAME.fullmatch(name):
        yield f"{name!r} is no DNS name"
    elif name.rpartition(".")[2].isdigit():
        yield f"{name!r} is an IP address, or looks like one, as a DNS name"
    elif name.startswith("*.") and name.count(".") == 1:
        yield f"{name!r} is a wildcard for a top-level domain"


@check(
    "common-name-spelling",
    "CABF BR section 7.1.4.3",
    LEAF,
    means="The common name is one of the names in another spelling, so old clients see another.",
    cause="The CA copied what it was given: capitals, an uncompressed address, a Unicode name.",
    fix="Leave the common name out, or copy a subject alternative name character by character.",
)
def common_name_spelling(link: Link) -> Iterator[str]:
    """A common name that means the same as a SAN is that SAN, character by character."""
    names = _plain_names(link)
    meant = {_meaning(name) for name in names}
    for text in _common_names(link):
        if text not in names and _meaning(text) in meant:
            yield f"{text!r} is one of the names in another spelling"


@check(
    "common-name",
    "CABF BR section 7.1.4.3",
    LEAF,
    means="The common name is not one of the names that the certificate vouches for.",
    cause="The certificate was issued with a title as common name, as private CAs do.",
    fix="Leave it out, or copy a subject alternative name character by character.",
)
def common_name(link: Link) -> Iterator[str]:
    """At most one, and a copy of a SAN: DNS names as they are, addresses as in RFC 5952."""
    names, given = _plain_names(link), _common_names(link)
    if len(given) > 1:
        yield f"there are {len(given)} common names"
    for text in given:
        if text not in names:
            yield f"{text!r} is not among the names"


def _plain_names(link: Link) -> set[str]:
    found = link.find(x509.SubjectAlternativeName)
    kinds = (x509.DNSName, x509.IPAddress, x509.RFC822Name)
    return {str(name.value) for name in (found.value if found else ()) if isinstance(name, kinds)}


def _common_names(link: Link) -> list[str]:
    attributes = link.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [str(attribute.value) for attribute in attributes]


def _meaning(text: str) -> object:
    """The address or name that `text` is for a lenient reader (inet_aton, UTS #46)."""
    if _LEGACY_IPV4.fullmatch(text):
        try:
            return ipaddress.ip_address(socket.inet_aton(text))
        except OSError:
            return text.lower()
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        pass
    if text.isascii() or len(text) > _MAX_DNS_NAME:
        return text.lower()
    try:
        return idna.encode(text, uts46=True).decode("ascii").lower()
    except UnicodeError:
        return text.lower()


_LEGACY_IPV4: Final = re.compile(
    r"(?:0[xX])?[0-9a-fA-F]{1,11}(?:\.(?:0[xX])?[0-9a-fA-F]{1,11}){0,3}"
)


@check(
    "wildcard-meets-constraint",
    "RFC 5280 section 4.2.1.10, RFC 9525 section 6.3",
    LEAF,
    means="A wildcard covers names that a CA above may not, or may not all, vouch for.",
    cause="Constraints are about names, wildcards about sets of them; verifiers compare the text.",
    fix="Issue it with the names themselves in place of the wildcard.",
)
def wildcard_constraint(link: Link) -> Iterator[str]:
    """No name that the wildcard stands for is excluded, and none is outside what is permitted."""
    found = link.find(x509.SubjectAlternativeName)
    wildcards = [
        name.value[2:].lower()
        for name in (found.value if found is not None else ())
        if isinstance(name, x509.DNSName) and name.value.startswith("*.")
    ]
    for depth in range(1, len(link.path)):
        above = Link(link.path, depth, link.purpose, link.now).find(x509.NameConstraints)
        if above is None:
            continue
        permitted = _dns_subtrees(above.value.permitted_subtrees)
        excluded = _dns_subtrees(above.value.excluded_subtrees)
        if len(wildcards) * (len(permitted) + len(excluded)) > MAX_NAME_CHECKS:
            yield "there are too many names and constraints to compare"
            return
        for base in wildcards:
            for subtree in excluded:
                if _within(base, subtree) or _within(subtree, base):
                    yield f"'*.{base}' covers what {subtree!r} excludes"
            if permitted and not any(_within(base, subtree) for subtree in permitted):
                yield f"'*.{base}' covers more than is permitted"


def _dns_subtrees(names: list[x509.GeneralName] | None) -> list[str]:
    return [name.value.lower() for name in names or () if isinstance(name, x509.DNSName)]


def _within(name: str, subtree: str) -> bool:
    return not subtree or name == subtree or name.endswith(f".{subtree}")
