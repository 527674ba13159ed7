"""The small client of S3 and KMS against servers that fail, lie or are not there."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from awscrt.checksums import crc64nvme
from hypothesis import given
from hypothesis import strategies as st

from tlslab.clientside import ApplicationKey, ApplicationKeyring, encrypt_stream
from tlslab.clientside.objects import open_envelope, unverified
from tlslab.clientside.placing import place
from tlslab.clientside.remote import Endpoint, KMSClient, S3Client, ServiceError, Settings, s3
from tlslab.clientside.remote.s3 import MAX_UPLOAD_BYTES, check_upload_size
from tlslab.clientside.remote.sse import customer_key_headers, sse_headers
from tlslab.errors import HTTPError, IntegrityError, NetworkError, TlslabError, UsageError
from tlslab.http import Handler, Request, Response, serve_http
from tlslab.iam.signing import Credentials
from tlslab.pki import Authority, TrustStore
from tlslab.tls import CertificateRefused, ServerPolicy, TLSStream

ENVIRON = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
    "AWS_REGION": "eu-west-2",
}

CREDENTIALS = Credentials("AKIAIOSFODNN7EXAMPLE", "a-secret")


@asynccontextmanager
async def serving(
    handler: Handler, *, tls: ServerPolicy | None = None, trust: TrustStore | None = None
) -> AsyncGenerator[Settings]:
    """Settings for a server on loopback that answers as `handler` does."""

    async def serve(stream: trio.abc.Stream) -> None:
        if tls is not None:
            stream = TLSStream.server(stream, tls)
        try:
            await serve_http(stream, handler)
        except (TlslabError, trio.BrokenResourceError):
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        port = listeners[0].socket.getsockname()[1]
        at = Endpoint("http" if tls is None else "https", "127.0.0.1", port)
        yield Settings(at, at, "eu-west-2", CREDENTIALS, trust)
        nursery.cancel_scope.cancel()


def answering(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> Handler:
    async def handle(request: Request) -> Response:
        async for _ in request.body:
            pass
        return Response(status, headers, body)

    return handle


async def pieces(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def joined(stream: AsyncIterable[bytes]) -> bytes:
    return b"".join([part async for part in stream])


# --- refusals


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>", "NoSuchKey"),
        (b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code></Error>', "NoSuchKey"),
        (b'{"__type":"com.amazonaws.kms#NoSuchKey","message":"gone"}', "NoSuchKey"),
        (b"", "Forbidden"),
        (b"<html>", "Forbidden"),
        (b"{", "Forbidden"),
        (b"[1]", "Forbidden"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><Error><Code>&b;</Code></Error>', "Forbidden"),
        (b"\xff\xfe\x00", "Forbidden"),
    ],
)
async def test_a_refusal_is_told_by_code_and_status(body: bytes, code: str) -> None:
    async with serving(answering(403, body)) as settings:
        with pytest.raises(ServiceError) as caught:
            await S3Client(settings).put("b", "k", pieces(b"x"), 1)
    assert (caught.value.code, caught.value.status) == (code, 403)


async def test_a_refusal_cannot_write_to_the_terminal() -> None:
    body = "<Error><Code>A\u009b2J</Code><Message>" + "x" * 9_999 + "</Message></Error>"
    async with serving(answering(400, body.encode())) as settings:
        with pytest.raises(ServiceError) as caught:
            await S3Client(settings).put("b", "k", pieces(b"x"), 1)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1_200


async def test_a_redirect_is_not_followed() -> None:
    moved = answering(301, b"", (b"location", b"http://127.0.0.1:1/"))
    async with serving(moved) as settings:
        with pytest.raises(ServiceError) as caught:
            async with S3Client(settings).get("b", "k"):
                pass
    assert caught.value.status == 301


async def test_nobody_there() -> None:
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        at = Endpoint("http", "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(NetworkError):
            async with S3Client(Settings(at, at, "r", CREDENTIALS)).get("b", "k"):
                pass


async def test_a_server_that_the_ca_file_does_not_vouch_for_gets_nothing() -> None:
    ours, theirs = Authority.create("ours"), Authority.create("theirs")
    asked: list[str] = []

    async def handle(request: Request) -> Response:
        asked.append(request.target)
        return Response(200, (), b"x")

    async def fetch(settings: Settings) -> bytes:
        async with S3Client(settings).get("b", "k") as found:
            return await joined(found.body)

    for authority, believed in ((theirs, False), (ours, True)):
        policy = ServerPolicy(authority.issue("127.0.0.1"))
        trust = TrustStore((ours.root,))
        async with serving(handle, tls=policy, trust=trust) as settings:
            if believed:
                assert await fetch(settings) == b"x"
            else:
                with pytest.raises(CertificateRefused):
                    await fetch(settings)
        assert bool(asked) == believed


# --- what arrives


def checksum(data: bytes) -> bytes:
    return base64.b64encode(crc64nvme(data).to_bytes(8, "big"))


@pytest.mark.parametrize(
    ("said", "fine"),
    [
        (checksum(b"body"), True),
        (checksum(b"bodx"), False),
        (b"AAAAAAAAAAA=-2", True),
        (None, True),
    ],
)
async def test_a_download_is_compared_with_the_checksum_of_the_store(
    said: bytes | None, fine: bool
) -> None:
    headers = [] if said is None else [(b"x-amz-checksum-crc64nvme", said)]
    async with (
        serving(answering(200, b"body", *headers)) as settings,
        S3Client(settings).get("b", "k") as found,
    ):
        if fine:
            assert await joined(found.body) == b"body"
        else:
            with pytest.raises(IntegrityError):
                await joined(found.body)


async def test_a_download_of_unknown_length_is_refused() -> None:
    async def handle(request: Request) -> Response:
        return Response(200, (), pieces(b"body"))

    async with serving(handle) as settings:
        with pytest.raises(IntegrityError):
            async with S3Client(settings).get("b", "k"):
                pass


async def test_metadata_said_twice_is_joined_and_then_does_not_decrypt() -> None:
    keyring = ApplicationKeyring(ApplicationKey.generate())
    done = await encrypt_stream(pieces(b"canary"), keyring)
    body = await joined(done.body)
    headers = [(f"x-amz-meta-{n}".encode(), v.encode()) for n, v in done.metadata.items()]

    async def fetch(settings: Settings) -> bytes:
        async with S3Client(settings).get("b", "k") as found:
            return await joined(
                unverified(found.body, await open_envelope(found.metadata, keyring))
            )

    async with serving(answering(200, body, *headers)) as settings:
        assert await fetch(settings) == b"canary"
    async with serving(answering(200, body, *headers, headers[0])) as settings:
        with pytest.raises(IntegrityError):
            await fetch(settings)


async def test_what_a_store_cuts_off_or_changes_leaves_no_file(tmp_path: Path) -> None:
    keyring = ApplicationKeyring(ApplicationKey.generate())
    done = await encrypt_stream(pieces(bytes(100_000)), keyring)
    body = await joined(done.body)
    headers = [(f"x-amz-meta-{n}".encode(), v.encode()) for n, v in done.metadata.items()]
    length = (b"content-length", b"%d" % len(body))

    async def cut(request: Request) -> Response:
        return Response(200, [*headers, length], pieces(body[:-20]))

    whole = answering(200, body, *headers)
    changed = answering(200, body[:-1] + bytes([body[-1] ^ 1]), *headers)
    cases: list[tuple[Handler, type[TlslabError] | None]] = [
        (cut, HTTPError),
        (changed, IntegrityError),
        (whole, None),
    ]

    async def fetch(settings: Settings) -> None:
        async with S3Client(settings).get("b", "k") as found:
            opener = await open_envelope(found.metadata, keyring)
            await place(unverified(found.body, opener), tmp_path / "out")

    for handler, error in cases:
        async with serving(handler) as settings:
            if error is None:
                await fetch(settings)
                assert (tmp_path / "out").read_bytes() == bytes(100_000)
                assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
            else:
                with pytest.raises(error):
                    await fetch(settings)
                assert not list(tmp_path.iterdir())


async def test_a_file_is_not_replaced_unless_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"before")
    with pytest.raises(UsageError):
        await place(pieces(b"after"), path)
    assert path.read_bytes() == b"before"

    async def meanwhile() -> AsyncIterator[bytes]:
        (tmp_path / "new").write_bytes(b"before")
        yield b"after"

    with pytest.raises(UsageError):
        await place(meanwhile(), tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == b"before"
    assert await place(pieces(b"after"), path, replace=True) == 5
    assert path.read_bytes() == b"after"
    assert {one.name for one in tmp_path.iterdir()} == {"out", "new"}
    with pytest.raises(UsageError):
        await place(pieces(b"after"), tmp_path / "no" / "folder")


async def test_a_cancelled_download_leaves_nothing(tmp_path: Path) -> None:
    with trio.CancelScope() as scope:

        async def endless() -> AsyncIterator[bytes]:
            yield bytes(1000)
            assert list(tmp_path.iterdir())
            scope.cancel()
            while True:
                yield bytes(1000)

        await place(endless(), tmp_path / "out")
    assert scope.cancelled_caught
    assert not list(tmp_path.iterdir())


# --- what is sent


def unframed(framed: bytes) -> tuple[bytes, bytes]:
    """The body and the trailer in the framing aws-chunked."""
    body = b""
    while True:
        size, _, framed = framed.partition(b"\r\n")
        if size == b"0":
            assert framed.endswith(b"\r\n\r\n")
            return body, framed[:-4]
        length = int(size, 16)
        assert framed[length : length + 2] == b"\r\n"
        body, framed = body + framed[:length], framed[length + 2 :]


PIECE = s3._PIECE


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
async def test_an_upload_is_framed_with_its_length_and_its_checksum(size: int) -> None:
    data, seen = bytes(range(256)) * (size // 256 + 1), {}
    data = data[:size]

    async def handle(request: Request) -> Response:
        seen["body"] = await request.read(10 * PIECE)
        for name in ("content-length", "x-amz-decoded-content-length", "x-amz-meta-a"):
            seen[name] = (request.header(name) or "").encode()
        return Response(200, [(b"etag", b'"e"')], b"")

    async with serving(handle) as settings:
        stored = await S3Client(settings).put(
            "b", "k", pieces(data, 70_001), size, metadata={"a": "b"}
        )
    assert stored.etag == "e"
    assert int(seen["content-length"]) == len(seen["body"])
    assert int(seen["x-amz-decoded-content-length"]) == size
    assert seen["x-amz-meta-a"] == b"b"
    body, trailer = unframed(seen["body"])
    assert body == data
    assert trailer == b"x-amz-checksum-crc64nvme:" + checksum(data)


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_however_a_body_comes_it_is_framed_to_the_announced_length(parts: list[bytes]) -> None:
    async def source() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    framed = trio.run(joined, s3._framed(source()))
    assert len(framed) == s3._framed_size(sum(map(len, parts)))
    assert unframed(framed)[0] == b"".join(parts)


async def test_a_file_that_changes_while_it_is_sent_is_no_upload() -> None:
    for announced in (9, 11):
        async with serving(answering(200, b"")) as settings:
            with pytest.raises(HTTPError):
                await S3Client(settings).put("b", "k", pieces(bytes(10)), announced)


async def test_a_customer_key_is_not_sent_in_the_clear() -> None:
    asked: list[str] = []

    async def handle(request: Request) -> Response:
        asked.append(request.target)
        return Response(200, (), b"x")

    async with serving(handle) as settings:
        client, headers = S3Client(settings), customer_key_headers(bytes(32))
        with pytest.raises(UsageError):
            await client.put("b", "k", pieces(b"x"), 1, headers=headers)
        with pytest.raises(UsageError):
            async with client.get("b", "k", headers=headers):
                pass
        assert asked == []
        await client.put("b", "k", pieces(b"x"), 1, headers=sse_headers("AES256"))
        assert asked == ["/b/k"]


@pytest.mark.parametrize(("bucket", "key"), [("", "k"), ("a/b", "k"), ("b", ""), ("b", "k" * 1025)])
async def test_what_is_no_name_is_refused_before_anything_is_sent(bucket: str, key: str) -> None:
    at = Endpoint("http", "127.0.0.1", 1)
    with pytest.raises(UsageError):
        await S3Client(Settings(at, at, "r", CREDENTIALS)).put(bucket, key, pieces(b""), 0)


def test_uploads_have_a_limit() -> None:
    check_upload_size(MAX_UPLOAD_BYTES)
    with pytest.raises(UsageError):
        check_upload_size(MAX_UPLOAD_BYTES + 1)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_customer_key_has_32_bytes(length: int) -> None:
    with pytest.raises(UsageError):
        customer_key_headers(bytes(length))


def test_a_key_of_the_stores_own_takes_no_kms_key() -> None:
    assert dict(sse_headers("aws:kms", "alias/a")) == {
        b"x-amz-server-side-encryption": b"aws:kms",
        b"x-amz-server-side-encryption-aws-kms-key-id": b"alias/a",
    }
    with pytest.raises(UsageError):
        sse_headers("AES256", "alias/a")


# --- KMS


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"Plaintext": 1}', b'{"Plaintext": "?", "CiphertextBlob": "AA=="}'],
)
async def test_a_kms_that_talks_nonsense_is_not_believed(body: bytes) -> None:
    async with serving(answering(200, body)) as settings:
        with pytest.raises(NetworkError):
            await KMSClient(settings, "alias/a").generate_data_key({})


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("InvalidCiphertextException", IntegrityError),
        ("IncorrectKeyException", IntegrityError),
        ("DisabledException", ServiceError),
    ],
)
async def test_what_a_kms_does_not_open_is_not_authentic(
    code: str, error: type[TlslabError]
) -> None:
    body = b'{"__type":"%b"}' % code.encode()
    async with serving(answering(400, body)) as settings:
        with pytest.raises(error):
            await KMSClient(settings, "alias/a").decrypt(b"x", {})


# --- settings


def test_arguments_go_before_the_environment_and_both_before_aws() -> None:
    load: Callable[..., Settings] = Settings.load
    found = load(environ=ENVIRON)
    assert found.s3 == Endpoint("https", "s3.eu-west-2.amazonaws.com", 443)
    assert found.kms == Endpoint("https", "kms.eu-west-2.amazonaws.com", 443)
    one = {**ENVIRON, "AWS_ENDPOINT_URL": "http://one:81"}
    assert load(environ=one).s3 == load(environ=one).kms == Endpoint("http", "one", 81)
    two = {**one, "AWS_ENDPOINT_URL_S3": "http://two", "AWS_ENDPOINT_URL_KMS": "https://three"}
    assert load(environ=two).s3 == Endpoint("http", "two", 80)
    assert load(environ=two).kms == Endpoint("https", "three", 443)
    argued = load(environ=two, endpoint_url="https://[::1]:8443", region="eu-west-1")
    assert (argued.s3.host, argued.s3.authority) == ("::1", "[::1]:8443")
    assert argued.kms == Endpoint("https", "three", 443)
    assert argued.region == "eu-west-1"
    assert load(environ=ENVIRON, endpoint_url="https://four").kms.host == "four"


@pytest.mark.parametrize("missing", sorted(ENVIRON))
def test_what_is_missing_is_named(missing: str) -> None:
    environ = {name: value for name, value in ENVIRON.items() if name != missing}
    with pytest.raises(UsageError):
        Settings.load(environ=environ)


@pytest.mark.parametrize(
    "url",
    ["", "localhost", "ftp://a", "https://", "https://a/b", "https://a?b", "https://u:p@a", "http://a:x",
     "http://a:99999", "http://[::1"],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Endpoint.parse(url)


@given(st.text(max_size=30))
def test_any_text_is_an_endpoint_or_refused(url: str) -> None:
    try:
        found = Endpoint.parse(url)
    except UsageError:
        return
    assert Endpoint.parse(f"{found.scheme}://{found.authority}") == found


def test_secrets_do_not_show() -> None:
    environ: Mapping[str, str] = {**ENVIRON, "AWS_SESSION_TOKEN": "a-token"}
    shown = repr(Settings.load(environ=environ))
    assert ENVIRON["AWS_SECRET_ACCESS_KEY"] not in shown
    assert "a-token" not in shown
