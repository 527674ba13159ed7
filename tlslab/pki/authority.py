"""A certificate authority in memory: a root, an intermediate, and the leaves it issues.

The root signs the intermediate, the intermediate signs leaves (RFC 5280 section 3.2). Knows
nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from tlslab.errors import UsageError
from tlslab.pki.credential import Credential, to_pem
from tlslab.pki.keys import KeyType, PrivateKey, PublicKey
from tlslab.pki.names import MAX_COMMON_NAME, common_name, subject_name
from tlslab.pki.profile import Kind, Profile
from tlslab.pki.template import Template, draft
from tlslab.pki.trust import TrustStore

_ROOT_TITLE = "root CA"
_INTERMEDIATE_TITLE = "intermediate CA"


@dataclass(frozen=True)
class Authority:
    """A root and an intermediate, with the keys to sign.

    `root_key` is None where only leaves are to be issued: a careful CA keeps it locked away.
    """

    name: str
    root: x509.Certificate
    intermediate: x509.Certificate
    intermediate_key: PrivateKey = field(repr=False)
    root_key: PrivateKey | None = field(default=None, repr=False)

    @classmethod
    def create(
        cls,
        name: str = "tlslab",
        *,
        now: datetime | None = None,
        key_type: KeyType | None = None,
    ) -> Authority:
        """A new authority called `name`, by the shipped profiles `root` and `intermediate`.

        `now` (aware; the system's clock by default) is when it starts to be. `key_type` is for
        both CAs; by default their profiles say it. Raises UsageError if `name` does not fit into
        a certificate.
        """
        now = _aware(now)
        profile = Profile.named("root")
        root_key = (key_type or profile.key_type).generate()
        root = draft(
            profile,
            subject=_ca_subject(name, _ROOT_TITLE),
            public_key=root_key.public_key(),
            issuer=None,
            now=now,
        ).signed_by(root_key)
        profile = Profile.named("intermediate")
        key = (key_type or profile.key_type).generate()
        intermediate = draft(
            profile,
            subject=_ca_subject(name, _INTERMEDIATE_TITLE),
            public_key=key.public_key(),
            issuer=root,
            now=now,
        ).signed_by(root_key)
        return cls(name, root, intermediate, key, root_key)

    @property
    def root_pem(self) -> bytes:
        """The root's certificate as PEM: what a client has to trust."""
        return to_pem((self.root,))

    @property
    def trust(self) -> TrustStore:
        """A trust store that believes this authority and no other."""
        return TrustStore((self.root,))

    def issue(
        self,
        *names: str,
        profile: Profile | str = "server",
        now: datetime | None = None,
        key_type: KeyType | None = None,
        lifetime: timedelta | None = None,
        common_name: str | None = None,
    ) -> Credential:
        """A new key pair and its certificate for `names`: DNS names or IP addresses, as text.

        `profile` is one that was loaded, or the name of a shipped one. By default the key type
        and lifetime are the profile's, and the common name is the first name. A client may have a
        common name alone. Raises UsageError for what cannot be issued.
        """
        profile = Profile.named(profile) if isinstance(profile, str) else profile
        key = (key_type or profile.key_type).generate()
        leaf = self.draft(
            *names,
            public_key=key.public_key(),
            profile=profile,
            now=now,
            lifetime=lifetime,
            common_name=common_name,
        ).signed_by(self.intermediate_key)
        return Credential(key, leaf, (leaf, self.intermediate))

    def draft(
        self,
        *names: str,
        public_key: PublicKey,
        profile: Profile,
        now: datetime | None = None,
        lifetime: timedelta | None = None,
        common_name: str | None = None,
    ) -> Template:
        """What `issue` is about to sign for `public_key`; arguments and errors are the same."""
        if profile.kind.is_ca:
            raise UsageError(
                f"the profile {profile.name!r} is for a CA, which is not issued like a leaf",
                hint="use a profile of kind server or client",
            )
        if not names and (profile.kind is not Kind.CLIENT or common_name is None):
            raise UsageError(
                f"a certificate of kind {str(profile.kind)!r} needs a name",
                hint="give a DNS name or an IP address",
            )
        now = _aware(now)
        self._check_lifetime(now, profile.lifetime if lifetime is None else lifetime)
        subject_names = tuple(dict.fromkeys(map(subject_name, names)))
        return draft(
            profile,
            subject=_leaf_subject(subject_names, common_name),
            public_key=public_key,
            names=subject_names,
            issuer=self.intermediate,
            now=now,
            lifetime=lifetime,
        )

    def _check_lifetime(self, now: datetime, lifetime: timedelta) -> None:
        """A leaf that outlives its issuer would fail on a day that nobody has in mind."""
        if lifetime <= timedelta(0):
            raise UsageError("a certificate needs a lifetime of more than nothing")
        left = self.intermediate.not_valid_after_utc - now
        if lifetime > left:
            end = self.intermediate.not_valid_after_utc.date()
            raise UsageError(
                f"the certificate would outlive its issuer, which ends on {end}",
                hint=f"it can live for {max(left.days, 0)} days at most",
            )


def _aware(now: datetime | None) -> datetime:
    if now is None:
        return datetime.now(UTC)
    if now.tzinfo is None:
        raise ValueError("`now` must be aware: give it a time zone")
    return now.astimezone(UTC)


def _ca_subject(name: str, title: str) -> x509.Name:
    longest = MAX_COMMON_NAME - len(f" {_INTERMEDIATE_TITLE}")
    if not name.strip() or not name.isprintable() or len(name) > longest:
        raise UsageError(
            f"{name[:MAX_COMMON_NAME]!r} cannot be the name of a CA",
            hint=f"it takes 1 to {longest} printable characters",
        )
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{name} {title}"),
        ]
    )


def _leaf_subject(names: tuple[x509.DNSName | x509.IPAddress, ...], given: str | None) -> x509.Name:
    """The common name is for people; clients go by the alternative names (RFC 9525).

    A first name too long for it gives an empty subject, which RFC 5280 allows.
    """
    text = common_name(given) if given is not None else str(names[0].value)
    if len(text) > MAX_COMMON_NAME:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
