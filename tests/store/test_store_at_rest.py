"""At rest: what a thief of the disk reads, and what somebody who changes the disk achieves.

Each claim is a pair: it holds with encryption, and the same attack wins against a plain store.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlslab.errors import IntegrityError
from tlslab.store import SSES3, ObjectInfo, ObjectStore, RootKey, read_objects
from tlslab.store.names import record_name
from tlslab.store.payload import BATCH_BYTES
from tlslab.store.record import Record

CANARY = b"canary 4711 4711 4711"
FilesIn = Callable[[str], list[Path]]
SEALED = 64 * 1024 + 16
HEADER = 72


async def fill(store: ObjectStore) -> ObjectInfo:
    await store.create_bucket("letters")
    metadata = {"note": CANARY.decode()}
    return await store.put("letters", "to/alice", CANARY * 10, metadata=metadata)


async def read(store: ObjectStore, key: str = "to/alice") -> bytes:
    _, body = await store.get("letters", key)
    return await body.read()


def only(paths: list[Path]) -> Path:
    (path,) = paths
    return path


async def test_a_thief_of_the_disk_reads_the_plain_store(
    plain: ObjectStore, files_in: FilesIn, directory: Path
) -> None:
    info = await fill(plain)
    assert only(files_in("blobs")).read_bytes() == CANARY * 10
    record = only(files_in("records")).read_bytes()
    assert CANARY in record
    assert info.etag.encode() in record
    assert list(read_objects(directory, None)) == [(info, CANARY * 10)]


async def test_a_thief_of_the_encrypted_disk_reads_names_only(
    encrypted: ObjectStore, files_in: FilesIn, directory: Path
) -> None:
    info = await fill(encrypted)
    disk = b"".join(path.read_bytes() for path in files_in(""))
    assert CANARY[:8] not in disk
    assert info.etag.encode() not in disk  # a hash of the plaintext confirms a guess
    assert b"to/alice" in disk
    with pytest.raises(IntegrityError):
        list(read_objects(directory, None))
    with pytest.raises(IntegrityError):
        list(read_objects(directory, RootKey.generate()))


async def test_a_thief_of_disk_and_key_file_reads_everything(
    encrypted: ObjectStore, directory: Path, root_key: RootKey, tmp_path: Path
) -> None:
    info = await fill(encrypted)
    root_key.save(tmp_path / "root.key")
    stolen, key_file = tmp_path / "stolen", tmp_path / "stolen.key"
    shutil.copytree(directory, stolen)
    shutil.copy(tmp_path / "root.key", key_file)
    key_file.chmod(0o644)  # his own copy, as he likes it
    key = RootKey.parse(key_file.read_bytes())
    assert list(read_objects(stolen, key)) == [(info, CANARY * 10)]


async def test_the_same_bytes_twice_look_different(
    encrypted: ObjectStore, plain: ObjectStore, files_in: FilesIn
) -> None:
    await encrypted.create_bucket("letters")
    for store, equal in ((encrypted, False), (plain, True)):
        await store.put("letters", "a", CANARY)
        await store.put("letters", "b", CANARY)
        one, two = (path.read_bytes() for path in files_in("blobs"))
        assert (one == two) is equal


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_flipped_bit_on_disk_is_found(root_key: RootKey, data: st.DataObject) -> None:
    """In the blob or in the record, wherever the bit lies."""

    async def put(store: ObjectStore) -> None:
        await fill(store)

    with tempfile.TemporaryDirectory() as temporary:
        store = ObjectStore(Path(temporary), encryption=SSES3(root_key))
        trio.run(put, store)
        folder = data.draw(st.sampled_from(["blobs", "records/letters"]))
        path = only(list((Path(temporary) / folder).iterdir()))
        content = bytearray(path.read_bytes())
        bit = data.draw(st.integers(0, len(content) * 8 - 1))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.raises(IntegrityError):
            trio.run(read, store)


async def test_a_flipped_bit_in_an_empty_object_is_found(
    encrypted: ObjectStore, files_in: FilesIn
) -> None:
    await encrypted.create_bucket("letters")
    await encrypted.put("letters", "to/alice", b"")
    blob = only(files_in("blobs"))
    blob.write_bytes(blob.read_bytes()[:-1] + b"\0")
    with pytest.raises(IntegrityError):
        await read(encrypted)


async def test_a_flipped_bit_goes_unnoticed_in_a_plain_store(
    plain: ObjectStore, files_in: FilesIn
) -> None:
    await fill(plain)
    blob = only(files_in("blobs"))
    blob.write_bytes(b"X" + blob.read_bytes()[1:])
    assert await read(plain) == b"X" + (CANARY * 10)[1:]


def dropped(segments: list[bytes]) -> list[bytes]:
    return segments[:3] + segments[4:]


def doubled(segments: list[bytes]) -> list[bytes]:
    return segments[:3] + segments[2:]


def swapped(segments: list[bytes]) -> list[bytes]:
    return [segments[1], segments[0], *segments[2:]]


def truncated(segments: list[bytes]) -> list[bytes]:
    return segments[:-1]


def refilled(segments: list[bytes]) -> list[bytes]:
    """The length stays right: one segment dropped, another one twice."""
    return [*segments[:3], segments[4], *segments[4:]]


@pytest.mark.parametrize("change", [dropped, doubled, swapped, truncated, refilled])
async def test_segments_moved_on_disk_are_found(
    encrypted: ObjectStore, files_in: FilesIn, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    await encrypted.create_bucket("letters")
    await encrypted.put("letters", "to/alice", bytes(6 * 64 * 1024 + 5))
    blob = only(files_in("blobs"))
    sealed = blob.read_bytes()
    segments = [sealed[at : at + SEALED] for at in range(HEADER, len(sealed), SEALED)]
    blob.write_bytes(sealed[:HEADER] + b"".join(change(segments)))
    with pytest.raises(IntegrityError):
        await read(encrypted)


async def test_late_damage_stops_the_object_where_it_is(
    encrypted: ObjectStore, files_in: FilesIn
) -> None:
    """What came before was authentic; nothing of the damaged segment comes, nor a clean end."""
    data = b"".join(n.to_bytes(8, "big") for n in range(4 * BATCH_BYTES // 8))
    await encrypted.create_bucket("letters")
    await encrypted.put("letters", "to/alice", data)
    blob = only(files_in("blobs"))
    sealed = bytearray(blob.read_bytes())
    damaged = 40
    sealed[HEADER + damaged * SEALED + 5] ^= 1
    blob.write_bytes(sealed)
    _, body = await encrypted.get("letters", "to/alice")
    got = b""
    with pytest.raises(IntegrityError):  # noqa: PT012 - where it is raised is the point
        while True:
            got += await anext(body)
    assert 0 < len(got) <= damaged * 64 * 1024
    assert data.startswith(got)
    with pytest.raises(IntegrityError):
        await anext(body)


async def test_a_blob_cut_under_a_reader_is_no_clean_end(
    either_store: ObjectStore, files_in: FilesIn
) -> None:
    await either_store.create_bucket("letters")
    await either_store.put("letters", "to/alice", bytes(4 * BATCH_BYTES))
    _, body = await either_store.get("letters", "to/alice")
    os.truncate(only(files_in("blobs")), 2 * BATCH_BYTES)
    with pytest.raises(IntegrityError):
        await body.read()


async def two_objects(store: ObjectStore) -> None:
    await store.create_bucket("letters")
    await store.put("letters", "a", b"for a")
    await store.put("letters", "b", b"for b")


def swap(one: Path, two: Path) -> None:
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


async def test_swapped_blobs_are_found_only_when_encrypted(
    encrypted: ObjectStore, files_in: FilesIn
) -> None:
    await two_objects(encrypted)
    swap(*files_in("blobs"))
    for key in ("a", "b"):
        with pytest.raises(IntegrityError):
            await read(encrypted, key)


async def test_swapped_blobs_go_unnoticed_in_a_plain_store(
    plain: ObjectStore, files_in: FilesIn
) -> None:
    await two_objects(plain)
    swap(*files_in("blobs"))
    assert await read(plain, "a") == b"for b"


def rename_record(directory: Path, old: str, new: str) -> None:
    """Put the record of `old` where that of `new` lies, its readable part adapted."""
    records = directory / "records" / "letters"
    record = json.loads((records / record_name(old)).read_bytes())
    record["key"] = new
    text = json.dumps(record, ensure_ascii=False, sort_keys=True, indent=1) + "\n"
    (records / record_name(new)).write_text(text)


async def test_an_object_renamed_on_disk_is_found_when_encrypted(
    encrypted: ObjectStore, directory: Path
) -> None:
    await two_objects(encrypted)
    rename_record(directory, "a", "b")
    with pytest.raises(IntegrityError):
        await read(encrypted, "b")
    with pytest.raises(IntegrityError):
        await encrypted.head("letters", "b")
    with pytest.raises(IntegrityError):
        await encrypted.list("letters")


async def test_an_object_renamed_on_disk_goes_unnoticed_in_a_plain_store(
    plain: ObjectStore, directory: Path
) -> None:
    await two_objects(plain)
    rename_record(directory, "a", "b")
    assert await read(plain, "b") == b"for a"


async def test_a_record_moved_as_it_is_is_found_even_in_a_plain_store(
    either_store: ObjectStore, directory: Path
) -> None:
    await two_objects(either_store)
    records = directory / "records" / "letters"
    shutil.copy(records / record_name("a"), records / record_name("b"))
    with pytest.raises(IntegrityError, match="place of another"):
        await read(either_store, "b")


async def test_a_plain_object_slipped_into_an_encrypted_store_is_not_served(
    encrypted: ObjectStore, plain: ObjectStore
) -> None:
    await fill(plain)
    for call in (encrypted.get, encrypted.head):
        with pytest.raises(IntegrityError):
            await call("letters", "to/alice")
    with pytest.raises(IntegrityError):
        await encrypted.list("letters")


async def test_an_encrypted_object_is_not_served_by_a_plain_store(
    encrypted: ObjectStore, plain: ObjectStore
) -> None:
    await fill(encrypted)
    for call in (plain.get, plain.head):
        with pytest.raises(IntegrityError):
            await call("letters", "to/alice")


async def test_a_record_cannot_name_a_file_elsewhere(
    plain: ObjectStore, directory: Path, files_in: FilesIn, tmp_path: Path
) -> None:
    await fill(plain)
    (tmp_path / "secret").write_bytes(CANARY * 10)
    path = only(files_in("records"))
    blob = only(files_in("blobs")).name
    path.write_bytes(path.read_bytes().replace(blob.encode(), b"../../secret"))
    with pytest.raises(IntegrityError, match="malformed"):
        await read(plain)
    path.unlink()
    await fill_again(plain)
    blob_path = max(files_in("blobs"), key=lambda file: file.stat().st_mtime_ns)
    blob_path.unlink()
    blob_path.symlink_to(tmp_path / "secret")
    with pytest.raises(Exception, match="failed"):
        await read(plain)


async def fill_again(store: ObjectStore) -> None:
    await store.put("letters", "to/alice", CANARY * 10)


async def test_missing_bytes_are_no_empty_object(
    either_store: ObjectStore, files_in: FilesIn
) -> None:
    await fill(either_store)
    blob = only(files_in("blobs"))
    blob.write_bytes(blob.read_bytes()[:-1])
    with pytest.raises(IntegrityError):
        await read(either_store)
    blob.write_bytes(b"")
    with pytest.raises(IntegrityError):
        await read(either_store)
    blob.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        await read(either_store)


async def test_a_damaged_object_can_be_replaced_and_deleted(
    either_store: ObjectStore, files_in: FilesIn
) -> None:
    await fill(either_store)
    only(files_in("records")).write_bytes(b"{}")
    with pytest.raises(IntegrityError):
        await either_store.collect_leftovers()
    await fill_again(either_store)
    assert await read(either_store) == CANARY * 10
    only(files_in("records")).write_bytes(b"")
    await either_store.delete("letters", "to/alice")
    assert await either_store.list("letters") == []


async def test_rotation_keeps_old_objects_readable(directory: Path, tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    old = RootKey.generate()
    old.save(path)
    await fill(ObjectStore(directory, encryption=SSES3(old)))
    new = RootKey.rotate(path)
    assert new.versions[:1] == old.versions
    store = ObjectStore(directory, encryption=SSES3(RootKey.load(path)))
    assert await read(store) == CANARY * 10
    await store.put("letters", "new", CANARY)
    assert await read(store, "new") == CANARY
    with pytest.raises(IntegrityError, match="not in the key file"):
        await read(ObjectStore(directory, encryption=SSES3(old)), "new")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ["format", "bucket", "key", "blob", "size", "modified", "encryption", "private"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON) | JSON)
def test_a_record_is_parsed_or_refused_never_anything_else(value: object) -> None:
    data = (json.dumps(value, ensure_ascii=True, sort_keys=True, indent=1) + "\n").encode()
    with pytest.raises(IntegrityError):
        Record.parse(data)


@given(st.binary(max_size=60))
def test_noise_is_no_record(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        Record.parse(data)


@pytest.mark.parametrize("kind", ["plain", "encrypted"])
async def test_a_record_has_one_encoding(
    directory: Path, root_key: RootKey, files_in: FilesIn, kind: str
) -> None:
    store = ObjectStore(directory, encryption=SSES3(root_key) if kind == "encrypted" else None)
    await fill(store)
    data = only(files_in("records")).read_bytes()
    assert Record.parse(data).encode() == data
    value = json.loads(data)
    for other in (
        json.dumps(value).encode(),
        data.rstrip(),
        data + b"\n",
        data.replace(b'"size": 210', b'"size": 210.0'),
        data.replace(b'"size": 210', b'"size": 2.1e2'),
        data.replace(b'"size": 210', b'"size": -1'),
        data.replace(b'"size": 210', b'"size": true'),
        data.replace(b"tlslab-object 1", b"tlslab-object 2"),
        data.replace(b'Z"', b'+00:00"'),
        data.replace(b'{\n "blob"', b'{\n "blob": "x",\n "blob"'),
        data.replace(b'{\n "blob"', b'{\n "aaa": 1,\n "blob"'),
        data.replace(b"to/alice", b"to\\/alice"),
        b"[" * 100_000,
    ):
        assert other != data
        with pytest.raises(IntegrityError):
            Record.parse(other)


def test_repr_hides_keys(root_key: RootKey) -> None:
    shown = f"{root_key!r} {SSES3(root_key)!r} {root_key}"
    assert shown.startswith("RootKey()")
    assert root_key.versions[0].hex() not in shown
    assert repr(root_key.versions[0]) not in shown
