"""Snapshots: a moment kept, restored, and carried to another region; and no plaintext on a disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlslab.envelope import SegmentSealer
from tlslab.errors import IntegrityError, UsageError
from tlslab.iam.caller import Caller
from tlslab.kms.errors import KMSError
from tlslab.volume import (
    BLOCK_BYTES,
    Volume,
    attach,
    copy_snapshot,
    create_volume,
    read_descriptor,
    restore_snapshot,
    take_snapshot,
)
from tlslab.volume.data_keys import unwrap_data_key
from tlslab.volume.descriptor import encode_descriptor

HERE, THERE = "eu-west-2", "ap-southeast-1"
SIZE = 700 * BLOCK_BYTES


@pytest.fixture
def keys(kms: Any) -> dict[str, str]:
    return {region: kms.create_key(region) for region in (HERE, THERE)}


@pytest.fixture
async def volume(kms: Any, keys: dict[str, str], caller: Caller, tmp_path: Path) -> Any:
    await create_volume(kms, caller, tmp_path / "vol", size=SIZE, region=HERE, key_id=keys[HERE])
    async with await attach(kms, caller, tmp_path / "vol") as attached:
        await attached.write(5000, b"then" * 3000)
        await attached.write(SIZE - 4, b"last")
        yield attached


async def content(kms: Any, caller: Caller, directory: Path) -> bytes:
    async with await attach(kms, caller, directory) as volume:
        return await volume.read(0, volume.size)


async def test_a_snapshot_is_the_moment_it_was_taken(
    kms: Any, caller: Caller, volume: Volume, tmp_path: Path
) -> None:
    then = await volume.read(0, SIZE)
    taken = await take_snapshot(kms, caller, volume, tmp_path / "snap")
    assert read_descriptor(tmp_path / "snap", "snapshot") == taken
    await volume.write(0, b"now" * 5000)
    await volume.flush()
    restored = await restore_snapshot(kms, caller, tmp_path / "snap", tmp_path / "new")
    assert await content(kms, caller, tmp_path / "new") == then
    assert len({restored.id, taken.id, volume.descriptor.id}) == 3
    assert len({restored.data_key, taken.data_key, volume.descriptor.data_key}) == 3
    assert (
        tmp_path / "snap"
    ).stat().st_size < 10 * BLOCK_BYTES  # what was never written is not in it


async def test_a_copy_lives_by_the_other_regions_key_alone(
    kms: Any, caller: Caller, keys: dict[str, str], volume: Volume, tmp_path: Path
) -> None:
    then = await volume.read(0, SIZE)
    await take_snapshot(kms, caller, volume, tmp_path / "snap")
    copied = await copy_snapshot(
        kms, caller, tmp_path / "snap", tmp_path / "copy", region=THERE, key_id=keys[THERE]
    )
    assert (copied.region, copied.kms_key_arn) == (THERE, keys[THERE])
    kms.disabled.add(keys[HERE])
    await restore_snapshot(kms, caller, tmp_path / "copy", tmp_path / "there")
    assert await content(kms, caller, tmp_path / "there") == then
    with pytest.raises(KMSError):  # while the original needs its own
        await restore_snapshot(kms, caller, tmp_path / "snap", tmp_path / "here")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize("disabled", [HERE, THERE])
async def test_a_copy_needs_both_keys(
    disabled: str, kms: Any, caller: Caller, keys: dict[str, str], volume: Volume, tmp_path: Path
) -> None:
    await take_snapshot(kms, caller, volume, tmp_path / "snap")
    kms.disabled.add(keys[disabled])
    with pytest.raises(KMSError) as caught:
        await copy_snapshot(
            kms, caller, tmp_path / "snap", tmp_path / "copy", region=THERE, key_id=keys[THERE]
        )
    assert caught.value.code == "DisabledException"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["snap", "vol"]


async def test_a_disabled_key_takes_no_snapshot(
    kms: Any, caller: Caller, keys: dict[str, str], volume: Volume, tmp_path: Path
) -> None:
    kms.disabled.add(keys[HERE])
    with pytest.raises(KMSError):
        await take_snapshot(kms, caller, volume, tmp_path / "snap")
    assert not (tmp_path / "snap").exists()


async def test_a_damaged_volume_gives_no_snapshot(
    kms: Any, caller: Caller, volume: Volume, tmp_path: Path
) -> None:
    await volume.flush()
    with (tmp_path / "vol" / "blocks").open("r+b") as file:
        file.seek(4144 + 50)
        file.write(b"changed")
    with pytest.raises(IntegrityError):
        await take_snapshot(kms, caller, volume, tmp_path / "snap")
    assert [path.name for path in tmp_path.iterdir()] == ["vol"]


async def test_any_damage_to_a_snapshot_is_noticed(
    kms: Any, caller: Caller, keys: dict[str, str], volume: Volume, tmp_path: Path
) -> None:
    await take_snapshot(kms, caller, volume, tmp_path / "snap")
    whole = (tmp_path / "snap").read_bytes()
    start = whole.index(b"\n") + 1
    cuts = [whole[:-1], whole + b"x", whole[:start], whole[: len(whole) // 2]]
    for at in range(start, len(whole), 997):
        cuts.append(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    for changed in cuts:
        (tmp_path / "snap").write_bytes(changed)
        with pytest.raises(IntegrityError):
            await restore_snapshot(kms, caller, tmp_path / "snap", tmp_path / "new")
        with pytest.raises(IntegrityError):
            await copy_snapshot(
                kms, caller, tmp_path / "snap", tmp_path / "copy",
                region=THERE, key_id=keys[THERE],
            )  # fmt: skip
        assert sorted(path.name for path in tmp_path.iterdir()) == ["snap", "vol"]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        bytes(7),
        (SIZE + BLOCK_BYTES).to_bytes(8, "big"),
        SIZE.to_bytes(8, "big") + b"x",
        SIZE.to_bytes(8, "big") + (700).to_bytes(8, "big") + bytes(BLOCK_BYTES),
        SIZE.to_bytes(8, "big") + 2 * ((3).to_bytes(8, "big") + bytes(BLOCK_BYTES)),
        SIZE.to_bytes(8, "big") + (3).to_bytes(8, "big") + bytes(BLOCK_BYTES - 1),
    ],
)
async def test_a_sealed_payload_that_is_no_volume(
    payload: bytes, kms: Any, caller: Caller, volume: Volume, tmp_path: Path
) -> None:
    taken = await take_snapshot(kms, caller, volume, tmp_path / "snap")
    key = await unwrap_data_key(kms, caller, taken)
    sealer = SegmentSealer(key)
    sealed = sealer.seal(payload) + sealer.finish()
    (tmp_path / "snap").write_bytes(encode_descriptor(taken) + sealed)
    with pytest.raises(IntegrityError):
        await restore_snapshot(kms, caller, tmp_path / "snap", tmp_path / "new")
    assert not (tmp_path / "new").exists()


async def test_nothing_that_exists_is_overwritten(
    kms: Any, caller: Caller, keys: dict[str, str], volume: Volume, tmp_path: Path
) -> None:
    await take_snapshot(kms, caller, volume, tmp_path / "snap")
    (tmp_path / "taken").write_bytes(b"mine")
    with pytest.raises(UsageError):
        await take_snapshot(kms, caller, volume, tmp_path / "taken")
    with pytest.raises(UsageError):
        await copy_snapshot(
            kms, caller, tmp_path / "snap", tmp_path / "taken", region=THERE, key_id=keys[THERE]
        )
    with pytest.raises(UsageError):
        await restore_snapshot(kms, caller, tmp_path / "snap", tmp_path / "vol")
    with pytest.raises(UsageError):
        await take_snapshot(kms, caller, volume, tmp_path / "missing" / "snap")
    assert (tmp_path / "taken").read_bytes() == b"mine"


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(writes=st.lists(st.tuples(st.integers(0, SIZE - 9000), st.integers(0, 9000)), max_size=4))
def test_any_content_survives_snapshot_copy_and_restore(
    writes: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory, kms: Any,
    keys: dict[str, str], caller: Caller,
) -> None:  # fmt: skip
    import trio

    async def main() -> None:
        base = tmp_path_factory.mktemp("any")
        await create_volume(kms, caller, base / "v", size=SIZE, region=HERE, key_id=keys[HERE])
        async with await attach(kms, caller, base / "v") as volume:
            for offset, size in writes:
                await volume.write(offset, os.urandom(size))
            await take_snapshot(kms, caller, volume, base / "s")
            expected = await volume.read(0, SIZE)
        await copy_snapshot(kms, caller, base / "s", base / "c", region=THERE, key_id=keys[THERE])
        await restore_snapshot(kms, caller, base / "c", base / "r")
        assert await content(kms, caller, base / "r") == expected

    trio.run(main)
