"""From a fault and a lab's authority to what a server needs to show it, made fresh.

Good certificates of the authority are used as they are; every other one is made here from its
recipe. Knows nothing of TLS: what an end of a connection needs is in the `FaultyServer`.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from tlslab.errors import PKIError, UsageError
from tlslab.pki.authority import Authority
from tlslab.pki.credential import Chain, Credential
from tlslab.pki.ct_log import CTLog
from tlslab.pki.faults import forge
from tlslab.pki.faults.extensions import alternative_names, extensions_of
from tlslab.pki.faults.fault import Fault
from tlslab.pki.faults.recipe import (
    LEAF,
    CertificateRecipe,
    CRLRecipe,
    Recipe,
    SCTRecipe,
    StapleRecipe,
)
from tlslab.pki.keys import PrivateKey, PublicKey
from tlslab.pki.profile import Profile
from tlslab.pki.revocation import CertID, Revoked, make_crl, make_ocsp_response
from tlslab.pki.sct import SCT, LogKey, sct_list_extension
from tlslab.pki.template import Template, draft
from tlslab.pki.trust import TrustStore

_GARBAGE = b"this is no OCSP response"
_KNOWN_LOGS = ("known", "second")
_ISSUERS = {"intermediate": "root", "server": "intermediate", "client": "intermediate"}


def _scope(*, of_cas: bool) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=not of_cas,
        only_contains_ca_certs=of_cas,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


def _moment(now: datetime, offset: timedelta | None, otherwise: datetime) -> datetime:
    return otherwise if offset is None else (now + offset).replace(microsecond=0)


@dataclass(frozen=True)
class FaultyServer:
    """What a server needs to show a fault, and what its client believes.

    `name` is what the client asks for and `trust` its store. `ciphers` and `maximum` are settings
    without which OpenSSL would not serve it, or None and "TLS 1.3". `crls` are the revocation lists
    (DER) that the client has, `staple` the OCSP response (DER) that the server sends along, `logs`
    the keys of the logs that the client knows. The key may be of a type that `Credential` does not
    promise (ML-DSA).
    """

    fault: Fault
    credential: Credential
    name: str
    trust: TrustStore
    ciphers: str | None = None
    maximum: str = "TLS 1.3"
    crls: tuple[bytes, ...] = field(default=(), repr=False)
    staple: bytes | None = field(default=None, repr=False)
    logs: Mapping[bytes, LogKey] = field(default_factory=dict, repr=False)


def build(fault: Fault, authority: Authority, *, now: datetime | None = None) -> FaultyServer:
    """Make the fault anew, issued by `authority` as far as a fault lets it issue anything.

    `now` is aware, by default the system's. Raises PKIError if the recipe needs the root's key and
    that is locked away, and UsageError for a recipe that cannot be followed.
    """
    with warnings.catch_warnings():
        # cryptography warns of odd serial numbers, and those are what we make.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return _Workshop(fault.recipe, authority, now or datetime.now(UTC)).server(fault)


class _Workshop:
    """Makes the certificates of one recipe, each when it is first needed."""

    def __init__(self, recipe: Recipe, authority: Authority, now: datetime) -> None:
        self._recipe = recipe
        self._authority = authority
        self._now = now
        self._recipes = dict(recipe.certificates)
        self._recipes.setdefault(LEAF, CertificateRecipe())
        self._keys: dict[str, forge.AnyKey] = {}
        self._chains: dict[str, Chain] = {}
        self._underway: list[str] = []
        self._logs = {name: CTLog() for name in (*_KNOWN_LOGS, "unknown")}

    def server(self, fault: Fault) -> FaultyServer:
        recipe = self._recipe
        chain = tuple(one for name in recipe.chain for one in self._pile(name))
        return FaultyServer(
            fault=fault,
            credential=Credential(cast(PrivateKey, self._key(recipe.key)), chain[0], chain),
            name=recipe.ask,
            trust=TrustStore(tuple(map(self._certificate, recipe.trust))),
            ciphers=recipe.ciphers,
            maximum=recipe.maximum,
            crls=tuple(map(self._crl, recipe.crls)),
            staple=None if recipe.staple is None else self._staple(recipe.staple),
            logs={log.id: log.public_key for log in map(self._logs.__getitem__, _KNOWN_LOGS)},
        )

    def _key(self, name: str) -> forge.AnyKey:
        if name not in self._keys:
            self._keys[name] = self._find_key(name)
        return self._keys[name]

    def _find_key(self, name: str) -> forge.AnyKey:
        recipe = self._recipes.get(name)
        if recipe is None:
            if name == "intermediate":
                return self._authority.intermediate_key
            if self._authority.root_key is None:
                raise PKIError("this fault needs the root's key, which is locked away")
            return self._authority.root_key
        if recipe.key_of is not None:
            return self._key(recipe.key_of)
        return forge.generate(recipe.key or Profile.named(recipe.like).key_type.value)

    def _certificate(self, name: str) -> x509.Certificate:
        """The certificate; of a pile the topmost, which issues what comes next."""
        return self._pile(name)[0]

    def _pile(self, name: str) -> Chain:
        if name not in self._chains:
            if name in self._underway:
                raise UsageError(f"the certificate {name!r} needs itself to be made first")
            self._underway.append(name)
            self._chains[name] = self._make(name)
            self._underway.remove(name)
        return self._chains[name]

    def _make(self, name: str) -> Chain:
        recipe = self._recipes.get(name)
        if recipe is None:
            return (getattr(self._authority, name),)
        issuer = recipe.issuer or _ISSUERS.get(recipe.like, name)
        signer = self._key(recipe.signed_by or issuer)
        above = None if issuer == name else self._certificate(issuer)
        pile: Chain = ()
        for floor in range(recipe.height):
            key = self._key(name) if floor == recipe.height - 1 else forge.generate("ecdsa-p256")
            label = name if recipe.height == 1 else f"{name} {floor + 1}"
            made = self._sign(recipe, self._template(label, recipe, key, above), signer, above)
            pile, above, signer = (made, *pile), made, key
        return pile

    def _template(
        self,
        label: str,
        recipe: CertificateRecipe,
        key: forge.AnyKey,
        above: x509.Certificate | None,
    ) -> Template:
        public = cast(PublicKey, key.public_key())
        profile = Profile.named(recipe.like)
        if recipe.key_usage is not None:
            profile = dataclasses.replace(profile, key_usage=recipe.key_usage)
        if recipe.extended_key_usage is not None:
            profile = dataclasses.replace(profile, extended_key_usage=recipe.extended_key_usage)
        template = draft(
            profile,
            subject=self._subject(label, recipe, profile),
            public_key=public,
            issuer=None,
            now=self._now,
        )
        return dataclasses.replace(
            template,
            issuer=template.subject if above is None else above.subject,
            serial=template.serial if recipe.serial is None else recipe.serial,
            not_before=_moment(self._now, recipe.not_before, template.not_before),
            not_after=_moment(self._now, recipe.not_after, template.not_after),
            extensions=extensions_of(recipe, template, above),
        )

    def _subject(self, label: str, recipe: CertificateRecipe, profile: Profile) -> x509.Name:
        if recipe.subject_of is not None:
            return self._certificate(recipe.subject_of).subject
        text = recipe.common_name
        if text is None:
            text = f"faulty {label}" if profile.kind.is_ca else alternative_names(recipe)[0][1]
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])

    def _sign(
        self,
        recipe: CertificateRecipe,
        template: Template,
        signer: forge.AnyKey,
        above: x509.Certificate | None,
    ) -> x509.Certificate:
        if recipe.scts:
            assert above is not None
            scts = [self._sct(one, template, signer, recipe, above) for one in recipe.scts]
            carrying = sct_list_extension(scts)
            extension = x509.Extension(carrying.oid, False, carrying)
            template = dataclasses.replace(template, extensions=(*template.extensions, extension))
        data = forge.sign(template, signer, hash_name=recipe.hash, version=recipe.version)
        if recipe.flip != "none":
            data = forge.flipped(data, recipe.flip)
        return x509.load_der_x509_certificate(data)

    def _sct(
        self,
        recipe: SCTRecipe,
        template: Template,
        signer: forge.AnyKey,
        certificate: CertificateRecipe,
        issuer: x509.Certificate,
    ) -> SCT:
        if recipe.flaw == "other-certificate":
            template = dataclasses.replace(template, serial=template.serial ^ 1)
        tbs = forge.to_be_signed_by(template, signer, hash_name=certificate.hash)
        moment = self._now + recipe.time
        sct = self._logs[recipe.log].promise(tbs, issuer, now=moment)
        if recipe.flaw == "signature":
            forged = self._logs["unknown"].promise(tbs, issuer, now=moment)
            sct = dataclasses.replace(sct, signature=forged.signature)
        return sct

    def _signer(self, name: str, signed_by: str | None = None) -> Credential:
        certificate = self._certificate(name)
        key = cast(PrivateKey, self._key(signed_by or name))
        return Credential(key, certificate, (certificate,))

    def _crl(self, recipe: CRLRecipe) -> bytes:
        when = self._now + recipe.this_update
        return make_crl(
            self._signer(recipe.issuer, recipe.signed_by),
            [
                Revoked(
                    self._certificate(name).serial_number, when, x509.ReasonFlags.key_compromise
                )
                for name in recipe.revoked
            ],
            now=when,
            next_update=self._now + recipe.next_update,
            scope=None if recipe.scope == "all" else _scope(of_cas=recipe.scope == "cas"),
        )

    def _staple(self, recipe: StapleRecipe) -> bytes:
        if recipe.status == "garbage":
            return _GARBAGE
        about = self._recipes.get(recipe.about) or CertificateRecipe()
        when = self._now + recipe.this_update
        reason = x509.ReasonFlags.key_compromise
        return make_ocsp_response(
            CertID.of(
                self._certificate(recipe.about), self._certificate(about.issuer or "intermediate")
            ),
            Revoked(self._certificate(recipe.about).serial_number, when, reason)
            if recipe.status == "revoked"
            else recipe.status,
            by=self._signer(recipe.signed_by),
            this_update=when,
            next_update=self._now + recipe.next_update,
        )
