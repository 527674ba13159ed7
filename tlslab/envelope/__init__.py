"""Envelope encryption: the formats and key handling that every encryption at rest shares.

    data key ── box ──────► wrapped data key        (under a root key, an application key, ...)
       │
       ├────── box ───────► sealed metadata
       └────── segments ──► sealed payload

    keys.py      fresh keys, and the one derivation that everything below starts with
    context.py   what a ciphertext belongs to, as bytes to authenticate
    box.py       a small value sealed as a whole
    segments.py  a payload of any size, sealed in segments that stream
    keyfile.py   keys in files of mode 0600

`store` (encryption on the server) and `clientside` (encryption before upload) both build on it; it
knows nothing of buckets, HTTP or who holds which key, and its codecs do no I/O.
"""

from tlslab.envelope.box import BOX_OVERHEAD, open_box, seal_box
from tlslab.envelope.context import encode_context
from tlslab.envelope.keyfile import (
    create_key_file,
    create_private_file,
    parse_key_file,
    read_key_file,
    read_private_file,
    replace_private_file,
    sync_directory,
)
from tlslab.envelope.keys import KEY_BYTES, key_id, new_key
from tlslab.envelope.segments import (
    HEADER_BYTES,
    SEGMENT_BYTES,
    SegmentAccess,
    SegmentOpener,
    SegmentSealer,
    sealed_size,
)

__all__ = [
    "BOX_OVERHEAD",
    "HEADER_BYTES",
    "KEY_BYTES",
    "SEGMENT_BYTES",
    "SegmentAccess",
    "SegmentOpener",
    "SegmentSealer",
    "create_key_file",
    "create_private_file",
    "encode_context",
    "key_id",
    "new_key",
    "open_box",
    "parse_key_file",
    "read_key_file",
    "read_private_file",
    "replace_private_file",
    "seal_box",
    "sealed_size",
    "sync_directory",
]
