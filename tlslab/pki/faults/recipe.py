"""How to make a faulty server, as data: which certificates differ, in what, and what is sent.

A recipe tells only what is wrong. All else is as the lab's own CA does it: without a word, a server
`shop.test` shows a good leaf and the intermediate, and the client trusts the root. Knows nothing of
how certificates are made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from tlslab.errors import UsageError
from tlslab.pki.faults import table as t
from tlslab.pki.profile import EXTENDED_KEY_USAGES, KEY_USAGES

NAME: Final = "shop.test"
"""Whom a recipe's client asks for, unless it says otherwise."""

LEAF: Final = "leaf"
GIVEN: Final = ("root", "intermediate")
"""The authority's own certificates: there without description, unless a recipe replaces them."""

MAX_HEIGHT: Final = 200  # certificates; OpenSSL gives up at 100
MAX_NAMES: Final = 20_000  # a certificate of half a megabyte, five times what OpenSSL reads
MAX_PADDING: Final = 4 * 2**20  # bytes; the largest message of TLS has sixteen megabytes

HASHES: Final = ("md5", "sha1", "sha256", "sha384", "sha512")

KEYS: Final = (
    "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ecdsa-p192", "ecdsa-p224", "ecdsa-secp256k1",
    "rsa-512", "rsa-1024", "rsa-2048", "rsa-3072", "rsa-4096", "rsa-8192",
    "ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87",
)  # fmt: skip

EXTENSIONS: Final = (
    "basic_constraints", "key_usage", "extended_key_usage", "names", "subject_key_id",
    "authority_key_id", "crl_url", "access", "name_constraints", "must_staple",
)  # fmt: skip
"""What a recipe calls the extensions that it leaves out or repeats."""


@dataclass(frozen=True)
class AddedExtension:
    """An extension of the recipe's own: its raw value is `hex`, then `text`, then `size` zeros."""

    oid: str
    critical: bool = False
    hex: str = ""
    text: str = ""
    size: int = 0


@dataclass(frozen=True)
class SCTRecipe:
    """A timestamp in a certificate: from one of two logs that the client knows, or not, at `time`.

    `flaw` is a signature that is none, or one for another certificate.
    """

    log: Literal["known", "second", "unknown"] = "known"
    time: timedelta = timedelta(hours=-1)
    flaw: Literal["none", "signature", "other-certificate"] = "none"


@dataclass(frozen=True)
class CertificateRecipe:
    """In what a certificate differs from one by the profile `like`, issued by `issuer`.

    Certificates are named by where they stand in the recipe; one that is its own issuer is
    self-signed, as a root is if nothing is said. None is what the profile or the authority would
    do. `signed_by` is whose key really
    signed, `subject_of` whose subject is copied, `key_of` whose key it shares. The empty common
    name is an empty subject. Dates are distances from now. `height` certificates of the kind stand
    on one another, and `flip` turns one bit after signing.
    """

    like: Literal["root", "intermediate", "server", "client"] = "server"
    issuer: str | None = None
    signed_by: str | None = None
    key: str | None = None
    key_of: str | None = None
    hash: str | None = None
    version: int = 3
    serial: int | None = None
    common_name: str | None = None
    subject_of: str | None = None
    names: tuple[str, ...] | None = None
    name_count: int = 0
    not_before: timedelta | None = None
    not_after: timedelta | None = None
    ca: bool | None = None
    path_length: int | None = None
    key_usage: tuple[str, ...] | None = None
    extended_key_usage: tuple[str, ...] | None = None
    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    must_staple: bool = False
    omit: tuple[str, ...] = ()
    repeat: tuple[str, ...] = ()
    add: tuple[AddedExtension, ...] = ()
    scts: tuple[SCTRecipe, ...] = ()
    poison: bool = False
    height: int = 1
    flip: Literal["none", "signature", "contents"] = "none"


@dataclass(frozen=True)
class CRLRecipe:
    """A revocation list that the client has: whose, about whom, and who really signed it.

    `scope` limits it to certificates of CAs or of others (RFC 5280 section 5.2.5).
    """

    issuer: str = "intermediate"
    revoked: tuple[str, ...] = ()
    this_update: timedelta = timedelta(hours=-1)
    next_update: timedelta = timedelta(days=7)
    signed_by: str | None = None
    scope: Literal["all", "cas", "others"] = "all"


@dataclass(frozen=True)
class StapleRecipe:
    """The OCSP response that the server staples: about whom, saying what, signed by whom."""

    status: Literal["good", "revoked", "unknown", "garbage"] = "good"
    about: str = LEAF
    signed_by: str = "intermediate"
    this_update: timedelta = timedelta(hours=-1)
    next_update: timedelta = timedelta(days=1)


@dataclass(frozen=True)
class Recipe:
    """A server, and what its client believes.

    `chain` is what it sends, leaf first, and `trust` the client's store: names of certificates.
    `ask` is the name or address that the client wants. `key` names the certificate whose key the
    server has. `ciphers` and `maximum` are settings without which OpenSSL would not serve it.
    """

    ask: str = NAME
    chain: tuple[str, ...] = (LEAF, "intermediate")
    trust: tuple[str, ...] = ("root",)
    key: str = LEAF
    ciphers: str | None = None
    maximum: Literal["TLS 1.2", "TLS 1.3"] = "TLS 1.3"
    certificates: dict[str, CertificateRecipe] = field(default_factory=dict, hash=False)
    crls: tuple[CRLRecipe, ...] = ()
    staple: StapleRecipe | None = None

    def check(self, source: str) -> None:
        """Raise UsageError if it speaks of a certificate that is nowhere described."""
        known = {*GIVEN, LEAF, *self.certificates}
        spoken_of = [("chain", *self.chain), ("trust", *self.trust), ("key", self.key)]
        for name, one in self.certificates.items():
            others = (one.issuer, one.signed_by, one.subject_of, one.key_of)
            spoken_of.append((name, *(other for other in others if other)))
        for crl in self.crls:
            spoken_of.append(("crls", crl.issuer, *crl.revoked, crl.signed_by or crl.issuer))
        if self.staple is not None:
            spoken_of.append(("staple", self.staple.about, self.staple.signed_by))
        for key, *names in spoken_of:
            for name in names:
                if name not in known:
                    raise UsageError(
                        f"{source}: {key} speaks of a certificate {name!r} that is not there",
                        hint=f"there are {', '.join(sorted(known))}",
                    )
        if not self.chain:
            raise UsageError(f"{source}: chain is empty", hint="a server shows a leaf at least")


_A_NAME = t.matching(r"[a-z][a-z0-9-]{0,40}", "a short name in lower case")
_ALT_NAME = t.matching(
    r"(?s)(dns|ip|uri|mail):.*", 'a name such as "dns:shop.test", "ip:::1", "uri:…", "mail:…"'
)
_OID = t.matching(r"[0-2](\.(0|[1-9][0-9]{0,9})){1,20}", "an object identifier such as 1.2.3.4")
_EXTENSION = t.one_of(*EXTENSIONS)

_ADDED = {
    "oid": t.Rule(_OID.read, _OID.allowed, required=True),
    "critical": t.flag(),
    "hex": t.matching(r"([0-9a-f]{2})*", "octets in hexadecimal digits"),
    "text": t.any_text(),
    "size": t.whole_number(0, MAX_PADDING),
}
_SCT = {
    "log": t.one_of("known", "second", "unknown"),
    "time": t.offset(),
    "flaw": t.one_of("none", "signature", "other-certificate"),
}
_CERTIFICATE = {
    "like": t.one_of("root", "intermediate", "server", "client"),
    "issuer": _A_NAME,
    "signed_by": _A_NAME,
    "key": t.one_of(*KEYS),
    "key_of": _A_NAME,
    "hash": t.one_of(*HASHES),
    "version": t.whole_number(1, 3),
    "serial": t.whole_number(-(2**200), 2**200),
    "common_name": t.any_text(),
    "subject_of": _A_NAME,
    "names": t.list_of(_ALT_NAME),
    "name_count": t.whole_number(1, MAX_NAMES),
    "not_before": t.offset(),
    "not_after": t.offset(),
    "ca": t.flag(),
    "path_length": t.whole_number(0, MAX_HEIGHT),
    "key_usage": t.list_of(t.one_of(*KEY_USAGES)),
    "extended_key_usage": t.list_of(t.one_of(*EXTENDED_KEY_USAGES)),
    "permitted": t.list_of(_ALT_NAME),
    "excluded": t.list_of(_ALT_NAME),
    "must_staple": t.flag(),
    "omit": t.list_of(_EXTENSION),
    "repeat": t.list_of(_EXTENSION),
    "add": t.list_of(t.table(_ADDED, AddedExtension)),
    "scts": t.list_of(t.table(_SCT, SCTRecipe), distinct=False),
    "poison": t.flag(),
    "height": t.whole_number(1, MAX_HEIGHT),
    "flip": t.one_of("signature", "contents"),
}
_CRL = {
    "issuer": _A_NAME,
    "revoked": t.list_of(_A_NAME),
    "this_update": t.offset(),
    "next_update": t.offset(),
    "signed_by": _A_NAME,
    "scope": t.one_of("all", "cas", "others"),
}
_STAPLE = {
    "status": t.one_of("good", "revoked", "unknown", "garbage"),
    "about": _A_NAME,
    "signed_by": _A_NAME,
    "this_update": t.offset(),
    "next_update": t.offset(),
}
RECIPE = {
    "ask": t.text(),
    "chain": t.list_of(_A_NAME),
    "trust": t.list_of(_A_NAME),
    "key": _A_NAME,
    "ciphers": t.text(),
    "maximum": t.one_of("TLS 1.2", "TLS 1.3"),
    "certificates": t.named_tables(t.table(_CERTIFICATE, CertificateRecipe), _A_NAME),
    "crls": t.list_of(t.table(_CRL, CRLRecipe)),
    "staple": t.table(_STAPLE, StapleRecipe),
}
"""Every key a recipe may have; the keys are the fields of Recipe."""
