"""`tlslab volume`: encrypted volumes and snapshots in files, under keys of a KMS over the wire.

Only translates between the terminal, a KMS client and `tlslab.volume`; every rule lives there.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

import click
import trio

from tlslab.clientside.placing import place
from tlslab.clientside.remote import KMSClient, Settings
from tlslab.errors import IntegrityError, UsageError
from tlslab.iam.caller import Caller
from tlslab.pki.facts import printable
from tlslab.volume import (
    Descriptor,
    State,
    Volume,
    attach,
    copy_snapshot,
    create_volume,
    read_descriptor,
    restore_snapshot,
    take_snapshot,
)
from tlslab.volume.volume import DESCRIPTOR

EXIT_NOT_AUTHENTIC = 1

_CHUNK_BYTES = 1024 * 1024
_UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_NOBODY = Caller(None, None, source_ip="", user_agent="tlslab", secure=True)
"""The KMS on the other side of the wire knows who asks by the signature."""

_STANDARD = Path("-")

_F = TypeVar("_F", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)


@dataclass(frozen=True)
class _DataKey:
    plaintext: bytes = field(repr=False)
    ciphertext: bytes
    key_arn: str


@dataclass(frozen=True)
class _RemoteKMS:
    """The KMS of every region, over the wire."""

    endpoint_url: str | None
    ca_file: Path | None

    async def generate_data_key(
        self,
        caller: Caller,
        key_id: str,
        *,
        region: str,
        context: Mapping[str, str],
        size: int = 32,
    ) -> _DataKey:
        if "alias/" in key_id:
            raise UsageError(
                "a volume is bound to a key, and an alias may move to another",
                hint=f"give the key's id: aws kms describe-key --key-id {key_id}",
            )
        key, wrapped = await self._client(region, key_id).generate_data_key(context)
        return _DataKey(key, wrapped, key_id)

    async def decrypt(
        self,
        caller: Caller,
        ciphertext: bytes,
        *,
        region: str,
        context: Mapping[str, str],
        key_id: str | None = None,
    ) -> _DataKey:
        assert key_id is not None
        key = await self._client(region, key_id).decrypt(ciphertext, context)
        return _DataKey(key, ciphertext, key_id)

    def _client(self, region: str, key_id: str) -> KMSClient:
        settings = Settings.load(
            endpoint_url=self.endpoint_url, region=region, ca_file=self.ca_file
        )
        return KMSClient(settings, key_id)


class _Size(click.ParamType[int]):
    """Bytes, as 4096 or 64MiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        digits = text.rstrip("KMGTiB")
        unit = _UNITS.get(text[len(digits) :])
        if unit is None or not digits.isascii() or not digits.isdigit():
            self.fail(f"{text!r} is not a size like 4096 or 64MiB", param, ctx)
        return int(digits) * unit


class _Seen(click.ParamType[State]):
    """A state, as `write` prints it."""

    name = "state"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> State:
        generation, _, root = str(value).partition(":")
        try:
            return State(int(generation), bytes.fromhex(root))
        except ValueError:
            self.fail(f"{value!r} is not a state as `tlslab volume write` prints it", param, ctx)


def _kms_options(command: _F) -> _F:
    options = [
        click.option("--endpoint-url", help="The KMS.  [env: AWS_ENDPOINT_URL[_KMS]]"),
        click.option("--ca-file", type=_PATH, help="Whom to trust.  [env: AWS_CA_BUNDLE]"),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout."),
    ]
    return functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)


_key_option = functools.partial(
    click.option, "--kms-key-id", help="The KMS key: ARN or id (an alias may move, a volume not)."
)
_seen_option = click.option(
    "--not-before", "seen", type=_Seen(), help="Refuse a disk set back behind this state."
)


@click.group()
def volume() -> None:
    """Make encrypted volumes in files, under keys of a KMS; read, write, snapshot and copy them.

    The data key is asked of the KMS each time. Credentials come from AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY. Blocks that were changed, moved or set back are refused, with exit 1.
    """


@volume.command("create")
@click.argument("folder", type=_PATH)
@click.option("--size", type=_Size(), required=True, help="Like 64MiB; a multiple of 4096 bytes.")
@click.option("--region", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], required=True)
@_key_option(required=True)
@_kms_options
def create(
    folder: Path,
    size: int,
    region: str,
    kms_key_id: str,
    endpoint_url: str | None,
    ca_file: Path | None,
    as_json: bool,
) -> int:
    """Make an empty volume in a new FOLDER."""
    kms = _RemoteKMS(endpoint_url, ca_file)

    async def work() -> None:
        made = await create_volume(
            kms, _NOBODY, folder, size=size, region=region, key_id=kms_key_id
        )
        _tell(made, as_json)

    return _run(work)


@volume.command("write")
@click.argument("folder", type=_PATH)
@click.argument("file", type=_PATH)
@click.option("--offset", type=_Size(), default=0, show_default=True)
@_seen_option
@_kms_options
def write(
    folder: Path,
    file: Path,
    offset: int,
    seen: State | None,
    endpoint_url: str | None,
    ca_file: Path | None,
    as_json: bool,
) -> int:
    """Write FILE (- for stdin) into the volume, and print the state that it is in then.

    Keep the state elsewhere: with --not-before it tells a disk that was set back.
    """

    async def work() -> None:
        at = offset
        with _source(file) as source:
            async with await attach(
                _RemoteKMS(endpoint_url, ca_file), _NOBODY, folder, not_before=seen
            ) as attached:
                while chunk := await trio.to_thread.run_sync(source.read, _CHUNK_BYTES):
                    if at + len(chunk) > attached.size:
                        raise UsageError(
                            f"the volume ends at {attached.size} bytes",
                            hint="nothing beyond was written",
                        )
                    await attached.write(at, chunk)
                    at += len(chunk)
                state = await attached.flush()
        text = f"{state.generation}:{state.root.hex()}"
        click.echo(json.dumps({"written": at - offset, "state": text}) if as_json else text)

    return _run(work)


@volume.command("read")
@click.argument("folder", type=_PATH)
@click.argument("file", type=_PATH)
@click.option("--offset", type=_Size(), default=0, show_default=True)
@click.option("--size", type=_Size(), help="[default: to the end]")
@_seen_option
@_kms_options
def read(
    folder: Path,
    file: Path,
    offset: int,
    size: int | None,
    seen: State | None,
    endpoint_url: str | None,
    ca_file: Path | None,
    as_json: bool,
) -> int:
    """Read from the volume into a new FILE (- for stdout)."""
    if as_json and file == _STANDARD:
        raise UsageError("stdout cannot have both content and JSON", hint="name a file")

    async def work() -> None:
        async with await attach(
            _RemoteKMS(endpoint_url, ca_file), _NOBODY, folder, not_before=seen
        ) as attached:
            end = attached.size if size is None else offset + size
            if not offset <= end <= attached.size:
                raise UsageError(f"the volume ends at {attached.size} bytes")
            content = _content(attached, offset, end)
            if file != _STANDARD:
                await place(content, file)
            else:
                async for chunk in content:
                    sys.stdout.buffer.write(chunk)
        if as_json:
            click.echo(json.dumps({"read": end - offset}))

    return _run(work)


@volume.command("snapshot")
@click.argument("folder", type=_PATH)
@click.argument("snapshot", type=_PATH)
@_key_option(default=None)
@_seen_option
@_kms_options
def snapshot(
    folder: Path,
    snapshot: Path,
    kms_key_id: str | None,
    seen: State | None,
    endpoint_url: str | None,
    ca_file: Path | None,
    as_json: bool,
) -> int:
    """Keep the volume as it is now in a new file SNAPSHOT."""
    kms = _RemoteKMS(endpoint_url, ca_file)

    async def work() -> None:
        async with await attach(kms, _NOBODY, folder, not_before=seen) as attached:
            made = await take_snapshot(kms, _NOBODY, attached, snapshot, key_id=kms_key_id)
        _tell(made, as_json)

    return _run(work)


@volume.command("restore")
@click.argument("snapshot", type=_PATH)
@click.argument("folder", type=_PATH)
@_key_option(default=None)
@_kms_options
def restore(
    snapshot: Path,
    folder: Path,
    kms_key_id: str | None,
    endpoint_url: str | None,
    ca_file: Path | None,
    as_json: bool,
) -> int:
    """Make a volume in a new FOLDER with a snapshot's content."""
    kms = _RemoteKMS(endpoint_url, ca_file)

    async def work() -> None:
        _tell(await restore_snapshot(kms, _NOBODY, snapshot, folder, key_id=kms_key_id), as_json)

    return _run(work)


@volume.command("copy")
@click.argument("snapshot", type=_PATH)
@click.argument("target", type=_PATH)
@click.option("--to-region", required=True, help="Where the copy lives.")
@_key_option(required=True)
@_kms_options
def copy(
    snapshot: Path,
    target: Path,
    to_region: str,
    kms_key_id: str,
    endpoint_url: str | None,
    ca_file: Path | None,
    as_json: bool,
) -> int:
    """Copy a snapshot to another region, encrypted again under that region's KMS key."""
    kms = _RemoteKMS(endpoint_url, ca_file)

    async def work() -> None:
        made = await copy_snapshot(
            kms, _NOBODY, snapshot, target, region=to_region, key_id=kms_key_id
        )
        _tell(made, as_json)

    return _run(work)


@volume.command("info")
@click.argument("path", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def info(path: Path, as_json: bool) -> None:
    """What anyone may know of a volume or snapshot: no key is needed."""
    if path.is_dir():
        _tell(read_descriptor(path / DESCRIPTOR, "volume"), as_json)
    else:
        _tell(read_descriptor(path, "snapshot"), as_json)


def _run(work: Callable[[], Awaitable[None]]) -> int:
    try:
        trio.run(work)
    except IntegrityError as error:
        click.echo(f"tlslab: {error.message}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        return EXIT_NOT_AUTHENTIC
    return 0


def _source(file: Path) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(sys.stdin.buffer) if file == _STANDARD else file.open("rb")


async def _content(attached: Volume, offset: int, end: int) -> AsyncIterator[bytes]:
    for at in range(offset, end, _CHUNK_BYTES):
        yield await attached.read(at, min(_CHUNK_BYTES, end - at))


def _tell(found: Descriptor, as_json: bool) -> None:
    facts = {
        "kind": found.kind,
        "id": found.id,
        "size": found.size,
        "region": found.region,
        "kms_key_id": found.kms_key_arn,
    }
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        click.echo(
            printable(f"{found.kind} {found.id}: {found.size} bytes, in {found.region}, ")
            + printable(f"under {found.kms_key_arn}")
        )
