"""A certificate authority on disk.

    DIR/                  mode 0700
      root.pem            the certificate that clients have to trust
      root.key            mode 0600, as every key; may be taken away to a safe place
      intermediate.pem
      intermediate.key
      issued/LABEL/       one folder for each leaf
        certificate.pem   the leaf alone
        chain.pem         leaf and intermediate, as a server sends them
        key.pem           mode 0600; absent if the leaf was issued to a folder elsewhere

Each folder appears whole or not at all, and nothing is ever overwritten. Knows nothing of the
command line.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from tlslab.errors import PKIError, UsageError
from tlslab.pki.authority import Authority
from tlslab.pki.credential import Chain, Credential, parse_certificates, public_key_of, to_pem
from tlslab.pki.files import (
    PRIVATE_FILE,
    PUBLIC_FILE,
    create_folder,
    is_file,
    read_file,
    read_private_file,
)
from tlslab.pki.keys import KeyType, PrivateKey, parse_private_key, private_key_pem, same_key
from tlslab.pki.profile import Profile

ROOT = "root"
INTERMEDIATE = "intermediate"
_ISSUED = "issued"
_CERTIFICATE, _CHAIN, _KEY = "certificate.pem", "chain.pem", "key.pem"

_LABEL = re.compile(r"[\w@][\w@.-]{0,62}")  # at most 252 bytes of UTF-8, never hidden, never a path


@dataclass(frozen=True)
class Issued:
    """A leaf on disk: its label in the directory, the folder that holds its key, and itself."""

    label: str
    folder: Path
    credential: Credential


class CADirectory:
    """A CA in a folder. `path` is the folder; `root` and `intermediate` are its certificates."""

    def __init__(self, path: Path | str) -> None:
        """Open the CA in `path`; raises UsageError if there is none, PKIError if it is damaged."""
        self.path = Path(path)
        if not is_file(self.path / f"{ROOT}.pem"):
            raise UsageError(
                f"there is no CA in {self.path}",
                hint="make one with `tlslab ca init`, or name another folder with --dir",
            )
        self.root = self._certificate(ROOT)
        self.intermediate = self._certificate(INTERMEDIATE)
        try:
            self.intermediate.verify_directly_issued_by(self.root)
        except (ValueError, TypeError, InvalidSignature) as error:
            raise PKIError(f"{self.path}: the intermediate is not signed by the root") from error

    @classmethod
    def init(
        cls,
        path: Path | str,
        *,
        name: str = "tlslab",
        key_type: KeyType | None = None,
        now: datetime | None = None,
    ) -> CADirectory:
        """Make a new CA in `path`, which must be new or empty (UsageError); see `Authority`."""
        authority = Authority.create(name, now=now, key_type=key_type)
        assert authority.root_key is not None
        create_folder(
            Path(path),
            {
                f"{ROOT}.key": (private_key_pem(authority.root_key), PRIVATE_FILE),
                f"{ROOT}.pem": (authority.root_pem, PUBLIC_FILE),
                f"{INTERMEDIATE}.key": (private_key_pem(authority.intermediate_key), PRIVATE_FILE),
                f"{INTERMEDIATE}.pem": (to_pem((authority.intermediate,)), PUBLIC_FILE),
            },
        )
        return cls(path)

    @property
    def name(self) -> str:
        """What the CA is called."""
        found = self.root.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        return str(found[0].value) if found else self.root.subject.rfc4514_string()

    def authority(self, *, with_root_key: bool = False) -> Authority:
        """The authority, ready to issue. Leaves need no root key, so it is read only on request.

        Raises PKIError if a key is damaged, another's, or readable by others; UsageError if it
        is not there.
        """
        return Authority(
            name=self.name,
            root=self.root,
            intermediate=self.intermediate,
            intermediate_key=self._key(INTERMEDIATE, self.intermediate),
            root_key=self._key(ROOT, self.root) if with_root_key else None,
        )

    def issue(
        self,
        *names: str,
        profile: Profile | str = "server",
        now: datetime | None = None,
        key_type: KeyType | None = None,
        lifetime: timedelta | None = None,
        common_name: str | None = None,
        label: str | None = None,
        out: Path | None = None,
    ) -> Issued:
        """Issue a leaf (see `Authority.issue`) and keep it under `label`.

        By default the label comes from the first name. `out` is a new folder for the key and
        chain; then the directory keeps the certificate without the key. Raises UsageError if the
        label or the folder is taken.
        """
        first = names[0] if names else (common_name or "")
        label = default_label(first) if label is None else _checked_label(label)
        if label in self.labels():
            raise UsageError(
                f"there is a certificate called {label!r} already, and nothing is overwritten",
                hint="give the new one another name with --label",
            )
        kept = self.path / _ISSUED / label
        credential = self.authority().issue(
            *names,
            profile=profile,
            now=now,
            key_type=key_type,
            lifetime=lifetime,
            common_name=common_name,
        )
        public = {
            _CERTIFICATE: (credential.certificate_pem, PUBLIC_FILE),
            _CHAIN: (credential.chain_pem, PUBLIC_FILE),
        }
        whole = {**public, _KEY: (credential.key_pem, PRIVATE_FILE)}
        if out is None:
            create_folder(kept, whole)
            return Issued(label, kept, credential)
        # The record goes first: a CA must know of every certificate that is out there.
        create_folder(kept, public)
        try:
            create_folder(out, whole)
        except BaseException:
            shutil.rmtree(kept)  # this one never went out, and its key is gone
            raise
        return Issued(label, out, credential)

    def labels(self) -> list[str]:
        """The labels of all leaves, sorted."""
        try:
            names = [entry.name for entry in (self.path / _ISSUED).iterdir()]
        except FileNotFoundError:  # nothing was issued yet
            return []
        except OSError as error:
            raise PKIError(f"cannot list {self.path / _ISSUED}: {error.strerror}") from error
        return sorted(name for name in names if _LABEL.fullmatch(name))

    def chain(self, label: str) -> Chain:
        """The chain of `"root"`, `"intermediate"` or a leaf, itself first; raises UsageError."""
        if label == ROOT:
            return (self.root,)
        if label == INTERMEDIATE:
            return (self.intermediate,)
        return _parsed(self._issued(label) / _CHAIN)

    def credential(self, label: str) -> Credential:
        """A leaf with its key; raises UsageError if the key is not kept here."""
        folder = self._issued(label)
        if not is_file(folder / _KEY):
            raise UsageError(f"the key of {label!r} is not kept in {self.path}")
        return Credential.from_pem(read_file(folder / _CHAIN), read_private_file(folder / _KEY))

    def _issued(self, label: str) -> Path:
        if label not in self.labels():
            raise UsageError(
                f"there is no certificate called {label!r} in {self.path}",
                hint=f"there are {', '.join((ROOT, INTERMEDIATE, *self.labels()))}",
            )
        return self.path / _ISSUED / label

    def _certificate(self, name: str) -> x509.Certificate:
        return _parsed(self.path / f"{name}.pem")[0]

    def _key(self, name: str, certificate: x509.Certificate) -> PrivateKey:
        path = self.path / f"{name}.key"
        try:
            key = parse_private_key(read_private_file(path))
        except PKIError as error:
            raise PKIError(f"{path}: {error.message}", hint=error.hint) from error
        if not same_key(key.public_key(), public_key_of(certificate)):
            raise PKIError(f"{path}: the private key does not belong to the {name}'s certificate")
        return key


def _parsed(path: Path) -> Chain:
    try:
        return parse_certificates(read_file(path))
    except PKIError as error:
        raise PKIError(f"{path}: {error.message}", hint=error.hint) from error


def default_label(name: str) -> str:
    """The label for a name: a file name that resembles it (`*.shop.test` is `_.shop.test`)."""
    label = re.sub(r"[^\w@.-]", "-", name.replace("*", "_").lower()).lstrip(".-")[:63]
    return _checked_label(label or "unnamed")


def _checked_label(label: str) -> str:
    if not _LABEL.fullmatch(label) or label in (ROOT, INTERMEDIATE):
        raise UsageError(
            f"{label[:80]!r} cannot be the label of a certificate",
            hint="give one with --label: letters, digits and @ . _ -, but not root or intermediate",
        )
    return label
