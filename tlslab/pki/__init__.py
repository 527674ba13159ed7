"""Who can prove what: certificates, their authorities, and trust.

    keys.py          key types, key pairs, and how each signs
    names.py         DNS names (IDNA 2008, wildcards) and IP addresses in certificates
    profile.py       what kind of certificate to make: strict TOML files in certs/
    template.py      what a certificate will say, before anybody signs it (RFC 5280)
    credential.py    a certificate with its key and chain; certificates from bytes
    trust.py         trust stores
    authority.py     a root, an intermediate and the leaves they issue, in memory
    revocation/      taking certificates back: revocation lists and OCSP, made and answered
    der.py           DER octet by octet, for what no library writes
    sct.py           signed certificate timestamps (RFC 6962), and their verification
    ct_log.py        a small log of Certificate Transparency
    files.py         files that appear whole or not at all, and replace nothing
    directory.py     an authority on disk
    facts.py         what any certificate says, as text for people
    reading.py       what it means, in sentences
    explanation.py   how an error number is explained
    x509_errors/     every X509 error of OpenSSL, explained
    faults/          faulty certificates as data, and how each is made
    verify/          whether a chain is to be believed, and why not

Each file imports only from those above it. Everything is computed here; nothing touches a socket.
"""

from __future__ import annotations

from tlslab.pki.authority import Authority
from tlslab.pki.credential import Credential, parse_certificates
from tlslab.pki.directory import CADirectory, Issued
from tlslab.pki.explanation import Explanation
from tlslab.pki.facts import certificate_facts
from tlslab.pki.keys import KeyType
from tlslab.pki.profile import Kind, Profile
from tlslab.pki.reading import explain_certificate
from tlslab.pki.template import Template
from tlslab.pki.trust import TrustStore
from tlslab.pki.x509_errors import explain_x509

__all__ = [
    "Authority",
    "CADirectory",
    "Credential",
    "Explanation",
    "Issued",
    "KeyType",
    "Kind",
    "Profile",
    "Template",
    "TrustStore",
    "certificate_facts",
    "explain_certificate",
    "explain_x509",
    "parse_certificates",
]
