"""Through the TLS-terminating proxy: what clients send reaches the store as they signed it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tests.endpoint.going_up import Up, going_up
from tlslab.iam.signing import Credentials, sign_v4
from tlslab.iam.sigv4 import ChunkChain, Scope, signing_key
from tlslab.store.checksums import Hasher

MIB = 2**20
UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with going_up(tmp_path_factory.mktemp("up")) as up:
        yield up


@pytest.fixture(scope="module")
def bucket(up: Up) -> str:
    with closing(up.client()) as s3:
        s3.create_bucket(
            Bucket="letters", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"}
        )
    return "letters"


def test_the_command_line_moves_large_files_under_a_kms_key(
    up: Up, bucket: str, tmp_path: Path
) -> None:
    """20 MiB: an upload in parts and a download in ranges, both with the key's consent."""
    key = up.run("aws", "kms", "create-key", "--query", "KeyMetadata.Arn", "--output", "text")
    arn = key.decode().strip()
    tree, back = tmp_path / "tree", tmp_path / "back"
    (tree / "sub").mkdir(parents=True)
    (tree / "large").write_bytes(os.urandom(MIB) * 20)
    (tree / "sub" / "ü b.txt").write_text("small")
    quiet = ("--only-show-errors", "--sse", "aws:kms", "--sse-kms-key-id", arn)
    up.run("aws", "s3", "sync", tree, f"s3://{bucket}/tree", *quiet)
    up.run("aws", "s3", "sync", f"s3://{bucket}/tree", back, "--only-show-errors")
    for path in ("large", "sub/ü b.txt"):
        assert (back / path).read_bytes() == (tree / path).read_bytes()
    with closing(up.client()) as s3, closing(up.client("kms")) as kms:
        head = s3.head_object(Bucket=bucket, Key="tree/large")
        assert (head["SSEKMSKeyId"], head["ETag"][-3:]) == (arn, '-3"')
        kms.disable_key(KeyId=arn)
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket=bucket, Key="tree/large")
        assert error.value.response["Error"]["Code"] == "KMS.DisabledException"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_urls_and_forms(up: Up, bucket: str, version: str, tmp_path: Path) -> None:
    body, key = tmp_path / "body", f"signed {version}/ü+%&"
    body.write_bytes(b"dear reader")
    with closing(up.client(signature_version=version)) as s3:
        where = {"Bucket": bucket, "Key": key}
        put, get = (s3.generate_presigned_url(name, where) for name in ("put_object", "get_object"))
        form = s3.generate_presigned_post(bucket, f"form {version}", Conditions=[
            ["content-length-range", 5, 20]])  # fmt: skip
    assert up.curl("-T", body, put)[0] == 200
    assert up.curl(get) == (200, b"dear reader")
    assert up.curl(get.replace("ature=", "ature=A"))[0] == 403
    assert up.curl("-T", body, get)[0] == 403
    fields = [part for name, value in form["fields"].items() for part in ("-F", f"{name}={value}")]
    for size, status in ((4, 400), (11, 204), (21, 400)):
        body.write_bytes(bytes(size))
        assert up.curl(*fields, "-F", f"file=@{body}", form["url"])[0] == status
    with closing(up.client()) as s3:
        assert s3.head_object(Bucket=bucket, Key=f"form {version}")["ContentLength"] == 11


def test_the_bucket_in_the_name_of_the_host(up: Up, bucket: str, tmp_path: Path) -> None:
    """curl signs the name that it sends, reaches it where the lab is, and verifies it."""
    port = up.facts["port"]
    host = f"{bucket}.s3.localhost:{port}"
    (tmp_path / "secret").write_text(
        f'user = "{up.facts["access_key_id"]}:{up.facts["secret_access_key"]}"\n'
    )
    sign = ("--aws-sigv4", "aws:amz:eu-west-2:s3", "--config", tmp_path / "secret",
            "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
            "--connect-to", f"{host}:localhost:{port}")  # fmt: skip
    put = up.curl(*sign, "-X", "PUT", "--data-binary", "dear reader", f"https://{host}/by-host")
    assert put[0] == 200
    assert up.curl(*sign, f"https://{host}/by-host") == (200, b"dear reader")
    assert b"<Key>by-host</Key>" in up.curl(*sign, f"https://{host}/")[1]
    with closing(up.client()) as s3:
        assert s3.get_object(Bucket=bucket, Key="by-host")["Body"].read() == b"dear reader"
    other = f"nobody-s.s3.localhost:{port}"
    status, told = up.curl(
        *sign, "--connect-to", f"{other}:localhost:{port}", f"https://{other}/by-host"
    )
    assert (status, b"<Code>NoSuchBucket</Code>" in told) == (404, True)


def test_customer_keys_pass_over_tls_only(up: Up, bucket: str) -> None:
    """The proxy says that its clients came over TLS; it is not asked by those that did not."""
    sse = {"SSECustomerKey": os.urandom(32), "SSECustomerAlgorithm": "AES256"}
    data = os.urandom(MIB) * 6
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    with closing(up.client()) as s3:
        s3.upload_fileobj(io.BytesIO(data), bucket, "c", ExtraArgs=sse, Config=config)
        whole, edge = io.BytesIO(), f"bytes={5 * MIB - 3}-{5 * MIB + 3}"
        s3.download_fileobj(bucket, "c", whole, ExtraArgs=sse, Config=config)
        across = s3.get_object(Bucket=bucket, Key="c", Range=edge, **sse)["Body"].read()
        part = s3.get_object(Bucket=bucket, Key="c", PartNumber=2, **sse)
        assert (whole.getvalue(), across) == (data, data[5 * MIB - 3 : 5 * MIB + 4])
        assert (part["PartsCount"], part["Body"].read()) == (2, data[5 * MIB :])
        for wrong, status in (({}, 400), (sse | {"SSECustomerKey": os.urandom(32)}, 403)):
            with pytest.raises(ClientError) as error:
                s3.get_object(Bucket=bucket, Key="c", PartNumber=2, **wrong)
            assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


class Raw:
    """A connection to the lab on which a test says exactly what it wants to say."""

    def __init__(self, up: Up) -> None:
        self._up = up
        context = ssl.create_default_context(cafile=up.facts["ca"])
        plain = socket.create_connection((up.facts["host"], up.facts["port"]), timeout=20)
        self._link = context.wrap_socket(plain, server_hostname="localhost")

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *exception: object) -> None:
        self._link.close()

    def send(self, data: bytes) -> None:
        self._link.sendall(data)

    def put(
        self,
        target: str,
        fields: list[tuple[str, str]],
        *,
        secret: str | None = None,
        payload: str = UNSIGNED,
    ) -> ChunkChain:
        """The head of an upload in chunks, signed with every field that is given.

        Returns what goes on to sign the chunks.
        """
        sign = Credentials(
            self._up.facts["access_key_id"], secret or self._up.facts["secret_access_key"]
        )
        host = urlsplit(self._up.url).netloc
        signed = sign_v4(
            sign, "PUT", target, [(name.encode(), value.encode()) for name, value in fields],
            host=host, service="s3", region="eu-west-2", now=datetime.now(UTC),
            payload_hash=payload,
        )  # fmt: skip
        head = b"".join(b"%s: %s\r\n" % field for field in signed)
        time = dict(signed)[b"X-Amz-Date"].decode()
        scope = Scope(time[:8], "eu-west-2", "s3")
        seed = dict(signed)[b"Authorization"][-64:].decode()
        self.send(b"PUT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (target.encode(), host.encode(), head))
        return ChunkChain(signing_key(sign.secret, scope), time, scope, seed)

    def answer(self) -> tuple[int, bytes]:
        """The next answer: its status and its body, by its length."""
        got = b""
        while b"\r\n\r\n" not in got and (more := self._link.recv(65536)):
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                       if line.startswith(b"content-length:")), 0)  # fmt: skip
        while len(body) < length and (more := self._link.recv(65536)):
            body += more
        return int(head.split()[1]), body


def announced(body: bytes) -> list[tuple[str, str]]:
    """As the aws CLI, version 2, says it: the transfer encoding is signed too."""
    return [
        ("Transfer-Encoding", "chunked"),
        ("Content-Encoding", "aws-chunked"),
        ("Expect", "100-continue"),
        ("X-Amz-Trailer", "x-amz-checksum-crc32"),
        ("X-Amz-Decoded-Content-Length", str(len(body))),
        ("x-amz-sdk-checksum-algorithm", "CRC32"),
    ]


def trailer(body: bytes) -> bytes:
    crc = Hasher("CRC32")
    crc.update(body)
    return b"x-amz-checksum-crc32:" + crc.digest().encode()


def in_chunks(inner: bytes, size: int) -> bytes:
    """A body in chunks of HTTP, which are not aligned to those of aws-chunked."""
    pieces = (inner[start : start + size] for start in range(0, len(inner), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"


def unsigned(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(body), body, trailer(body))


def signed(body: bytes, chain: ChunkChain, *, with_trailer: bool) -> bytes:
    """Chunks of 64 KiB that are signed one by one, and the trailer with them."""
    inner = b""
    for start in range(0, len(body) + 65536, 65536):
        data = body[start : start + 65536]
        mark = chain.chunk(hashlib.sha256(data).hexdigest()).encode()
        end = b"\r\n" if data else b""
        inner += b"%x;chunk-signature=%s\r\n%s%s" % (len(data), mark, data, end)
    if with_trailer:
        line = trailer(body)
        mark = chain.trailer(line + b"\n").encode()
        inner += b"%s\r\nx-amz-trailer-signature:%s\r\n" % (line, mark)
    return inner + b"\r\n"


@pytest.mark.parametrize("size", [1000, 0x4000, 0x20000])
def test_a_signed_transfer_encoding_and_a_client_that_waits(up: Up, bucket: str, size: int) -> None:
    body = os.urandom(100_000)
    with Raw(up) as raw:
        raw.put(f"/{bucket}/chunked", announced(body))
        assert raw.answer() == (100, b"")
        raw.send(in_chunks(unsigned(body), size))
        assert raw.answer()[0] == 200
    with closing(up.client()) as s3:
        found = s3.get_object(Bucket=bucket, Key="chunked")
        assert found["Body"].read() == body
        assert "ContentEncoding" not in found


@pytest.mark.parametrize("with_trailer", [False, True])
def test_chunks_that_are_signed_one_by_one(up: Up, bucket: str, with_trailer: bool) -> None:
    """One changed bit and nothing is stored, whatever its checksum says."""
    payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if with_trailer else "")
    body, key = os.urandom(150_000), f"signed-{with_trailer}"
    fields = announced(body)
    if not with_trailer:
        fields = [field for field in fields if field[0] not in {"X-Amz-Trailer"}]
        fields.pop()
    for flipped, status in ((True, 403), (False, 200)):
        with Raw(up) as raw, closing(up.client()) as s3:
            chain = raw.put(f"/{bucket}/{key}", fields, payload=payload)
            assert raw.answer()[0] == 100
            inner = bytearray(signed(body, chain, with_trailer=with_trailer))
            inner[70_000] ^= flipped
            raw.send(in_chunks(bytes(inner), 10_000))
            answered, told = raw.answer()
            assert answered == status, told
            assert ("Contents" in s3.list_objects_v2(Bucket=bucket, Prefix=key)) != flipped
    with closing(up.client()) as s3:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body


def test_who_may_not_is_told_so_instead_of_to_continue(up: Up, bucket: str) -> None:
    with Raw(up) as raw:
        raw.put(f"/{bucket}/refused", announced(b"text"), secret="w" * 40)
        status, told = raw.answer()
        assert (status, b"SignatureDoesNotMatch" in told) == (403, True)


def test_a_range_never_comes_with_the_checksum_of_the_whole(up: Up, bucket: str) -> None:
    """Clients ask for checksums with ranges too, and would hold one against the range."""
    with closing(up.client()) as s3:
        where = {"Bucket": bucket, "Key": "ranged", "ChecksumMode": "ENABLED"}
        s3.put_object(Bucket=bucket, Key="ranged", Body=bytes(1000), ChecksumAlgorithm="SHA256")
        assert "ChecksumSHA256" in s3.get_object(**where)
        got = s3.get_object(**where, Range="bytes=1-9")
        assert got["Body"].read() == bytes(9)
        assert not [name for name in got["ResponseMetadata"]["HTTPHeaders"] if "checksum" in name]


def test_both_regions_and_what_replicates_between_them(up: Up, bucket: str) -> None:
    """A multi-region key: sealed in one region, opened in the other, through one proxy."""
    with closing(up.client("kms")) as here, closing(up.client("kms", region="eu-west-1")) as there:
        key = here.create_key(MultiRegion=True)["KeyMetadata"]
        sealed = here.encrypt(KeyId=key["KeyId"], Plaintext=b"secret")["CiphertextBlob"]
        with pytest.raises(there.exceptions.ClientError):
            there.decrypt(CiphertextBlob=sealed)
        replica = here.replicate_key(KeyId=key["KeyId"], ReplicaRegion="eu-west-1")
        assert there.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"secret"
        assert replica["ReplicaKeyMetadata"]["Arn"] != key["Arn"]


def test_the_trail_shows_the_client_behind_the_proxy(up: Up, bucket: str) -> None:
    with closing(up.client("kms")) as kms, closing(up.client("cloudtrail")) as trail:
        kms.generate_random(NumberOfBytes=9)
        wanted = {"AttributeKey": "EventName", "AttributeValue": "GenerateRandom"}
        (event, *_) = trail.lookup_events(LookupAttributes=[wanted])["Events"]
    record = json.loads(event["CloudTrailEvent"])
    assert record["sourceIPAddress"] == "127.0.0.1"
    assert record["userIdentity"]["userName"] == "alice"


def test_a_request_signed_with_a_wrong_secret_is_in_the_trail(up: Up, bucket: str) -> None:
    """As nobody's: that it was alice is what it claims."""
    with closing(replace(up, facts=up.facts | {"secret_access_key": "w" * 40}).client("kms")) as it:
        with pytest.raises(ClientError) as error:
            it.list_aliases()
        assert error.value.response["Error"]["Code"] == "InvalidSignatureException"
    told = up.run("tlslab", "audit", "--state", up.state, "--refused", "--json")
    records = [json.loads(line) for line in told.splitlines()]
    (record,) = [record for record in records if record["eventName"] == "ListAliases"]
    assert record["errorCode"] == "InvalidSignatureException"
    assert "userName" not in record["userIdentity"]
    passphrase = ("--passphrase-file", up.state / "passphrase")
    assert b"intact" in up.run("tlslab", "audit", "verify", "--state", up.state, *passphrase)
