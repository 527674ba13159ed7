"""Volumes: created and attached with a key of the KMS, then read, written and flushed.

The data key is asked of the KMS each time a volume is attached, and lives in memory until it is
detached. So disabling the KMS key, or denying it to somebody, keeps the volume from being attached;
a volume that is attached goes on working, as an EBS volume does.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import trio

from tlslab.envelope import sync_directory
from tlslab.errors import IntegrityError, UsageError
from tlslab.iam.caller import Caller
from tlslab.volume.data_keys import KMS, new_data_key, unwrap_data_key
from tlslab.volume.descriptor import (
    Descriptor,
    check_size,
    encode_descriptor,
    new_id,
    read_descriptor,
)
from tlslab.volume.device import Device, create_device
from tlslab.volume.journal import State

_T = TypeVar("_T")

DESCRIPTOR = "volume.json"


class Volume:
    """An attached volume. Its operations come one after the other, each in a thread."""

    def __init__(self, descriptor: Descriptor, device: Device) -> None:
        self.descriptor = descriptor
        self._device = device
        self._lock = trio.Lock()

    @property
    def size(self) -> int:
        """In bytes."""
        return self._device.size

    @property
    def state(self) -> State:
        """The state after the last flush, for whoever wants to notice a disk that was set back."""
        return self._device.state

    async def read(self, offset: int, size: int) -> bytes:
        """As `Device.read`."""
        return await self.run(lambda device: device.read(offset, size))

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """As `Device.write`."""
        await self.run(lambda device: device.write(offset, data))

    async def flush(self) -> State:
        """As `Device.flush`."""
        return await self.run(Device.flush)

    async def run(self, work: Callable[[Device], _T]) -> _T:
        """What `work` returns, in a thread, with the device to itself meanwhile."""
        async with self._lock:
            return await trio.to_thread.run_sync(work, self._device)

    async def aclose(self) -> None:
        """Detach: what was not flushed is gone, and with it the key."""
        with trio.CancelScope(shield=True):
            async with self._lock:
                self._device.close()

    async def __aenter__(self) -> Volume:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


async def create_volume(
    kms: KMS, caller: Caller, directory: Path, *, size: int, region: str, key_id: str
) -> Descriptor:
    """Make an empty volume in a directory that does not exist yet, and say what it is.

    Raises UsageError for a size or directory that cannot be, KMSError if the key cannot be used.
    """
    check_size(size)
    resource_id = new_id("volume")
    descriptor, key = await new_data_key(
        kms, caller,
        kind="volume", resource_id=resource_id, size=size, region=region, key_id=key_id,
    )  # fmt: skip
    await trio.to_thread.run_sync(_create, directory, descriptor, key)
    return descriptor


async def attach(
    kms: KMS, caller: Caller, directory: Path, *, not_before: State | None = None
) -> Volume:
    """Open a volume; detach it with `aclose`, or use it as an asynchronous context manager.

    `not_before` is a state that the volume was once seen in. Raises IntegrityError if the disk was
    set back behind it, or if no journal is whole; KMSError if the key cannot be used; UsageError if
    there is no volume, or if it is attached already.
    """
    descriptor = await trio.to_thread.run_sync(read_descriptor, directory / DESCRIPTOR, "volume")
    key = await unwrap_data_key(kms, caller, descriptor)
    device = await trio.to_thread.run_sync(
        lambda: Device(directory, key=key, volume_id=descriptor.id, size=descriptor.size)
    )
    if not_before is not None and _was_set_back(device.state, not_before):
        device.close()
        raise IntegrityError(
            f"the volume is in the state of flush {device.state.generation}, "
            f"but was seen after flush {not_before.generation}",
            hint="the disk holds an old copy; what was written since is not there",
        )
    return Volume(descriptor, device)


def _was_set_back(state: State, seen: State) -> bool:
    same = state.generation == seen.generation
    return state.generation < seen.generation or (same and state.root != seen.root)


def _create(directory: Path, descriptor: Descriptor, key: bytes) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise UsageError(f"cannot make the volume {directory}: {reason}") from error
    create_device(directory, key=key, volume_id=descriptor.id, size=descriptor.size)
    write_new(directory / DESCRIPTOR, encode_descriptor(descriptor))


def write_new(path: Path, content: bytes) -> None:
    """A new file with this content, durably: whole or not there."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    sync_directory(path.parent)
