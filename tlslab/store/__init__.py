"""Buckets and objects, encrypted at rest.

    face.py        HTTP in front of the service; only translates
    service.py     the service: put, get, head, delete, list, collect leftovers
    opening.py     opening a store in a directory, failing closed; reading one without the service
    encryption.py  where data keys come from: SSE-S3 now, the seam for other kinds
    root_key.py    the root key and its versions
    catalog.py     which objects there are (small files now; a database can take its place)
    record.py      an object's record: the format
    payload.py     an object's bytes into a blob and out of it
    files.py       atomic and durable writes through obstore
    names.py       which names and metadata are allowed
    errors.py      what callers act on

The formats of sealed bytes and key files are in `tlslab.envelope`.
"""

from tlslab.store.encryption import SSES3, Encryption
from tlslab.store.errors import BucketExists, InvalidName, NotDurable, StorageFull, TooLarge
from tlslab.store.opening import open_store, read_objects
from tlslab.store.record import ObjectInfo
from tlslab.store.root_key import RootKey
from tlslab.store.service import ObjectBody, ObjectStore

__all__ = [
    "SSES3",
    "BucketExists",
    "Encryption",
    "InvalidName",
    "NotDurable",
    "ObjectBody",
    "ObjectInfo",
    "ObjectStore",
    "RootKey",
    "StorageFull",
    "TooLarge",
    "open_store",
    "read_objects",
]
