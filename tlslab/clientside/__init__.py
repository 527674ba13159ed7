"""Encryption before upload: the server that keeps the bytes never had the key.

    sealed object = "tlscse" version(2) || wrapped data key (80) || payload in segments

A fresh data key encrypts the payload; the application's key wraps the data key, bound to a context
that the application chooses (say, where it stores the object), so that a server cannot pass one
object off as another. Whoever loses the application key has lost the data; nobody can help.

Neither a network in between, nor a proxy that terminates TLS, nor the operator of the store learns
more than the length. The formats are those of `tlslab.envelope`; this package imports nothing else.
"""

from tlslab.clientside.application_key import ApplicationKey
from tlslab.clientside.sealing import decrypt, encrypt

__all__ = ["ApplicationKey", "decrypt", "encrypt"]
