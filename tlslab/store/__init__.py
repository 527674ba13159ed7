"""Buckets and objects, encrypted at rest, and the S3 API in front of them.

    s3/            the S3 API over HTTP
    engine.py      the store as a service in this process, made of:
        foundation.py   database, files, keys, clock
        buckets.py      buckets and their settings
        bodies.py       bodies taken in
        reading.py      objects found and opened
        objects.py      single objects
        copying.py      copies
        multipart.py    uploads in parts, with completion.py
        listing.py      listings
        maintenance.py  leftovers, rotation, rewrapping
    model.py       what the store takes and gives
    refusals.py    how it says no: S3's error codes
    tables.py      where it keeps what is not payload; rows.py records.py sealed.py times.py
    protection.py  data keys wrapped and unwrapped: SSE-S3, SSE-KMS, SSE-C
        envelopes.py    the wrapped keys of one object
        keyring.py      the root key of SSE-S3
        bucket_keys.py  keys from the KMS
    pieces.py      sealed bytes in a blob or in the database; layout.py stored.py
    hashing.py     ETag, Content-MD5, checksums.py
    files.py       atomic and durable writes through obstore
    names.py       which names and metadata are allowed; tags.py

The formats of sealed bytes are in `tlslab.envelope`.
"""

from tlslab.store.engine import ObjectStore
from tlslab.store.refusals import Refused
from tlslab.store.tables import metadata

__all__ = ["ObjectStore", "Refused", "metadata"]
