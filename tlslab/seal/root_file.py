"""Which root of trust a file stands for: the key file itself, or a TOML file that names another's.

    [vault-transit]                                [aws-kms]
    url = "https://vault.example:8200"             key_id = "arn:aws:kms:eu-west-2:…:key/…"
    key = "tlslab"                                 region = "eu-west-2"
    mount = "transit"          # unless it is      url = "https://kms.example"   # unless AWS's own
    namespace = "team"         # if there is one   ca_file = "ca.pem"
    ca_file = "ca.pem"         # else the system's
    token_file = "vault.token" # else VAULT_TOKEN

AWS's credentials come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Relative
paths are relative to the file. The TOML file holds no secret.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from tlslab.envelope import read_private_file
from tlslab.errors import UsageError
from tlslab.iam.section import Section
from tlslab.iam.signing import Credentials
from tlslab.pki import TrustStore
from tlslab.seal import aws_kms, passphrase, vault
from tlslab.seal.aws_kms import AWSKMSRoot
from tlslab.seal.passphrase import PassphraseFile
from tlslab.seal.root import RootOfTrust
from tlslab.seal.service import Service
from tlslab.seal.vault import VaultTransitRoot

MAX_FILE_BYTES = 64 * 1024

_ANY = re.compile(r"[^\x00-\x1f\x7f]{1,2048}")
_NONE = re.compile(r"[^\x00-\x1f\x7f]{0,2048}")


def open_root(
    path: Path, *, ask_passphrase: Callable[[], bytes], environment: Mapping[str, str]
) -> RootOfTrust:
    """The root of trust that a file stands for; nobody is asked yet but for a passphrase.

    `ask_passphrase` is called for a key file only. Raises UsageError for a file that is missing or
    neither, and for secrets that are missing.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise UsageError(
            f"cannot read the root of trust {path}: {(error.strerror or 'error').lower()}",
            hint="nothing opens without it; restore the file from its copy",
        ) from error
    if data.startswith(passphrase.MAGIC):
        return PassphraseFile(path, ask_passphrase())
    section = Section(str(path), "", "", _table(path, data))
    section.only(vault.KIND, aws_kms.KIND)
    if len(section.table) != 1:
        raise section.error(
            "it is no root of trust",
            "a key file as it was created, or one table, [vault-transit] or [aws-kms]",
        )
    if vault.KIND in section.table:
        return _vault(path.parent, section.inner(vault.KIND), environment)
    return _aws_kms(path.parent, section.inner(aws_kms.KIND), environment)


def _table(path: Path, data: bytes) -> dict[str, object]:
    try:
        return tomllib.loads(data.decode())
    except ValueError:  # of TOML, and of UTF-8
        return {}


def _vault(folder: Path, section: Section, environment: Mapping[str, str]) -> VaultTransitRoot:
    section.only("url", "key", "mount", "namespace", "ca_file", "token_file")
    token_file = section.text("token_file", _NONE, "a path", "")
    if token_file:
        data = read_private_file(folder / token_file, "token")
        token = data.decode("latin-1").removesuffix("\n")
    else:
        token = environment.get("VAULT_TOKEN", "")
    if not token:
        raise section.error("there is no token", "name a token_file, or set VAULT_TOKEN")
    return VaultTransitRoot(
        _service(folder, section, section.text("url", _ANY, "a URL")),
        section.text("key", _ANY, "the name of a transit key"),
        token,
        mount=section.text("mount", _ANY, "a path", "transit"),
        namespace=section.text("namespace", _NONE, "a path", "") or None,
    )


def _aws_kms(folder: Path, section: Section, environment: Mapping[str, str]) -> AWSKMSRoot:
    section.only("url", "key_id", "region", "ca_file")
    region = section.text("region", _ANY, "a region")
    key, secret = (
        environment.get(name, "") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    )
    if not key or not secret:
        raise section.error(
            "there are no credentials", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    own = f"https://kms.{region}.amazonaws.com"
    return AWSKMSRoot(
        _service(folder, section, section.text("url", _ANY, "a URL", own)),
        section.text("key_id", _ANY, "a key's ARN"),
        region,
        Credentials(key, secret, environment.get("AWS_SESSION_TOKEN") or None),
    )


def _service(folder: Path, section: Section, url: str) -> Service:
    ca_file = section.text("ca_file", _NONE, "a path", "")
    if not ca_file:
        return Service(url)
    try:
        return Service(url, TrustStore.from_pem((folder / ca_file).read_bytes()))
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise section.error(f"cannot read the ca_file: {reason}", "a file in PEM") from error
