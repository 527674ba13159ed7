"""`tlslab put`: store a file as an object, encrypted before upload if asked for."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import IO

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
from tlslab.clientside import ApplicationKey, Format, Keyring, encrypt_stream
from tlslab.clientside.objects import OVERHEAD_BYTES, READ_BYTES
from tlslab.clientside.remote import S3Client, Settings, Stored
from tlslab.clientside.remote.s3 import check_upload_size
from tlslab.clientside.remote.sse import customer_key_headers, sse_headers
from tlslab.envelope import read_private_file
from tlslab.errors import UsageError
from tlslab.http import Headers
from tlslab.pki.facts import printable


@click.command("put")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("target", metavar="s3://BUCKET/KEY")
@click.option(
    "--new-key",
    is_flag=True,
    help="Make the --key-file first. Keep it: without it nothing is read.",
)
@click.option(
    "--format",
    "write",
    type=click.Choice([one.value for one in Format]),
    help="Format for --client-side; v2 for old readers, without key commitment.  [default: v3]",
)
@click.option(
    "--sse",
    type=click.Choice(["AES256", "aws:kms", "aws:kms:dsse"]),
    help="Have the store encrypt, with a key of its own or of the KMS.",
)
@click.option("--sse-kms-key-id", help="The KMS key for --sse aws:kms.")
@remote_options
def command(
    *,
    file: Path,
    target: str,
    new_key: bool,
    write: str | None,
    sse: str | None,
    sse_kms_key_id: str | None,
    client_side: bool,
    key_file: Path | None,
    kms_key_id: str | None,
    context: tuple[str, ...],
    sse_c_key_file: Path | None,
    endpoint_url: str | None,
    region: str | None,
    ca_file: Path | None,
    as_json: bool,
) -> None:
    """Store FILE as an object (up to 5 GiB).

    With --client-side it is encrypted here, in the format of the Amazon S3 Encryption Client, and
    the store never has the key: lose the key file, or delete the KMS key, and the data is lost. A
    --context binds it to its place: a store cannot pass one object off as another to a reader who
    gives the context. Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.

    \b
    tlslab put letter.txt s3://letters/alice --client-side --key-file app.key --new-key
    tlslab put letter.txt s3://letters/ --client-side --kms-key-id alias/letters
    tlslab put letter.txt s3://letters/ --sse aws:kms --sse-kms-key-id alias/letters
    """
    where, given = Target.parse(target, default_name=file.name), parse_context(context)
    check_key_options(client_side, key_file, kms_key_id, given)
    if write is not None and not client_side:
        raise UsageError("a format is given, but not what for", hint="add --client-side")
    if new_key and key_file is None:
        raise UsageError("a new key needs a place", hint="name a new file with --key-file")
    headers = _sse(sse, sse_kms_key_id, sse_c_key_file)
    settings = Settings.load(endpoint_url=endpoint_url, region=region, ca_file=ca_file)
    with _opened(file) as source:
        size = os.fstat(source.fileno()).st_size
        check_upload_size(size + OVERHEAD_BYTES if client_side else size)
        if new_key and key_file is not None:
            _make_key(key_file)
        keyring = open_keyring(settings, key_file, kms_key_id) if client_side else None

        async def upload() -> Stored:
            return await _put(
                S3Client(settings), where, source, size, keyring, given, write, headers
            )

        stored = trio.run(upload)
    _tell(where, size, stored, client_side=client_side, as_json=as_json)


def _opened(file: Path) -> IO[bytes]:
    try:
        source = file.open("rb")
    except FileNotFoundError:
        raise UsageError(f"there is no file {str(file)!r}", hint="check the path") from None
    except IsADirectoryError:
        raise UsageError(f"{file} is a folder", hint="name a file in it") from None
    if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
        source.close()
        raise UsageError(
            f"{file} is not a regular file, so its length is not known", hint="save it to one first"
        )
    return source


def _sse(algorithm: str | None, kms_key_id: str | None, customer_key: Path | None) -> Headers:
    if customer_key is not None:
        if algorithm is not None:
            raise UsageError(
                "the store encrypts an object in one way", hint="leave out --sse or the SSE-C key"
            )
        return customer_key_headers(read_private_file(customer_key, "SSE-C key"))
    if algorithm is None:
        if kms_key_id is not None:
            raise UsageError("a KMS key is given, but not what for", hint="add --sse aws:kms")
        return []
    return sse_headers(algorithm, kms_key_id)


def _make_key(path: Path) -> None:
    """A new application key, and what it means, before anything depends on it."""
    ApplicationKey.generate().save(path)
    lines = (
        f"made a new key: {path.absolute()}",
        "Only this key reads what it encrypts. If it is lost, the data is lost: nobody can",
        "help, and the store cannot either. Make a backup of the file now, and keep it secret.",
    )
    for line in lines:
        click.echo(printable(line), err=True)


async def _put(
    client: S3Client,
    where: Target,
    source: IO[bytes],
    size: int,
    keyring: Keyring | None,
    context: dict[str, str],
    write: str | None,
    headers: Headers,
) -> Stored:
    with progress(f"{where}", size) as counted:
        body: AsyncIterator[bytes] = counted(_read(source))
        metadata: Mapping[str, str] = {}
        if keyring is not None:
            sealed = await encrypt_stream(
                body, keyring, context=context, write=Format(write or "v3")
            )
            body, metadata, size = sealed.body, sealed.metadata, size + OVERHEAD_BYTES
        return await client.put(
            where.bucket, where.key, body, size, metadata=metadata, headers=headers
        )


async def _read(source: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await trio.to_thread.run_sync(source.read, READ_BYTES):
        yield piece


def _tell(where: Target, size: int, stored: Stored, *, client_side: bool, as_json: bool) -> None:
    if as_json:
        facts = {
            "target": str(where),
            "size": size,
            "client_side": client_side,
            "etag": stored.etag,
            "version_id": stored.version_id,
            "server_side": stored.encryption,
            "kms_key": stored.kms_key,
        }
        click.echo(json.dumps(facts, indent=2))
        return
    how = ["encrypted before upload"] if client_side else []
    if stored.encryption:
        key = f" with {stored.kms_key}" if stored.kms_key else ""
        how.append(f"encrypted by the store ({stored.encryption}{key})")
    click.echo(printable(f"stored {where}, {size} bytes, {' and '.join(how) or 'not encrypted'}"))
