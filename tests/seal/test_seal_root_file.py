"""Files that stand for a root of trust: which, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import PKIError, UsageError
from tlslab.pki import Authority
from tlslab.seal import (
    AWSKMSRoot,
    Cost,
    PassphraseFile,
    RootOfTrust,
    VaultTransitRoot,
    open_root,
)
from tlslab.seal.root_file import _table

VAULT = '[vault-transit]\nurl = "https://vault.test:8200"\nkey = "tlslab"\n'
KMS = '[aws-kms]\nkey_id = "alias/tlslab"\nregion = "eu-west-2"\n'
AWS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3cret"}


def opened(path: Path, text: str, **environment: str) -> RootOfTrust:
    def nobody() -> bytes:
        raise AssertionError("a passphrase was asked for")

    path.write_text(text)
    return open_root(path, ask_passphrase=nobody, environment=environment)


async def test_a_key_file_is_one(tmp_path: Path) -> None:
    cheap = Cost(memory=8 * 1024, passes=1, lanes=1)
    made = await PassphraseFile.create(tmp_path / "root", b"passphrase", cheap)
    found = open_root(made.path, ask_passphrase=lambda: b"passphrase", environment={})
    assert found == made


def test_vault_is_one(tmp_path: Path) -> None:
    root = opened(tmp_path / "root.toml", VAULT, VAULT_TOKEN="hvs.x")
    assert isinstance(root, VaultTransitRoot)
    assert (root.key, root.mount, root.namespace, root.token) == (
        "tlslab",
        "transit",
        None,
        "hvs.x",
    )
    assert root.service.url == "https://vault.test:8200"
    (tmp_path / "token").write_text("hvs.file\n")
    (tmp_path / "token").chmod(0o600)
    text = VAULT + 'token_file = "token"\nmount = "a/b"\nnamespace = "team"\n'
    root = opened(tmp_path / "root.toml", text, VAULT_TOKEN="hvs.x")
    assert isinstance(root, VaultTransitRoot)
    assert (root.token, root.mount, root.namespace) == ("hvs.file", "a/b", "team")
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(UsageError):
        opened(tmp_path / "root.toml", text)


def test_a_kms_is_one(tmp_path: Path) -> None:
    root = opened(tmp_path / "root.toml", KMS, **AWS, AWS_SESSION_TOKEN="t0ken")
    assert isinstance(root, AWSKMSRoot)
    assert root.service.url == "https://kms.eu-west-2.amazonaws.com"
    assert (root.credentials.secret, root.credentials.token) == ("s3cret", "t0ken")
    assert "s3cret" not in repr(root)


def test_a_ca_file_is_whom_it_trusts(tmp_path: Path) -> None:
    authority = Authority.create("own")
    (tmp_path / "ca.pem").write_bytes(authority.root_pem)
    root = opened(tmp_path / "root.toml", KMS + 'ca_file = "ca.pem"\n', **AWS)
    assert isinstance(root, AWSKMSRoot)
    assert root.service.trust == authority.trust
    (tmp_path / "ca.pem").write_bytes(b"")
    with pytest.raises(PKIError):
        opened(tmp_path / "root.toml", KMS + 'ca_file = "ca.pem"\n', **AWS)
    with pytest.raises(UsageError):
        opened(tmp_path / "root.toml", KMS + 'ca_file = "other.pem"\n', **AWS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "tlslab-root-of-trust 2\n",
        VAULT + KMS,
        VAULT + "[other]\n",
        VAULT + "colour = 1\n",
        VAULT.replace('"tlslab"', "5"),
        VAULT.replace("key =", "keys ="),
        VAULT.replace("https://", "http://"),
        VAULT.replace('"tlslab"', '"../x"'),
        KMS.replace("eu-west-2", "nowhere"),
        KMS.replace("key_id", "key"),
        "vault-transit = 1\n",
    ],
)
def test_what_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        opened(tmp_path / "root.toml", text, VAULT_TOKEN="hvs.x", **AWS)


def test_missing_files_and_secrets_are_refused(tmp_path: Path) -> None:
    for text in (VAULT, KMS):
        with pytest.raises(UsageError):
            opened(tmp_path / "root.toml", text)
    with pytest.raises(UsageError):
        open_root(tmp_path / "missing", ask_passphrase=bytes, environment={})


@given(st.binary(max_size=100))
def test_any_bytes_are_a_table_or_none(data: bytes) -> None:
    assert isinstance(_table(Path("x"), data), dict)
