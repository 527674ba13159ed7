"""`tlslab store`: the encrypting S3 and KMS endpoint by itself, and its keeping."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Literal

import click
import trio
from rich.console import Console
from rich.progress import Progress

from tlslab.cli.addresses import ip_address
from tlslab.cli.places import Place, place_options
from tlslab.cli.roots import read_passphrase
from tlslab.database import Database
from tlslab.endpoint import REGIONS, Settings, open_backend
from tlslab.endpoint.serving import serve as serve_endpoint
from tlslab.errors import AddressInUse, TlslabError, UsageError
from tlslab.http import ExchangeLog
from tlslab.pki import CADirectory, Credential
from tlslab.seal import PassphraseFile, RootOfTrust, open_seal, rewrap
from tlslab.store import ObjectStore
from tlslab.tls import ServerPolicy

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@click.group("store")
def command() -> None:
    """An S3 and KMS endpoint that really encrypts, for your own clients.

    `tlslab up` starts one behind a TLS-terminating proxy with everything made up for you. Here it
    runs by itself: set it up with `init`, then `serve`.
    """


@command.command()
@place_options
def init(place: Place) -> None:
    """Set a store up: its root of trust, sealed by a passphrase, and who may use it.

    The passphrase is asked for, or read from --passphrase-file. Without it, or without the root of
    trust, everything is lost that the store keeps: nobody can open it.
    """
    root = place.new_root()
    identities = place.open_identities()
    place.state.open_proxy_key()

    async def set_up() -> None:
        async with open_backend(place.settings(root, identities), create=True):
            pass

    trio.run(set_up)
    print(
        f"root of trust  {place.root_path}\n"
        f"identities     {place.identities or place.state.identities}\n"
        "Keep a copy of the root of trust, and the passphrase, elsewhere. Who has both, and the\n"
        "data, reads everything; without either of them everything is lost.\n"
        f"next: tlslab store serve --state {quote(str(place.state.path))}"
    )


@command.command()
@place_options
@click.option("--bind", default="127.0.0.1", show_default=True, metavar="IP", callback=ip_address)
@click.option("--port", type=click.IntRange(0, 65535), default=9000, show_default=True)
@click.option(
    "--tls",
    "ca",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="CA",
    help="Speak TLS, with a certificate of the CA in this folder (`tlslab ca init --dir`).",
)
@click.option("--name", "names", multiple=True, help="A further name for the certificate.")
@click.option(
    "--region",
    "regions",
    multiple=True,
    default=REGIONS,
    show_default=True,
    help="Served regions, the default first.",
)
@click.option(
    "--domain", "domains", multiple=True, help="Whose subdomains are buckets (virtual-host style)."
)
@click.option("--compat", type=click.Choice(["ceph"]), help="Answer as Ceph where AWS differs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line once ready.")
@click.option("--quiet", is_flag=True, help="Do not tell what clients do.")
def serve(
    place: Place,
    bind: str,
    port: int,
    ca: Path | None,
    names: tuple[str, ...],
    regions: tuple[str, ...],
    domains: tuple[str, ...],
    compat: Literal["ceph"] | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Serve S3 and KMS, over plain HTTP or TLS, until Ctrl-C.

    A TLS-terminating proxy in front proves itself with the key in `proxy.key`; without one and
    without --tls, keys provided by customers (SSE-C) are refused: they would travel in the clear.
    """
    root, identities = place.open_root(), place.open_identities()
    settings = place.settings(root, identities, regions=regions, domains=domains, compat=compat)
    credential = None if ca is None else _credential(ca, bind, names)
    trio.run(_serve, place, settings, bind, port, credential, as_json, quiet)


async def _serve(
    place: Place,
    settings: Settings,
    bind: str,
    port: int,
    credential: Credential | None,
    as_json: bool,
    quiet: bool,
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with open_backend(settings, create=False) as backend, trio.open_nursery() as nursery:
            try:
                listeners = await trio.open_tcp_listeners(port, host=bind)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                foreign = error.errno == errno.EADDRNOTAVAIL
                raise AddressInUse(
                    f"cannot listen on {bind} port {port}: {reason}",
                    hint=f"try another {'address with --bind' if foreign else '--port'}",
                ) from error
            nursery.start_soon(
                partial(
                    serve_endpoint,
                    backend.answer,
                    listeners,
                    policy=None if credential is None else ServerPolicy(credential=credential),
                    proxy_key=place.state.open_proxy_key(),
                    on_exchange=_nothing if quiet else _tell,
                    on_refusal=_nothing if quiet else _tell_refusal,
                )
            )
            host = f"[{bind}]" if ":" in bind else bind
            scheme = "http" if credential is None else "https"
            url = f"{scheme}://{host}:{listeners[0].socket.getsockname()[1]}"
            print(_how_to_use(url, place, settings, as_json), flush=True)
            async for _ in signals:
                break
            nursery.cancel_scope.cancel()


@command.command()
@place_options
@click.option("--no-rewrap", is_flag=True, help="Only add a version; wrap nothing anew.")
def rotate(place: Place, no_rewrap: bool) -> None:
    """Add a version of the root key of SSE-S3, and wrap all data keys with it. Moves no data.

    Old versions stay, for what is not wrapped anew. It may run while the store serves.
    """

    async def run(store: ObjectStore) -> None:
        print(f"root key version {await store.rotate_root_key()}")
        if not no_rewrap:
            with Progress(transient=True, console=Console(stderr=True)) as progress:
                task = progress.add_task("wrapping data keys anew", total=None)
                count = await store.rewrap(progress=lambda n: progress.update(task, completed=n))
            print(f"{count} objects wrapped anew")

    _with_store(place, run)


@command.command()
@place_options
@click.option(
    "--older-than",
    type=click.IntRange(0),
    default=3600,
    show_default=True,
    metavar="SECONDS",
    help="Leave alone what was written to since.",
)
def collect(place: Place, older_than: int) -> None:
    """Remove what crashes left behind; `serve` does so as well when it starts."""

    async def run(store: ObjectStore) -> None:
        count = await store.collect_leftovers(older_than=timedelta(seconds=older_than))
        print(f"{count} leftovers removed")

    _with_store(place, run)


@command.command()
@place_options
@click.option(
    "--new-passphrase-file", type=click.Path(path_type=Path, dir_okay=False),
    help="File with the new passphrase.  [default: asked]",
)  # fmt: skip
def passphrase(place: Place, new_passphrase_file: Path | None) -> None:
    """Change the passphrase of the root of trust. Old copies still open with the old one."""
    root = place.open_root()
    if not isinstance(root, PassphraseFile):
        raise UsageError("this root of trust has no passphrase")
    new = read_passphrase(new_passphrase_file, twice=True)
    trio.run(root.change_passphrase, new)
    print(f"{root.path} is sealed by the new passphrase")


@command.command()
@place_options
@click.option(
    "--new-root-of-trust",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Key file (made if there is none), or TOML file that names a key of AWS KMS or Vault.",
)
@click.option(
    "--new-passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with the new passphrase.  [default: asked]",
)
def reseal(place: Place, new_root_of_trust: Path, new_passphrase_file: Path | None) -> None:
    """Put the store and its KMS under another root of trust. Moves no data.

    Stop the store first. Copies of its databases are still opened by the old root of trust.
    """
    old = place.open_root()
    new = place.new_root_in_its_place(new_root_of_trust, new_passphrase_file)
    settings = place.settings(old, place.open_identities())
    for url in dict.fromkeys((settings.database, settings.kms_database)):
        trio.run(_reseal, url, old, new)
    print(f"sealed by {new_root_of_trust}: name it with --root-of-trust from now on")


async def _reseal(url: str, old: RootOfTrust, new: RootOfTrust) -> None:
    """One database, unless that was done already by a run that was interrupted."""
    database = Database(url)
    try:
        with contextlib.suppress(UsageError):
            await open_seal(database, new, create=False)
            return
        await rewrap(database, old, new)
    finally:
        database.close()


def _with_store(place: Place, work: Callable[[ObjectStore], Awaitable[None]]) -> None:
    settings = place.settings(place.open_root(), place.open_identities())

    async def run() -> None:
        async with open_backend(settings, create=False) as backend:
            await work(backend.store)

    trio.run(run)


def _credential(ca: Path, bind: str, names: tuple[str, ...]) -> Credential:
    wanted = [*LOOPBACK_NAMES, *names]
    if not ipaddress.ip_address(bind).is_unspecified:
        wanted.append(bind)
    return CADirectory(ca).authority().issue(*dict.fromkeys(wanted))


def _how_to_use(url: str, place: Place, settings: Settings, as_json: bool) -> str:
    region, identities = settings.regions[0], place.identities or place.state.identities
    if as_json:
        ready = {"s3_url": url, "kms_url": url, "region": region, "identities": str(identities)}
        return json.dumps(ready)
    return (
        f"S3 and KMS at {url}, regions {', '.join(settings.regions)}\n\n"
        f"  export AWS_ENDPOINT_URL={url} AWS_REGION={region} AWS_DEFAULT_REGION={region}\n"
        f"  export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…   (from {identities})\n\n"
        "Ctrl-C ends it."
    )


def _tell(exchange: ExchangeLog) -> None:
    method, path = exchange.method, exchange.target.partition("?")[0]  # queries can hold signatures
    print(f"{method} {path} {exchange.status} {exchange.seconds:.3f}s", file=sys.stderr)


def _tell_refusal(peer: str, error: TlslabError) -> None:
    print(f"{peer}: {error.message}", file=sys.stderr)


def _nothing(*_: object) -> None:
    """Tell nobody."""
