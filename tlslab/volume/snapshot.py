"""Snapshots: a volume at one moment, in one file, under a data key of its own.

    snapshot = descriptor (a line) || segments(data key, payload)    (see tlslab.envelope.segments)
    payload  = size of the volume (8) || (number (8) || block (4,096))*    the blocks ever written

A copy to another region opens the source segment by segment and seals each under the target's key
as it goes: the plaintext is in memory, some hundred KiB at a time, and on no disk. Neither region's
KMS ever sees the other's key. A snapshot is whole or not there: it gets its name when its last byte
is durable.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import trio

from tlslab.envelope import SegmentOpener, SegmentSealer, sync_directory
from tlslab.errors import IntegrityError, UsageError
from tlslab.iam.caller import Caller
from tlslab.volume.cells import BLOCK_BYTES
from tlslab.volume.data_keys import KMS, new_data_key, unwrap_data_key
from tlslab.volume.descriptor import (
    MAX_DESCRIPTOR_BYTES,
    Descriptor,
    encode_descriptor,
    new_id,
    read_descriptor,
)
from tlslab.volume.device import Device
from tlslab.volume.volume import Volume, attach, create_volume

_NUMBER_BYTES = 8
_RECORD_BYTES = _NUMBER_BYTES + BLOCK_BYTES
_CHUNK_BYTES = 256 * 1024
"""Read and sealed at a time: four segments."""


async def take_snapshot(
    kms: KMS, caller: Caller, volume: Volume, path: Path, *, key_id: str | None = None
) -> Descriptor:
    """The volume as it is now, flushed, in a new file; what is written meanwhile waits.

    Under the volume's own KMS key, or `key_id` in the same region. Raises UsageError if the path
    exists, KMSError, IntegrityError if a block of the volume is not what was written last.
    """
    source = volume.descriptor
    descriptor, key = await new_data_key(
        kms, caller,
        kind="snapshot", resource_id=new_id("snapshot"), size=source.size, region=source.region,
        key_id=key_id or source.kms_key_arn,
    )  # fmt: skip
    await volume.run(lambda device: _write(path, descriptor, key, _payload(device)))
    return descriptor


async def restore_snapshot(
    kms: KMS, caller: Caller, path: Path, directory: Path, *, key_id: str | None = None
) -> Descriptor:
    """A new volume with the snapshot's content, in the snapshot's region.

    Under the snapshot's KMS key or `key_id`. Raises KMSError if a key cannot be used,
    IntegrityError if the snapshot does not authenticate, UsageError if it is none or the directory
    exists; then there is no volume.
    """
    snapshot = await trio.to_thread.run_sync(read_descriptor, path, "snapshot")
    key = await unwrap_data_key(kms, caller, snapshot)
    if directory.exists():
        raise UsageError(f"cannot make the volume {directory}: file exists")
    partial = directory.with_name(f".{directory.name}.{secrets.token_hex(8)}")
    try:
        descriptor = await create_volume(
            kms, caller, partial,
            size=snapshot.size, region=snapshot.region, key_id=key_id or snapshot.kms_key_arn,
        )  # fmt: skip
        async with await attach(kms, caller, partial) as volume:
            await volume.run(lambda device: _fill(device, _open(path, key), snapshot.size))
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    sync_directory(directory.parent)
    return descriptor


async def copy_snapshot(
    kms: KMS, caller: Caller, path: Path, target: Path, *, region: str, key_id: str
) -> Descriptor:
    """The snapshot once more, in `region` and under its KMS key `key_id`.

    Raises UsageError if the source is no snapshot or the target exists, KMSError if either key
    cannot be used, IntegrityError if the source does not authenticate; then there is no target.
    """
    source = await trio.to_thread.run_sync(read_descriptor, path, "snapshot")
    old_key = await unwrap_data_key(kms, caller, source)
    descriptor, key = await new_data_key(
        kms, caller,
        kind="snapshot", resource_id=new_id("snapshot"), size=source.size, region=region,
        key_id=key_id,
    )  # fmt: skip
    await trio.to_thread.run_sync(lambda: _write(target, descriptor, key, _open(path, old_key)))
    return descriptor


def _payload(device: Device) -> Iterator[bytes]:
    yield device.size.to_bytes(_NUMBER_BYTES, "big")
    for number, block in device.written():
        yield number.to_bytes(_NUMBER_BYTES, "big") + block


def _write(path: Path, descriptor: Descriptor, key: bytes, payload: Iterable[bytes]) -> None:
    """Seal a payload into a file that appears at `path` when it is whole."""
    if path.exists():
        raise UsageError(f"the snapshot {path} exists already")
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(encode_descriptor(descriptor))
            sealer = SegmentSealer(key)
            for chunk in payload:
                file.write(sealer.seal(chunk))
            file.write(sealer.finish())
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # unlike a rename it never replaces
    except FileExistsError:
        raise UsageError(f"the snapshot {path} exists already") from None
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise UsageError(f"cannot write the snapshot {path}: {reason}") from error
    finally:
        partial.unlink(missing_ok=True)
    sync_directory(path.parent)


def _open(path: Path, key: bytes) -> Iterator[bytes]:
    """The payload of a snapshot, authenticated piece by piece; its end is sure after the last."""
    opener = SegmentOpener(key)
    with path.open("rb") as file:
        file.readline(MAX_DESCRIPTOR_BYTES)
        while chunk := file.read(_CHUNK_BYTES):
            yield opener.open(chunk)
        yield opener.finish()


def _fill(device: Device, payload: Iterator[bytes], size: int) -> None:
    pending = bytearray()
    known_size = False
    last = -1
    for chunk in payload:
        pending += chunk
        if not known_size and len(pending) >= _NUMBER_BYTES:
            if int.from_bytes(pending[:_NUMBER_BYTES], "big") != size:
                raise IntegrityError("a snapshot's descriptor names another size than it has")
            del pending[:_NUMBER_BYTES]
            known_size = True
        ready = len(pending) // _RECORD_BYTES * _RECORD_BYTES
        for at in range(0, ready, _RECORD_BYTES):
            number = int.from_bytes(pending[at : at + _NUMBER_BYTES], "big")
            if number <= last or (number + 1) * BLOCK_BYTES > size:
                raise IntegrityError("a snapshot's blocks are out of order")
            last = number
            device.write(
                number * BLOCK_BYTES, bytes(pending[at + _NUMBER_BYTES : at + _RECORD_BYTES])
            )
        del pending[:ready]
    if pending or not known_size:
        raise IntegrityError("a snapshot ends within a block")
    device.flush()
