"""`tlslab put` and `tlslab get`, run as a user runs them, against the real S3 and KMS."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner

from tlslab.cli import get, put
from tlslab.clientside.placing import check_free
from tlslab.clientside.remote import S3Client
from tlslab.errors import TlslabError, UsageError

TEXT = b"dear alice, " * 50_000
BUCKET = "letters"


@dataclass(frozen=True)
class Done:
    """What a command did."""

    returncode: int
    stdout: bytes
    stderr: bytes


Run = Callable[..., Awaitable[Done]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands are run in, with a letter."""
    (tmp_path / "letter.txt").write_bytes(TEXT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(services: Any, folder: Path) -> Run:
    """Runs `tlslab` with arguments, as a process of its own."""

    async def run(*arguments: str, **environ: str) -> Done:
        done = await trio.run_process(
            [sys.executable, "-m", "tlslab", *arguments],
            env={**os.environ, **services.environ, **environ},
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def call(environ: Mapping[str, str], *arguments: str) -> Done:
    """The same within this process, which is quicker; errors are told as `tlslab` tells them."""
    command = {"put": put.command, "get": get.command}[arguments[0]]
    done = CliRunner().invoke(command, arguments[1:], env=environ, standalone_mode=False)
    code, said = done.return_value or 0, done.stderr
    if isinstance(done.exception, TlslabError):
        code, said = 2, f"{said}tlslab: {done.exception.message}\nhint: {done.exception.hint}\n"
    elif done.exception is not None:
        raise done.exception
    return Done(code, done.stdout_bytes, said.encode())


@pytest.fixture
def quick(services: Any, folder: Path) -> Run:
    """`call` with the services' environment."""

    async def quick(*arguments: str, **environ: str) -> Done:
        together = {**services.environ, **environ}
        return await trio.to_thread.run_sync(partial(call, together, *arguments))

    return quick


KEY = ("--client-side", "--key-file", "app.key")


def refused(done: Done, code: int = 2) -> bool:
    """Whether it says in one line what is wrong, and in another what to do."""
    said = done.stderr.decode()
    told = "tlslab: " in said and "hint: " in said and "hint: None" not in said
    return done.returncode == code and told and not done.stdout


async def put_raw(services: Any, key: str, body: bytes, metadata: dict[str, str]) -> None:
    async def once() -> AsyncIterator[bytes]:
        yield body

    client = S3Client(services.settings)
    await client.put(BUCKET, key, once(), len(body), metadata=metadata)


async def get_raw(services: Any, key: str) -> tuple[bytes, dict[str, str]]:
    async with S3Client(services.settings).get(BUCKET, key) as found:
        return b"".join([part async for part in found.body]), dict(found.metadata)


async def test_a_letter_goes_there_and_back_and_the_store_cannot_read_it(
    run: Run, services: Any, folder: Path
) -> None:
    done = await run("put", "letter.txt", f"s3://{BUCKET}/alice", *KEY, "--new-key")
    assert done.returncode == 0, done.stderr
    assert (folder / "app.key").stat().st_mode & 0o777 == 0o600
    body, metadata = await get_raw(services, "alice")
    assert len(body) == len(TEXT) + 16
    assert TEXT[:16] not in body
    assert metadata["x-amz-c"] == "115"
    done = await run("get", f"s3://{BUCKET}/alice", "back.txt", *KEY)
    assert done.returncode == 0, done.stderr
    assert (folder / "back.txt").read_bytes() == TEXT
    assert (folder / "back.txt").stat().st_mode & 0o777 == 0o600
    done = await run("get", f"s3://{BUCKET}/alice", "-", *KEY)
    assert (done.returncode, done.stdout) == (0, TEXT)
    await run("put", "letter.txt", f"s3://{BUCKET}/plain")
    assert (await get_raw(services, "plain"))[0] == TEXT


async def test_what_the_loss_of_a_new_key_means_is_said_before_anything_is_sent(
    run: Run, folder: Path
) -> None:
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_S3": ""}
    arguments = ("put", "letter.txt", f"s3://{BUCKET}/new", *KEY)
    done = await run(*arguments, "--new-key", **nowhere)
    said = done.stderr.decode()
    assert done.returncode == 2
    warning, failure = said.index(str(folder / "app.key")), said.index("cannot reach")
    assert "backup" in said[warning:failure]
    assert "lost" in said[warning:failure]
    again = await run(*arguments)
    assert again.returncode == 0
    assert again.stderr == b""


async def test_a_key_is_made_only_when_asked_for_and_never_over_another(
    quick: Run, folder: Path
) -> None:
    arguments = ("put", "letter.txt", f"s3://{BUCKET}/x", *KEY)
    assert refused(await quick(*arguments))
    assert not (folder / "app.key").exists()
    await quick(*arguments, "--new-key")
    before = (folder / "app.key").read_bytes()
    assert refused(await quick(*arguments, "--new-key"))
    assert (folder / "app.key").read_bytes() == before


@pytest.mark.parametrize("format_", ["v3", "v2"])
async def test_with_a_kms_key_and_a_context(quick: Run, services: Any, format_: str) -> None:
    options = ("--client-side", "--kms-key-id", services.kms_key)
    context = ("--context", "object=alice", "--context", "note=a=b")
    where = f"s3://{BUCKET}/kms-{format_}"
    done = await quick("put", "letter.txt", where, *options, *context, "--format", format_)
    assert done.returncode == 0, done.stderr
    accept = ("--accept-v2",) if format_ == "v2" else ()
    done = await quick("get", where, "-", *options, *context, *accept)
    assert (done.returncode, done.stdout) == (0, TEXT)
    assert refused(await quick("get", where, "-", *options, *accept), code=1)
    if format_ == "v2":
        assert refused(await quick("get", where, "-", *options, *context), code=1)


async def test_a_changed_object_leaves_nothing_unless_asked_for(
    run: Run, services: Any, folder: Path
) -> None:
    await run("put", "letter.txt", f"s3://{BUCKET}/changed", *KEY, "--new-key")
    body, metadata = await get_raw(services, "changed")
    await put_raw(services, "changed", body[:-1] + bytes([body[-1] ^ 1]), metadata)
    before = set(folder.iterdir())
    get = ("get", f"s3://{BUCKET}/changed")
    assert refused(await run(*get, "back.txt", *KEY), code=1)
    assert refused(await run(*get, "-", *KEY), code=1)
    assert set(folder.iterdir()) == before
    done = await run(*get, "-", *KEY, "--unverified")
    assert done.returncode == 1
    assert done.stdout == TEXT  # as it came: the changed bit is in the tag


async def test_an_object_that_was_not_encrypted_is_no_decrypted_one(
    quick: Run, services: Any
) -> None:
    await quick("put", "letter.txt", f"s3://{BUCKET}/other", *KEY, "--new-key")
    await put_raw(services, "forged", b"dear alice, send money to mallory", {})
    assert refused(await quick("get", f"s3://{BUCKET}/forged", "-", *KEY), code=1)
    done = await quick("get", f"s3://{BUCKET}/forged", "-")
    assert done.stdout.endswith(b"mallory")


async def test_ciphertext_is_called_by_its_name(quick: Run) -> None:
    await quick("put", "letter.txt", f"s3://{BUCKET}/sealed", *KEY, "--new-key")
    done = await quick("get", f"s3://{BUCKET}/sealed", "sealed.bin")
    assert done.returncode == 0
    assert b"--client-side" in done.stderr


async def test_the_store_encrypts_if_asked(quick: Run, services: Any, folder: Path) -> None:
    for options, expected in (
        (("--sse", "AES256"), "AES256"),
        (("--sse", "aws:kms", "--sse-kms-key-id", services.kms_key), "aws:kms"),
    ):
        done = await quick("put", "letter.txt", f"s3://{BUCKET}/sse", *options, "--json")
        facts = json.loads(done.stdout)
        assert facts["server_side"] == expected
        assert (facts["size"], facts["client_side"]) == (len(TEXT), False)
        done = await quick("get", f"s3://{BUCKET}/sse", "-")
        assert done.stdout == TEXT


async def test_a_key_that_the_store_forgets(quick: Run, folder: Path) -> None:
    (folder / "sse-c.key").write_bytes(os.urandom(32))
    (folder / "sse-c.key").chmod(0o600)
    options, where = ("--sse-c-key-file", "sse-c.key"), f"s3://{BUCKET}/sse-c"
    done = await quick("put", "letter.txt", where, *options)
    assert done.returncode == 0, done.stderr
    assert b"SSE-C" in done.stdout
    done = await quick("get", where, "-", *options)
    assert (done.returncode, done.stdout) == (0, TEXT)
    assert refused(await quick("get", where, "-"))
    (folder / "sse-c.key").write_bytes(os.urandom(32))
    assert refused(await quick("get", where, "-", *options))
    (folder / "sse-c.key").chmod(0o644)
    assert refused(await quick("get", where, "-", *options))


async def test_files_and_folders_as_targets(quick: Run, services: Any, folder: Path) -> None:
    assert (await quick("put", "letter.txt", f"s3://{BUCKET}/in/")).returncode == 0
    assert (await get_raw(services, "in/letter.txt"))[0] == TEXT
    get = ("get", f"s3://{BUCKET}/in/letter.txt")
    assert refused(await quick(*get, "."))
    assert refused(await quick(*get, "letter.txt"))
    (folder / "letter.txt").write_bytes(b"old")
    done = await quick(*get, "letter.txt", "--force", "--json")
    assert json.loads(done.stdout)["size"] == len(TEXT)
    assert (folder / "letter.txt").read_bytes() == TEXT
    (folder / "folder").mkdir()
    assert (await quick(*get, "folder")).returncode == 0
    assert (folder / "folder" / "letter.txt").read_bytes() == TEXT


@pytest.mark.parametrize(
    "arguments",
    [
        "put nothing.txt s3://letters/x",
        "put . s3://letters/x",
        "put letter.txt letters/x",
        "put letter.txt s3:///x",
        "put letter.txt s3://letters/\udcff",
        "put letter.txt s3://letters/x --client-side",
        "put letter.txt s3://letters/x --key-file app.key",
        "put letter.txt s3://letters/x --client-side --key-file a --kms-key-id b",
        "put letter.txt s3://letters/x --context a=b",
        "put letter.txt s3://letters/x --client-side --kms-key-id k --context ab",
        "put letter.txt s3://letters/x --client-side --kms-key-id k --context a=b --context a=c",
        "put letter.txt s3://letters/x --client-side --kms-key-id k --context a=\udcff",
        "put letter.txt s3://letters/x --client-side --kms-key-id k --new-key",
        "put letter.txt s3://letters/x --format v2",
        "put letter.txt s3://letters/x --sse-kms-key-id k",
        "put letter.txt s3://letters/x --sse AES256 --sse-kms-key-id k",
        "put letter.txt s3://letters/x --sse AES256 --sse-c-key-file letter.txt",
        "put letter.txt s3://letters/x --sse-c-key-file letter.txt",
        "put letter.txt s3://letters/x --endpoint-url localhost",
        "put letter.txt s3://letters/x --ca-file nothing.pem",
        "put letter.txt s3://letters/x",
        "get s3://letters/ x",
        "get s3://letters/x no/folder/x",
        "get s3://letters/x letter.txt",
        "get s3://letters/x x --unverified",
        "get s3://letters/x - --json",
    ],
)
def test_a_users_mistake_is_told_with_a_hint(folder: Path, arguments: str) -> None:
    environ = {
        "AWS_ENDPOINT_URL": "https://127.0.0.1:1",  # nobody is there
        "AWS_REGION": "eu-west-2",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_CA_BUNDLE": "",
    }
    assert refused(call(environ, *arguments.split()))
    assert {path.name for path in folder.iterdir()} == {"letter.txt"}


async def test_what_is_not_there_is_told_with_a_hint(quick: Run, folder: Path) -> None:
    for arguments in (
        "put letter.txt s3://no-such-bucket/x",
        "put letter.txt s3://letters/x --client-side --kms-key-id alias/no-such-key",
        "get s3://letters/no-such-key x",
    ):
        assert refused(await quick(*arguments.split()))
        assert {path.name for path in folder.iterdir()} == {"letter.txt"}


async def test_credentials_that_are_wrong_or_missing(quick: Run, services: Any) -> None:
    put = ("put", "letter.txt", f"s3://{BUCKET}/x")
    done = await quick(*put, AWS_SECRET_ACCESS_KEY="wrong")
    assert refused(done)
    assert b"SignatureDoesNotMatch" in done.stderr
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        done = await quick(*put, **{name: ""})
        assert refused(done)
        assert name.encode() in done.stderr


@pytest.mark.parametrize("replace", [False, True])
async def test_only_a_file_is_replaced(folder: Path, replace: bool) -> None:
    """A rename over a device would remove it."""
    os.mkfifo(folder / "pipe")
    with pytest.raises(UsageError):
        check_free(folder / "pipe", replace=replace)
    with pytest.raises(UsageError):
        check_free(folder, replace=True)
    check_free(folder / "letter.txt", replace=True)


async def test_a_bundle_without_certificates_is_named(folder: Path, run: Run) -> None:
    (folder / "bundle").write_bytes(b"none")
    done = await run("get", f"s3://{BUCKET}/x", "out", "--ca-file", "bundle")
    assert done.returncode == 2
    assert b"bundle" in done.stderr
