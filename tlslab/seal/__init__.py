"""The root of trust: what must be there before a store or a KMS opens anything that it keeps.

    root of trust ── wraps ──► master key ──┬─ wrap/unwrap ─► long-lived secrets in the database
    (passphrase file,                       └─ derive ──────► keys of the audit trail, metadata, ...
     AWS KMS, Vault)

    seal.py        an opened seal: the master key in memory, and what it may be used for
    root.py        what a root of trust is
    tables.py      where the wrapped master key is kept
    opening.py     opening, creating and rewrapping it, always failing closed
    passphrase.py  a root of trust on this machine: a key file and a passphrase
    service.py     one request to an external one, over verified TLS
    vault.py       Vault's and OpenBao's transit engine
    aws_kms.py     a key of AWS KMS, or of whatever speaks its API
    root_file.py   which of them a file stands for

It knows nothing of buckets, objects or KMS keys.
"""

from tlslab.seal.aws_kms import AWSKMSRoot
from tlslab.seal.opening import Begin, open_seal, rewrap
from tlslab.seal.passphrase import Cost, PassphraseFile
from tlslab.seal.root import RootOfTrust
from tlslab.seal.root_file import open_root
from tlslab.seal.seal import Seal
from tlslab.seal.service import Service
from tlslab.seal.tables import metadata
from tlslab.seal.vault import VaultTransitRoot

__all__ = [
    "AWSKMSRoot",
    "Begin",
    "Cost",
    "PassphraseFile",
    "RootOfTrust",
    "Seal",
    "Service",
    "VaultTransitRoot",
    "metadata",
    "open_root",
    "open_seal",
    "rewrap",
]
