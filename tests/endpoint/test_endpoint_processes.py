"""Two stores on one database and one place for bytes, under load, one of them killed meanwhile."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tlslab.iam import Identities
from tlslab.store.pieces import INLINE_BYTES

BUCKET = "letters"
LARGE = INLINE_BYTES + 1000
ROUNDS = 10
Pair: TypeAlias = tuple[Any, Any]


@dataclass
class Process:
    """One `tlslab store serve`, and a client of it."""

    process: subprocess.Popen[bytes]
    s3: Any = field(repr=False)


class Place:
    """Where both have everything."""

    def __init__(self, folder: Path, url: str) -> None:
        passphrase = folder / "passphrase.txt"
        passphrase.touch(0o600)
        passphrase.write_text("correct horse battery staple")
        self.objects = folder / "objects"
        self.state = folder / "state"
        self._common = ["--state", str(self.state), "--database", url,
                        "--objects", str(self.objects),
                        "--passphrase-file", str(passphrase)]  # fmt: skip
        self.tlslab("init")

    def tlslab(self, command: str, *more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tlslab", "store", command, *self._common, *more],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def serving(self) -> Iterator[Process]:
        key = Identities.load(self.state / "identities.toml").user("alice")
        assert key is not None
        command = [sys.executable, "-m", "tlslab", "store", "serve", *self._common]
        with subprocess.Popen(
            [*command, "--port", "0", "--json", "--quiet"], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            try:
                url = json.loads(process.stdout.readline())["s3_url"]
                with closing(
                    boto3.client(
                        "s3", endpoint_url=url, region_name="eu-west-2",
                        aws_access_key_id=key.id, aws_secret_access_key=key.secret,
                        config=Config(retries={"max_attempts": 0}, max_pool_connections=20),
                    )
                ) as s3:  # fmt: skip
                    yield Process(process, s3)
            finally:
                process.kill()

    def expect_no_leftovers(self, s3: Any) -> None:
        """What was left behind is collected, and nothing else."""
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        found = [one for page in pages for one in page["Contents"]]
        for one in found:  # also of what nobody was told: whole or not there
            assert len(get(s3, one["Key"])) == one["Size"]
        self.tlslab("collect", "--older-than", "0")
        blobs = list((self.objects / "blobs").iterdir())
        assert len(blobs) == sum(one["Size"] > INLINE_BYTES for one in found)


@pytest.fixture(scope="module")
def place(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    psycopg = pytest.importorskip("psycopg")
    name = f"test_{os.urandom(8).hex()}"
    with psycopg.connect(
        host=postgresql, user="tests", dbname="postgres", autocommit=True
    ) as admin:
        admin.execute(f"CREATE DATABASE {name} STRATEGY wal_log")
        url = f"postgresql://tests@/{name}?host={postgresql}"
        yield Place(tmp_path_factory.mktemp("place"), url)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def pair(place: Place) -> Iterator[Pair]:
    """Clients of two stores. In the end no byte is left that no object refers to."""
    with place.serving() as one, place.serving() as two:
        create_bucket(one.s3)
        yield one.s3, two.s3
        place.expect_no_leftovers(one.s3)


def race(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do all at once; what each returned, or the code with which it was refused."""
    start = threading.Barrier(len(works))

    def one(work: Callable[[], Any]) -> Any:
        start.wait(30)
        try:
            return work()
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def body_of(number: int) -> bytes:
    """Inline, or in a file of its own; never another's."""
    return f"{number}:".encode() * (LARGE // 2 if number % 2 else 3)


def create_bucket(s3: Any) -> None:
    here = {"LocationConstraint": "eu-west-2"}
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=here)


def create(s3: Any, key: str, body: bytes) -> bytes:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body, IfNoneMatch="*")
    return body


def put(s3: Any, key: str, body: bytes) -> None:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def get(s3: Any, key: str) -> bytes:
    return bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def delete(s3: Any, key: str) -> None:
    s3.delete_object(Bucket=BUCKET, Key=key)


def complete(s3: Any, upload: dict[str, str], parts: Any) -> str:
    return str(s3.complete_multipart_upload(**upload, MultipartUpload=parts)["ETag"])


def abort(s3: Any, upload: dict[str, str]) -> None:
    s3.abort_multipart_upload(**upload)


def test_of_those_that_create_an_object_one_wins(pair: Pair) -> None:
    for number in range(ROUNDS):
        key, bodies = f"new-{number}", [body_of(100 * number + lane) for lane in range(6)]
        made = race([partial(create, pair[lane % 2], key, bodies[lane]) for lane in range(6)])
        (winner,) = [found for found in made if isinstance(found, bytes)]
        assert {found for found in made if found != winner} == {"PreconditionFailed"}
        assert [get(s3, key) for s3 in pair] == [winner, winner]


def test_an_upload_is_completed_or_aborted_and_all_are_told_the_same(pair: Pair) -> None:
    one, two = pair
    for number in range(ROUNDS):
        where, body = {"Bucket": BUCKET, "Key": f"parts-{number}"}, body_of(number)
        upload = {**where, "UploadId": one.create_multipart_upload(**where)["UploadId"]}
        etag = two.upload_part(**upload, PartNumber=1, Body=body)["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        done = race([
            partial(complete, one, upload, parts),
            partial(complete, two, upload, parts),
            partial(abort, pair[number % 2], upload),
        ])  # fmt: skip
        if done[2] is None:
            assert done[:2] == ["NoSuchUpload", "NoSuchUpload"]
            assert race([partial(get, two, where["Key"])]) == ["NoSuchKey"]
        else:  # then both completed it, whoever was first
            assert done == [done[0], done[0], "NoSuchUpload"]
            assert str(done[0]).endswith('-1"')
            assert get(two, where["Key"]) == body
    assert not one.list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_what_is_replaced_and_deleted_at_once_is_there_or_not(pair: Pair) -> None:
    one, two = pair
    for number in range(ROUNDS):
        race([
            partial(put, one, "contended", body_of(number)),
            partial(delete, two, "contended"),
            partial(put, two, "contended", body_of(number + 1)),
            partial(delete, one, "contended"),
        ])  # fmt: skip
        seen = race([partial(get, s3, "contended") for s3 in pair])
        assert seen[0] == seen[1]
        assert seen[0] in {"NoSuchKey", body_of(number), body_of(number + 1)}


def test_one_is_killed_and_the_other_has_everything(place: Place) -> None:
    """What either acknowledged is whole, and nobody waits for the dead one."""
    acknowledged: dict[str, bytes] = {}
    stop = threading.Event()

    def write(s3: Any, lane: int) -> None:
        """Until told to stop, or killed; then what became of the last nobody was told."""
        for number in itertools.count(lane, 6):
            key, body = f"killed/{lane}/{number % 7}", body_of(number)
            try:
                put(s3, key, body)
                acknowledged[key] = body
                if number % 5 == 0:
                    delete(s3, key)
                    acknowledged[key] = b""
            except (BotoCoreError, ClientError, OSError):
                assert lane >= 3
                acknowledged.pop(key, None)
                return
            if stop.is_set():
                return

    with ExitStack() as stack:
        one, two = (stack.enter_context(place.serving()) for _ in range(2))
        with suppress(one.s3.exceptions.BucketAlreadyOwnedByYou):
            create_bucket(one.s3)
        with ThreadPoolExecutor(6) as pool:
            lanes = [pool.submit(write, (one if lane < 3 else two).s3, lane) for lane in range(6)]
            while len(acknowledged) < 30:
                assert not any(lane.done() for lane in lanes)
                stop.wait(0.01)
            two.process.kill()
            for lane in lanes[3:]:
                lane.result(30)
            before = dict(acknowledged)
            while before == acknowledged:  # the other goes on
                stop.wait(0.01)
            stop.set()
            for lane in lanes:
                lane.result(30)
        for key, body in acknowledged.items():
            assert race([partial(get, one.s3, key)]) == [body or "NoSuchKey"]
        place.expect_no_leftovers(one.s3)
