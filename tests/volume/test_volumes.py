"""Volumes and their KMS keys: who may attach, and what keeps anybody from it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import IntegrityError, UsageError
from tlslab.iam.caller import Caller
from tlslab.kms.errors import KMSError
from tlslab.volume import (
    BLOCK_BYTES,
    MAX_VOLUME_BYTES,
    Descriptor,
    attach,
    create_volume,
    read_descriptor,
)
from tlslab.volume.descriptor import decode_descriptor, encode_descriptor

REGION = "eu-west-2"
SIZE = 64 * BLOCK_BYTES


async def created(kms: Any, caller: Caller, directory: Path) -> Descriptor:
    return await create_volume(
        kms, caller, directory, size=SIZE, region=REGION, key_id=kms.create_key(REGION)
    )


async def test_it_lasts_from_one_attachment_to_the_next(
    kms: Any, caller: Caller, tmp_path: Path
) -> None:
    descriptor = await created(kms, caller, tmp_path / "vol")
    async with await attach(kms, caller, tmp_path / "vol") as volume:
        assert volume.descriptor == descriptor
        assert volume.size == SIZE
        await volume.write(100, b"hello")
        await volume.flush()
    async with await attach(kms, caller, tmp_path / "vol") as volume:
        assert await volume.read(99, 7) == b"\0hello\0"
    via = f"ec2.{REGION}.amazonaws.com"
    assert kms.calls == [
        ("GenerateDataKey", REGION, via),
        ("Decrypt", REGION, via),
        ("Decrypt", REGION, via),
    ]


async def test_a_disabled_key_keeps_it_from_being_attached(
    kms: Any, caller: Caller, tmp_path: Path
) -> None:
    descriptor = await created(kms, caller, tmp_path / "vol")
    volume = await attach(kms, caller, tmp_path / "vol")
    kms.disabled.add(descriptor.kms_key_arn)
    await volume.write(0, b"still attached")
    await volume.flush()
    await volume.aclose()
    with pytest.raises(KMSError) as caught:
        await attach(kms, caller, tmp_path / "vol")
    assert caught.value.code == "DisabledException"
    kms.disabled.clear()
    async with await attach(kms, caller, tmp_path / "vol") as volume:
        assert await volume.read(0, 14) == b"still attached"


async def test_a_data_key_of_another_volume_is_refused(
    kms: Any, caller: Caller, tmp_path: Path
) -> None:
    first = await created(kms, caller, tmp_path / "first")
    second = await created(kms, caller, tmp_path / "second")
    mixed = Descriptor("volume", second.id, SIZE, REGION, first.kms_key_arn, first.data_key)
    (tmp_path / "second" / "volume.json").write_bytes(encode_descriptor(mixed))
    with pytest.raises(KMSError) as caught:
        await attach(kms, caller, tmp_path / "second")
    assert caught.value.code == "InvalidCiphertextException"


async def test_the_disk_set_back_is_noticed_by_who_kept_the_state(
    kms: Any, caller: Caller, tmp_path: Path
) -> None:
    await created(kms, caller, tmp_path / "vol")
    async with await attach(kms, caller, tmp_path / "vol") as volume:
        await volume.write(0, b"old")
        await volume.flush()
    shutil.copytree(tmp_path / "vol", tmp_path / "copy")
    async with await attach(kms, caller, tmp_path / "vol") as volume:
        await volume.write(0, b"new")
        seen = await volume.flush()
    async with await attach(kms, caller, tmp_path / "vol", not_before=seen):
        pass
    shutil.rmtree(tmp_path / "vol")
    (tmp_path / "copy").rename(tmp_path / "vol")
    with pytest.raises(IntegrityError):
        await attach(kms, caller, tmp_path / "vol", not_before=seen)
    async with await attach(kms, caller, tmp_path / "vol") as volume:  # the twin: nobody can tell
        assert await volume.read(0, 3) == b"old"
        await volume.write(0, b"fork")
        await volume.flush()
    with pytest.raises(IntegrityError):  # as many flushes, other content
        await attach(kms, caller, tmp_path / "vol", not_before=seen)


@pytest.mark.parametrize(
    "size", [0, BLOCK_BYTES - 1, BLOCK_BYTES + 1, MAX_VOLUME_BYTES + BLOCK_BYTES]
)
async def test_sizes_that_cannot_be(size: int, kms: Any, caller: Caller, tmp_path: Path) -> None:
    key = kms.create_key(REGION)
    with pytest.raises(UsageError):
        await create_volume(kms, caller, tmp_path / "v", size=size, region=REGION, key_id=key)
    assert not kms.calls


async def test_the_largest_volume(kms: Any, caller: Caller, tmp_path: Path) -> None:
    key = kms.create_key(REGION)
    await create_volume(
        kms, caller, tmp_path / "v", size=MAX_VOLUME_BYTES, region=REGION, key_id=key
    )
    async with await attach(kms, caller, tmp_path / "v") as volume:
        assert await volume.read(MAX_VOLUME_BYTES - 5, 5) == bytes(5)


async def test_a_directory_that_exists_is_left_alone(
    kms: Any, caller: Caller, tmp_path: Path
) -> None:
    with pytest.raises(UsageError):
        await created(kms, caller, tmp_path)
    assert not list(tmp_path.iterdir())


async def test_what_is_no_volume(kms: Any, caller: Caller, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        await attach(kms, caller, tmp_path)
    (tmp_path / "volume.json").write_bytes(b"{}\n")
    with pytest.raises(UsageError):
        await attach(kms, caller, tmp_path)


async def test_a_refused_key_makes_no_volume(kms: Any, caller: Caller, tmp_path: Path) -> None:
    key = kms.create_key("us-east-1")
    with pytest.raises(KMSError):
        await create_volume(kms, caller, tmp_path / "v", size=SIZE, region=REGION, key_id=key)
    assert not (tmp_path / "v").exists()


DESCRIPTOR = Descriptor("volume", "vol-0123456789abcdef0", SIZE, REGION, "arn:key", b"wrapped")


def test_a_descriptor_comes_back(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(encode_descriptor(DESCRIPTOR) + b"more")
    assert read_descriptor(tmp_path / "file", "volume") == DESCRIPTOR
    with pytest.raises(UsageError):
        read_descriptor(tmp_path / "file", "snapshot")


@given(data=st.data())
def test_a_descriptor_has_one_encoding(data: st.DataObject) -> None:
    line = bytearray(encode_descriptor(DESCRIPTOR))
    at = data.draw(st.integers(0, len(line) - 1))
    line[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    try:
        found = decode_descriptor(bytes(line), "volume")
    except UsageError:
        return
    assert encode_descriptor(found) == bytes(line)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_descriptor(line: bytes) -> None:
    with pytest.raises(UsageError):
        decode_descriptor(line, "volume")


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{" * 100_000, b"null\n", b'{"id": 5, "size": true}', b"\xff"]
)
def test_other_json_is_no_descriptor(line: bytes) -> None:
    with pytest.raises(UsageError):
        decode_descriptor(line, "volume")
