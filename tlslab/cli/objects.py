"""What `put` and `get` share: how an object is named, with which key, through which endpoint."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from tlslab.clientside import ApplicationKey, ApplicationKeyring, Keyring
from tlslab.clientside.remote import KMSClient, Settings
from tlslab.errors import UsageError
from tlslab.http.messages import iterating

F = TypeVar("F", bound=Callable[..., Any])

_PATH = click.Path(path_type=Path)


def remote_options(command: F) -> F:
    """Where the services are, which key is used on this side, and how it is printed."""
    options = [
        click.option(
            "--client-side", is_flag=True, help="Encrypted before upload: the store has no key."
        ),
        click.option("--key-file", type=_PATH, help="The application's key, for --client-side."),
        click.option("--kms-key-id", help="Or a KMS key for it: id, ARN or alias."),
        click.option(
            "--context",
            "context",
            multiple=True,
            metavar="NAME=VALUE",
            help="What the object belongs to; needed again to read it. May be repeated.",
        ),
        click.option(
            "--sse-c-key-file", type=_PATH, help="32 bytes: a key that the store gets and forgets."
        ),
        click.option("--endpoint-url", help="The service.  [env: AWS_ENDPOINT_URL[_S3|_KMS]]"),
        click.option("--region", help="[env: AWS_REGION, AWS_DEFAULT_REGION]"),
        click.option("--ca-file", type=_PATH, help="Whom to trust.  [env: AWS_CA_BUNDLE]"),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout."),
    ]
    return functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)


@dataclass(frozen=True)
class Target:
    """An object's name: `s3://bucket/key`."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str, *, default_name: str | None = None) -> Target:
        """From a URL; a key that is empty or a folder gets `default_name` behind it."""
        bucket, _, key = text.removeprefix("s3://").partition("/")
        if default_name is not None and (not key or key.endswith("/")):
            key += default_name
        if not text.startswith("s3://") or not bucket or not key or not _is_text(key):
            raise UsageError(f"{text!r} does not name an object", hint="like s3://bucket/key")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def parse_context(pairs: tuple[str, ...]) -> dict[str, str]:
    """From `NAME=VALUE`. Raises UsageError for what is not, or for a name given twice."""
    context: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or name in context or not _is_text(pair):
            raise UsageError(
                f"{pair!r} cannot be a part of the context", hint="NAME=VALUE, each name once"
            )
        context[name] = value
    return context


def _is_text(argument: str) -> bool:
    """Whether it is Unicode: bytes of an argument that are not arrive as lone surrogates."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_key_options(
    client_side: bool,
    key_file: Path | None,
    kms_key_id: str | None,
    context: Mapping[str, str],
) -> None:
    """Raise UsageError for options that contradict each other."""
    if not client_side:
        if key_file or kms_key_id or context:
            raise UsageError(
                "a key or context is given, but not what for", hint="add --client-side"
            )
    elif bool(key_file) == bool(kms_key_id):
        raise UsageError(
            "encryption before upload needs one key",
            hint="give --key-file FILE or --kms-key-id ID",
        )


def open_keyring(settings: Settings, key_file: Path | None, kms_key_id: str | None) -> Keyring:
    """The keyring that the options name; exactly one of them is given."""
    if key_file is not None:
        return ApplicationKeyring(ApplicationKey.load(key_file))
    assert kms_key_id is not None
    return KMSClient(settings, kms_key_id).keyring


Counting: TypeAlias = Callable[[AsyncIterable[bytes]], AsyncGenerator[bytes]]


@contextmanager
def progress(title: str, total: int) -> Iterator[Counting]:
    """A bar on a terminal; gives what passes a stream on and counts it."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(title, total=total)

        async def counted(stream: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
            async with iterating(stream) as parts:
                async for part in parts:
                    bar.advance(task, len(part))
                    yield part

        yield counted
