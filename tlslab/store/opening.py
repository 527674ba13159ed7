"""Opening a store in a directory so that a missing or wrong key never goes unnoticed.

It fails closed: there is no default key, no fallback to plain storage, and a key file is made only
for a store that has no object yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tlslab.errors import UsageError
from tlslab.store.catalog import Catalog
from tlslab.store.encryption import SSES3
from tlslab.store.files import Files
from tlslab.store.payload import Download, blob_path
from tlslab.store.record import ObjectInfo, Record
from tlslab.store.root_key import RootKey
from tlslab.store.service import ObjectStore


def open_store(directory: Path, *, root_key_file: Path | None) -> ObjectStore:
    """A store in a directory: with SSE-S3 under the root key in a file, plain with None.

    The key file is created (mode 0600) if the store has no object. Raises UsageError if it is
    missing although there are objects, is open to others, is malformed, or is not the one the
    objects were encrypted with; and if plain and encrypted objects would be mixed.
    """
    record = _any_record(directory)
    if root_key_file is None:
        if record is not None and record.envelope is not None:
            raise UsageError(
                "the store holds encrypted objects and was to be opened without a key",
                hint="name its root key file",
            )
        return ObjectStore(directory, encryption=None)
    if record is None and not root_key_file.exists():
        RootKey.generate().save(root_key_file)
    root_key = RootKey.load(root_key_file)
    if record is not None:
        if record.envelope is None:
            raise UsageError(
                "the store holds plain objects and was to be opened with encryption",
                hint="put them into a new, encrypted store; mixing both would hide which is which",
            )
        if record.envelope.get("root_key") not in root_key.ids:
            raise UsageError(
                f"{root_key_file} is not the root key this store was encrypted with",
                hint="restore the key file that belongs to it, or choose another directory",
            )
    return ObjectStore(directory, encryption=SSES3(root_key))


def read_objects(directory: Path, root_key: RootKey | None) -> Iterator[tuple[ObjectInfo, bytes]]:
    """What somebody reads who has the store's files, and its root key or None, but no store.

    Every object with its bytes. Raises IntegrityError at the first one that the key does not open;
    without a key that is the first encrypted one.
    """
    files = Files(directory)
    for record in _records(files):
        data_key = None
        if root_key is not None and record.envelope is not None:
            data_key = SSES3(root_key).recover(record.envelope, record.context)
        info = record.open(data_key)
        reader = files.open_reader(blob_path(record.blob))
        if reader is None:
            continue
        download = Download(reader, size=info.size, data_key=data_key)
        yield info, b"".join(iter(download.next_batch, b""))


def _any_record(directory: Path) -> Record | None:
    return next(_records(Files(directory)), None) if directory.is_dir() else None


def _records(files: Files) -> Iterator[Record]:
    catalog = Catalog(files)
    for bucket in catalog.buckets():
        yield from catalog.records(bucket)
