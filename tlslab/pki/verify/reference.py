"""The name that a client expects (RFC 9525 section 6.1), as both verifiers take it."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, TypeAlias

from cryptography import x509

from tlslab.errors import UsageError
from tlslab.pki.names import SubjectName, subject_name

Name: TypeAlias = str | ipaddress.IPv4Address | ipaddress.IPv6Address

# Letters, digits, hyphens, and underscores, which no host should have and many do.
_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)*(?![0-9]+$){_LABEL}")


def reference_name(name: Name) -> SubjectName:
    """The DNS name or IP address to look for in the leaf.

    International names become A-labels; A-labels stay as they are, since names that IDNA 2008
    forbids are in use. Raises UsageError for what is no name of a host.
    """
    if not isinstance(name, str):
        return x509.IPAddress(name)
    host = name.removesuffix(".")
    if _HOST.fullmatch(host):
        return x509.DNSName(host.lower())
    found = subject_name(name)
    if str(found.value).startswith("*"):
        raise UsageError(
            f"{name!r} is a pattern, not the name of a host",
            hint="give a name that it covers, such as www in place of the asterisk",
        )
    return found
