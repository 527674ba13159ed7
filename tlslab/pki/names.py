"""The names that a certificate vouches for: text from a person, GeneralName in the certificate.

DNS names follow RFC 1034 and RFC 9525, internationalised ones IDNA 2008 (RFC 5891) after the
mapping of UTS #46, as browsers do it. Knows nothing of keys or certificates.
"""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

import idna
from cryptography import x509

from tlslab.errors import UsageError

SubjectName: TypeAlias = x509.DNSName | x509.IPAddress

MAX_COMMON_NAME = 64  # characters; ub-common-name in RFC 5280 appendix A
_MAX_TEXT = 253  # a DNS name's length limit (RFC 1034 section 3.1); the input is bounded by it too
_WILDCARD = "*."


def subject_name(text: str) -> SubjectName:
    """The subject alternative name that `text` means: an IP address, or else a DNS name.

    A DNS name may be internationalised (`bücher.test`), may begin with a wildcard label
    (`*.shop.test`, RFC 9525 section 6.3) and may end with a dot, which is dropped. Raises
    UsageError for anything that no client could match.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return x509.DNSName(_dns_name(text))
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise UsageError(
            f"the address {text!r} has a zone, which means nothing on another machine",
            hint="leave out the % and what follows",
        )
    return x509.IPAddress(address)


def _dns_name(text: str) -> str:
    wildcard = text.startswith(_WILDCARD)
    host = text.removeprefix(_WILDCARD) if wildcard else text
    try:
        if len(text) > _MAX_TEXT:
            raise idna.IDNAError(f"longer than {_MAX_TEXT} characters")
        name = idna.encode(host, uts46=True, std3_rules=True).decode("ascii").removesuffix(".")
    except UnicodeError as error:
        shown = text if len(text) <= _MAX_TEXT else text[:32] + "…"
        raise UsageError(
            f"{shown!r} is neither an IP address nor a DNS name: {error}".replace("\n", " "),
            hint="a DNS name has labels of letters, digits and inner hyphens, such as shop.test",
        ) from error
    if name.rpartition(".")[2].isdigit():  # URLs and resolvers take it for an IPv4 address
        raise UsageError(
            f"{text!r} ends like an IP address, but is not one",
            hint="the last label of a DNS name needs a letter",
        )
    if wildcard and "." not in name:
        raise UsageError(
            f"the wildcard {text!r} covers a whole top-level domain, which clients refuse",
            hint=f"use a name below it, such as *.shop.{name}",
        )
    name = _WILDCARD + name if wildcard else name
    if len(name) > _MAX_TEXT:
        raise UsageError(f"the DNS name {name[:32]}… is longer than {_MAX_TEXT} characters")
    return name


def common_name(text: str) -> str:
    """`text`, if it can be a subject's common name; raises UsageError otherwise."""
    if not text.strip() or len(text) > MAX_COMMON_NAME or not text.isprintable():
        raise UsageError(
            f"{text[:MAX_COMMON_NAME]!r} cannot be a common name",
            hint=f"it takes 1 to {MAX_COMMON_NAME} printable characters",
        )
    return text


def name_text(name: SubjectName) -> str:
    """A subject alternative name as text: a DNS name in its ASCII form, or an IP address."""
    return str(name.value)


def readable(dns_name: str) -> str:
    """A DNS name with its international form beside it, where it has one."""
    prefix, bare = (_WILDCARD, dns_name[2:]) if dns_name.startswith(_WILDCARD) else ("", dns_name)
    try:
        unicode_name = prefix + idna.decode(bare)
    except UnicodeError:
        return dns_name
    return dns_name if unicode_name == dns_name.lower() else f"{dns_name} ({unicode_name})"
