"""A key management service that speaks AWS KMS: keys, and who may do what with them.

    face.py            the API on the wire
    service.py         one request after the other: decide, act, record, in one write
      call.py          a request on its way through
      shapes.py        types of parameters, and AWS's words for what breaks their limits
      naming.py        what a KeyId means
      authorisation.py key policies, identities' policies, grants
      conditions.py    condition keys
      operations/      one module per subject; operations/table.py lists all operations
      schedule.py      what happens by itself in time
      managed.py       the keys that AWS makes by itself
      usage.py         when a key was last used
      paging.py        pages of lists
    model.py           what a key is, and the table of its states
    grants.py          grants
    blob.py            the format of ciphertexts
    keyring.py         keys and material in the database
      cache.py         in memory, for as long as it is true
      tables.py        the tables
    material/          the cryptography of key material, and nothing else

One KMS serves all accounts and regions. It does not know who its callers are (see `tlslab.iam`),
where objects are, nor how it is reached.
"""

from __future__ import annotations

from tlslab.kms.errors import KMSError
from tlslab.kms.managed import AWS_ACCOUNT
from tlslab.kms.service import KMS, DataKey, Decrypted
from tlslab.kms.tables import metadata

__all__ = ["AWS_ACCOUNT", "KMS", "DataKey", "Decrypted", "KMSError", "metadata"]
