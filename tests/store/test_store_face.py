"""The HTTP face: the right status for everything, and what is not understood touches nothing."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import MemoryStore

from tlslab.http import ClientResponse, HTTPClient, Request, serve_http
from tlslab.http.errors import BodyTruncated
from tlslab.store import SSES3, ObjectStore, RootKey
from tlslab.store.face import handler
from tlslab.store.payload import BATCH_BYTES


class Client:
    """Requests to a store's face, each on a connection of its own over memory streams."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    @asynccontextmanager
    async def exchange(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: Any = None
    ) -> AsyncIterator[ClientResponse]:
        near, far = trio.testing.memory_stream_pair()
        fields = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_http, far, handler(self.store))
            client = HTTPClient(near, host="store.test")
            try:
                yield await client.request(method, target, headers=fields, body=body)
            finally:
                await client.aclose()

    async def __call__(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: Any = None
    ) -> tuple[int, dict[str, str], bytes]:
        try:
            async with self.exchange(method, target, headers, body) as response:
                fields = {name.decode().lower(): value.decode() for name, value in response.headers}
                return response.status, fields, await response.read(at_most=4 * BATCH_BYTES)
        except BaseExceptionGroup as group:  # the nursery's wrapping
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise


@pytest.fixture
def client(encrypted: ObjectStore) -> Client:
    return Client(encrypted)


async def test_an_object_over_http(client: Client) -> None:
    assert (await client("PUT", "/letters"))[0] == 201
    headers = {"Content-Type": "text/plain", "x-amz-meta-author": "alice"}
    status, fields, _ = await client("PUT", "/letters/to/alice", headers, b"hello")
    etag = f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert (status, fields["etag"]) == (201, etag)
    assert fields["x-amz-server-side-encryption"] == "AES256"
    for method, expected in (("GET", b"hello"), ("HEAD", b"")):
        status, fields, body = await client(method, "/letters/to/alice")
        assert (status, body) == (200, expected)
        assert fields["content-length"] == "5"
        assert fields["content-type"] == "text/plain"
        assert fields["etag"] == etag
        assert fields["x-amz-meta-author"] == "alice"
        assert fields["x-amz-server-side-encryption"] == "AES256"
        assert fields["last-modified"].endswith("GMT")
    assert (await client("DELETE", "/letters/to/alice"))[0] == 204
    assert (await client("DELETE", "/letters/to/alice"))[0] == 204
    assert (await client("GET", "/letters/to/alice"))[0] == 404
    assert (await client("HEAD", "/letters/to/alice"))[::2] == (404, b"")


@pytest.mark.parametrize("size", [0, 1, BATCH_BYTES, 3 * BATCH_BYTES + 5])
async def test_bodies_stream_both_ways(client: Client, size: int) -> None:
    data = (b"0123456789abcdef!" * (size // 17 + 1))[:size]

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 300_000):
            yield data[start : start + 300_000]

    await client("PUT", "/letters")
    assert (await client("PUT", "/letters/x", None, chunks()))[0] == 201
    assert (await client("GET", "/letters/x"))[2] == data


async def test_a_plain_store_claims_no_encryption(plain: ObjectStore) -> None:
    client = Client(plain)
    await client("PUT", "/letters")
    assert "x-amz-server-side-encryption" not in (await client("PUT", "/letters/x", {}, b""))[1]
    assert "x-amz-server-side-encryption" not in (await client("GET", "/letters/x"))[1]
    wanted = {"x-amz-server-side-encryption": "AES256"}
    assert (await client("PUT", "/letters/y", wanted, b"secret"))[0] == 501
    assert (await client("GET", "/letters/y"))[0] == 404


@pytest.mark.parametrize(
    "key",
    ["..", "../../etc/passwd", "/", "//a", "a//b", "a/", "a%2fb", "é", "\x00\r\n", "a?b#c", "+ &="],
)
async def test_any_key_travels(client: Client, key: str, directory: Path) -> None:
    await client("PUT", "/letters")
    target = "/letters/" + quote(key, safe="/")
    assert (await client("PUT", target, {}, key.encode()))[0] == 201
    assert (await client("GET", target))[2] == key.encode()
    listing = json.loads((await client("GET", "/letters"))[2])
    assert [entry["key"] for entry in listing["objects"]] == [key]
    assert (await client("GET", listing["objects"][0]["href"]))[2] == key.encode()
    assert [path.name for path in directory.parent.iterdir()] == ["disk"]


async def test_listing(client: Client) -> None:
    await client("PUT", "/letters")
    for key in ("a", "b/1", "b/2", "b/3"):
        await client("PUT", f"/letters/{key}", {}, key.encode())

    async def page(query: str) -> tuple[list[str], str | None]:
        status, fields, body = await client("GET", f"/letters{query}")
        assert (status, fields["content-type"]) == (200, "application/json")
        listing = json.loads(body)
        return [entry["key"] for entry in listing["objects"]], listing["next"]

    assert await page("") == (["a", "b/1", "b/2", "b/3"], None)
    assert await page("/") == await page("?") == await page("")
    assert await page("?prefix=b%2F") == (["b/1", "b/2", "b/3"], None)
    assert await page("?prefix=b/&limit=2") == (["b/1", "b/2"], "b/2")
    assert await page("?prefix=b/&limit=2&after=b/2") == (["b/3"], None)
    assert await page("?limit=4") == (["a", "b/1", "b/2", "b/3"], None)
    assert json.loads((await client("GET", "/"))[2]) == {"buckets": ["letters"]}
    for query in ("?limit=0", "?limit=1001", "?limit=-1", "?limit=x", "?limit=", "?prefix=%ff"):
        assert (await client("GET", f"/letters{query}"))[0] == 400
    assert (await client("GET", "/letters?prefix=a&prefix=b"))[0] == 400


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/nosuch", 404),
        ("GET", "/nosuch/x", 404),
        ("HEAD", "/nosuch/x", 404),
        ("PUT", "/nosuch/x", 404),
        ("DELETE", "/nosuch/x", 404),
        ("GET", "/letters/x", 404),
        ("PUT", "/letters", 409),
        ("PUT", "/Bad_Name", 400),
        ("PUT", "/..", 400),
        ("GET", "//x", 400),
        ("PUT", "/letters/%ff", 400),
        ("PUT", "/letters/%", 400),
        ("PUT", "/letters/%2", 400),
        ("PUT", "/letters/" + "x" * 1025, 400),
        ("POST", "/letters/x", 405),
        ("PATCH", "/letters/x", 405),
        ("OPTIONS", "/letters/x", 405),
        ("POST", "/letters", 405),
        ("DELETE", "/letters", 405),
        ("PUT", "/", 405),
    ],
)
async def test_statuses(client: Client, method: str, target: str, status: int) -> None:
    await client("PUT", "/letters")
    got, fields, body = await client(method, target, {}, b"" if method in {"PUT", "POST"} else None)
    assert got == status
    if method != "HEAD":
        assert set(json.loads(body)) == {"error", "hint"}
    assert ("allow" in fields) is (status == 405)
    assert json.loads((await client("GET", "/letters"))[2])["objects"] == []


SUBRESOURCES = ["acl", "tagging", "encryption", "uploads", "uploadId=1&partNumber=1", "versionId=x"]
SUBRESOURCES += ["retention", "prefix=a", "X-Amz-Signature=0", "x", "%61cl", "=", "=x", "&&acl"]


@pytest.mark.parametrize("subresource", SUBRESOURCES)
@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD", "DELETE"])
async def test_an_unknown_subresource_never_touches_the_object(
    client: Client, method: str, subresource: str, files_in: Callable[[str], list[Path]]
) -> None:
    await client("PUT", "/letters")
    await client("PUT", "/letters/x", {}, b"precious")
    before = {path: path.read_bytes() for path in files_in("")}
    body = b"<xml/>" if method == "PUT" else None
    assert (await client(method, f"/letters/x?{subresource}", {}, body))[0] == 501
    assert (await client("PUT", f"/more?{subresource}"))[0] == 501
    assert {path: path.read_bytes() for path in files_in("")} == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-copy-source", "/letters/y"),
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-checksum-crc32", "AAAAAA=="),
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("X-Amz-Tagging", "a=b"),
        ("Content-Encoding", "aws-chunked"),
        ("Content-MD5", "AAAA"),
        ("Content-Range", "bytes 0-1/2"),
        ("If-None-Match", "*"),
        ("If-Match", '"x"'),
    ],
)
async def test_a_header_that_changes_a_write_is_not_overlooked(
    client: Client, name: str, value: str, files_in: Callable[[str], list[Path]]
) -> None:
    await client("PUT", "/letters")
    await client("PUT", "/letters/x", {}, b"precious")
    before = {path: path.read_bytes() for path in files_in("")}
    assert (await client("PUT", "/letters/x", {name: value}, b""))[0] == 501
    assert {path: path.read_bytes() for path in files_in("")} == before


async def test_the_same_write_without_that_header_replaces(client: Client) -> None:
    """The failing twin of the two tests above."""
    await client("PUT", "/letters")
    await client("PUT", "/letters/x", {}, b"precious")
    wanted = {"x-amz-server-side-encryption": "AES256", "x-amz-date": "20261120T000000Z"}
    assert (await client("PUT", "/letters/x?", wanted, b""))[0] == 201
    assert (await client("GET", "/letters/x"))[2] == b""


async def test_a_new_bucket_takes_no_configuration(client: Client) -> None:
    assert (await client("PUT", "/letters", {}, b"<CreateBucketConfiguration/>"))[0] == 501
    assert json.loads((await client("GET", "/"))[2]) == {"buckets": []}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-meta-", "x"),
        ("x-amz-meta-a!", "x"),
        ("x-amz-meta-a", "\u00e9"),
        ("x-amz-meta-a", "x" * 2048),
    ],
)
async def test_impossible_metadata_is_400(client: Client, name: str, value: str) -> None:
    await client("PUT", "/letters")
    assert (await client("PUT", "/letters/x", {name: value}, b""))[0] == 400


async def test_too_large_is_413_announced_or_not(directory: Path, root_key: RootKey) -> None:
    store = ObjectStore(directory, encryption=SSES3(root_key), max_object_bytes=100_000)
    client = Client(store)

    async def chunks(size: int) -> AsyncIterator[bytes]:
        for _ in range(size // 1000):
            yield bytes(1000)

    await client("PUT", "/letters")
    assert (await client("PUT", "/letters/x", {}, bytes(100_000)))[0] == 201
    assert (await client("PUT", "/letters/x", {}, chunks(100_000)))[0] == 201
    assert (await client("PUT", "/letters/y", {}, bytes(100_001)))[0] == 413
    assert (await client("PUT", "/letters/y", {}, chunks(101_000)))[0] == 413
    assert (await client("GET", "/letters/y"))[0] == 404


async def test_no_space_is_507_and_leaves_nothing(
    client: Client, files_in: Callable[[str], list[Path]]
) -> None:
    """A real limit of the system on the size of files, while the same put fits before and after."""
    data = bytes(2 * BATCH_BYTES)
    await client("PUT", "/letters")
    assert (await client("PUT", "/letters/x", {}, data))[0] == 201
    before = files_in("")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BATCH_BYTES, hard))
    try:
        for key in ("x", "y"):
            assert (await client("PUT", f"/letters/{key}", {}, data))[0] == 507
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files_in("") == before
    assert (await client("PUT", "/letters/y", {}, data))[0] == 201


async def test_early_damage_is_500_and_no_byte(
    client: Client, files_in: Callable[[str], list[Path]]
) -> None:
    await client("PUT", "/letters")
    await client("PUT", "/letters/x", {}, b"canary")
    (blob,) = files_in("blobs")
    blob.write_bytes(blob.read_bytes()[:-1] + b"\0")
    status, _, body = await client("GET", "/letters/x")
    assert status == 500
    assert b"canary" not in body


async def test_late_damage_breaks_the_response(
    client: Client, files_in: Callable[[str], list[Path]]
) -> None:
    """A client must see that it is not the whole object: truncation, not a clean end."""
    data = bytes(4 * BATCH_BYTES)
    await client("PUT", "/letters")
    await client("PUT", "/letters/x", {}, data)
    assert (await client("GET", "/letters/x"))[2] == data
    (blob,) = files_in("blobs")
    sealed = bytearray(blob.read_bytes())
    sealed[3 * BATCH_BYTES] ^= 1
    blob.write_bytes(sealed)
    with pytest.raises(BodyTruncated):
        await client("GET", "/letters/x")


async def test_a_client_that_leaves_in_mid_body_stores_nothing(
    client: Client, files_in: Callable[[str], list[Path]]
) -> None:
    await client("PUT", "/letters")
    await client("PUT", "/letters/x", {}, b"old")
    before = {path: path.read_bytes() for path in files_in("")}
    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_http, far, handler(client.store))
        head = b"PUT /letters/x HTTP/1.1\r\nHost: store.test\r\nContent-Length: 3000000\r\n\r\n"
        await near.send_all(head + bytes(2_500_000))
        await near.aclose()
    assert {path: path.read_bytes() for path in files_in("")} == before
    assert (await client("GET", "/letters/x"))[2] == b"old"


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
def test_no_target_is_answered_with_a_crash(tail: str) -> None:
    async def ask() -> int:
        async def empty() -> AsyncIterator[bytes]:
            for part in list[bytes]():
                yield part

        handle = handler(ObjectStore(MemoryStore(), encryption=None))
        return (await handle(Request("GET", "/" + tail, [], empty()))).status

    assert trio.run(ask) in {200, 400, 404, 405, 501}


async def test_curl_and_a_real_socket(client: Client, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    data = b"0123456789abcdef" * 200_000
    (tmp_path / "up").write_bytes(data)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    address: tuple[str, int] = listeners[0].socket.getsockname()
    url = f"http://127.0.0.1:{address[1]}/letters"

    async def curl(*arguments: str) -> str:
        command = ["curl", "--silent", "--show-error", "--path-as-is", *arguments]
        done = await trio.run_process(command, capture_stdout=True)
        return bytes(done.stdout).decode()

    async def serve(stream: trio.SocketStream) -> None:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await serve_http(stream, handler(client.store))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.serve_listeners, serve, listeners))
        code = ["--output", str(tmp_path / "down"), "--write-out", "%{http_code}"]
        assert await curl(*code, "-X", "PUT", url) == "201"
        assert await curl(*code, "--upload-file", str(tmp_path / "up"), f"{url}/../x") == "201"
        chunked = ["-H", "Transfer-Encoding: chunked", "--upload-file", str(tmp_path / "up")]
        assert await curl(*code, *chunked, f"{url}/chunked") == "201"
        for name in ("../x", "chunked"):
            assert await curl(*code, f"{url}/{name}") == "200"
            assert (tmp_path / "down").read_bytes() == data
        assert "Content-Length: 3200000" in await curl("--head", f"{url}/chunked")
        assert await curl(*code, "-X", "DELETE", f"{url}/chunked") == "204"
        assert await curl(*code, f"{url}/chunked") == "404"
        nursery.cancel_scope.cancel()
    with pytest.raises(FileNotFoundError):
        (tmp_path / "x").read_bytes()
