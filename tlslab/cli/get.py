"""`tlslab get`: fetch an object, and decrypt and verify what was encrypted before upload."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import click
import trio

from tlslab.cli.objects import (
    Target,
    check_key_options,
    open_keyring,
    parse_context,
    progress,
    remote_options,
)
from tlslab.clientside import Format, Keyring
from tlslab.clientside.content import ContentOpener
from tlslab.clientside.metadata import (
    INSTRUCTION_SUFFIX,
    MAX_INSTRUCTION_BYTES,
    is_encrypted,
    parse_instruction_file,
    wants_instruction_file,
)
from tlslab.clientside.objects import open_envelope, unverified, verified
from tlslab.clientside.placing import check_free, place
from tlslab.clientside.remote import RemoteObject, S3Client, ServiceError, Settings
from tlslab.clientside.remote.sse import customer_key_headers
from tlslab.envelope import read_private_file
from tlslab.errors import IntegrityError, UsageError
from tlslab.http import Headers
from tlslab.http.messages import gather
from tlslab.pki.facts import printable

EXIT_NOT_AUTHENTIC = 1

_STDOUT = Path("-")

Release: TypeAlias = Callable[[AsyncIterable[bytes], ContentOpener], AsyncGenerator[bytes]]
"""How plaintext is let go: after it is verified, or before."""


@click.command("get")
@click.argument("source", metavar="s3://BUCKET/KEY")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option(
    "--accept-v2", is_flag=True, help="Also read format v2, which does not commit to its key."
)
@click.option(
    "--unverified",
    "as_it_comes",
    is_flag=True,
    help="To stdout: write plaintext before it is verified. An error at the end takes it all back.",
)
@remote_options
def command(
    *,
    source: str,
    file: Path,
    force: bool,
    accept_v2: bool,
    as_it_comes: bool,
    client_side: bool,
    key_file: Path | None,
    kms_key_id: str | None,
    context: tuple[str, ...],
    sse_c_key_file: Path | None,
    endpoint_url: str | None,
    region: str | None,
    ca_file: Path | None,
    as_json: bool,
) -> int:
    """Fetch an object into FILE, which only you can read, or to stdout (-).

    With --client-side it is decrypted here, and FILE appears only after all of it is verified:
    until then the plaintext is in a file beside it (for stdout, in one without a name), so memory
    stays small. An object that does not authenticate leaves nothing, and exits with 1. Format v1 is
    not read: it does not authenticate.

    \b
    tlslab get s3://letters/alice letter.txt --client-side --key-file app.key
    tlslab get s3://letters/alice - --client-side --kms-key-id alias/letters
    """
    where, given = Target.parse(source), parse_context(context)
    check_key_options(client_side, key_file, kms_key_id, given)
    if as_it_comes and (file != _STDOUT or not client_side):
        raise UsageError("--unverified is for --client-side to stdout", hint="leave it out")
    if as_json and file == _STDOUT:
        raise UsageError("stdout cannot have both the object and JSON", hint="name a file")
    if file != _STDOUT:
        file = file / where.key.rpartition("/")[2] if file.is_dir() else file
        check_free(file, replace=force, hint="choose another name, or replace it with --force")
    settings = Settings.load(endpoint_url=endpoint_url, region=region, ca_file=ca_file)
    headers: Headers = []
    if sse_c_key_file is not None:
        headers = customer_key_headers(read_private_file(sse_c_key_file, "SSE-C key"))
    keyring = open_keyring(settings, key_file, kms_key_id) if client_side else None
    accept = (Format.V3, Format.V2) if accept_v2 else (Format.V3,)
    getting = _Getting(S3Client(settings), where, headers, keyring, given, accept, as_it_comes)
    try:
        if file == _STDOUT:
            size = trio.run(getting.to_stdout)
        else:
            size = trio.run(getting.to_file, file, force)
    except IntegrityError as error:
        _say(f"tlslab: {error.message}")
        if error.hint:
            _say(f"hint: {error.hint}")
        return EXIT_NOT_AUTHENTIC
    if as_json:
        facts = {"source": str(where), "file": str(file), "size": size, "verified": client_side}
        click.echo(json.dumps(facts, indent=2))
    elif file != _STDOUT:
        how = ", decrypted and verified" if client_side else ""
        click.echo(printable(f"wrote {file}, {size} bytes{how}"))
    return 0


@dataclass(frozen=True)
class _Getting:
    """One object on its way, and what is needed to read it."""

    client: S3Client
    where: Target
    headers: Headers
    keyring: Keyring | None
    context: dict[str, str]
    accept: tuple[Format, ...]
    as_it_comes: bool

    async def to_file(self, file: Path, replace: bool) -> int:
        """Write it to a file; returns its size."""
        async with self._content(unverified) as content:
            return await place(content, file, replace=replace)

    async def to_stdout(self) -> int:
        """Write it to stdout; returns its size."""
        size = 0
        async with self._content(unverified if self.as_it_comes else verified) as content:
            async for part in content:
                await trio.to_thread.run_sync(sys.stdout.buffer.write, part)
                size += len(part)
        sys.stdout.buffer.flush()
        return size

    @asynccontextmanager
    async def _content(self, release: Release) -> AsyncGenerator[AsyncGenerator[bytes]]:
        """What the object says, decrypted if there is a key; counted on a terminal."""
        where = self.where
        async with self.client.get(where.bucket, where.key, headers=self.headers) as remote:
            if self.keyring is None and is_encrypted(remote.metadata):
                _say("note: it was encrypted before upload; what you get is ciphertext")
                _say("hint: --client-side decrypts it")
            with progress(str(where), remote.size) as counted:
                body = counted(remote.body)
                if self.keyring is not None:
                    body = release(body, await self._opener(remote, self.keyring))
                async with aclosing(body):
                    yield body

    async def _opener(self, remote: RemoteObject, keyring: Keyring) -> ContentOpener:
        instruction = None
        if wants_instruction_file(remote.metadata):
            instruction = await self._instruction()
        return await open_envelope(
            remote.metadata,
            keyring,
            context=self.context,
            instruction=instruction,
            accept=self.accept,
        )

    async def _instruction(self) -> dict[str, str] | None:
        """What is in the instruction file beside the object, None if there is none."""
        key = self.where.key + INSTRUCTION_SUFFIX
        try:
            async with self.client.get(self.where.bucket, key, headers=self.headers) as remote:
                data = await gather(remote.body, at_most=MAX_INSTRUCTION_BYTES, status=502)
        except ServiceError as error:
            if error.status != 404:
                raise
            return None
        return parse_instruction_file(data)


def _say(text: str) -> None:
    click.echo(printable(text), err=True)
