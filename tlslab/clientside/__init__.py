"""Encryption before upload: the server that keeps the bytes never had the key.

    content.py      the content of an object: AES-256-GCM, with commitment to its key
    metadata.py     what must be known to decrypt it, in the published formats V3 and V2
    keyrings.py     who wraps the data key: an application's key, or a KMS
    objects.py      whole objects, as streams
    placing.py      a file that appears when it is complete and verified
    remote/         a small client of S3 and KMS

A fresh data key encrypts each object, and the keyring's key wraps the data key. The formats are
those of the Amazon S3 Encryption Client, so that its clients read what is written here, and the
other way round: V3, which commits to its key, by default; V2 by name; V1 never, for it does not
authenticate. Whoever loses the key that wraps has lost the data; nobody can help.

Neither a network in between, nor a proxy that terminates TLS, nor the operator of the store learns
more than the length (and the context, where a KMS wraps). It knows nothing of how stores keep
objects.
"""

from tlslab.clientside.application_key import ApplicationKey
from tlslab.clientside.keyrings import ApplicationKeyring, DataKey, Keyring, KMSKeyring
from tlslab.clientside.metadata import Format
from tlslab.clientside.objects import (
    EncryptedObject,
    decrypt,
    decrypt_stream,
    encrypt,
    encrypt_stream,
)

__all__ = [
    "ApplicationKey",
    "ApplicationKeyring",
    "DataKey",
    "EncryptedObject",
    "Format",
    "KMSKeyring",
    "Keyring",
    "decrypt",
    "decrypt_stream",
    "encrypt",
    "encrypt_stream",
]
