"""`tlslab up`: a lab that keeps running, for curl, openssl, browsers and the user's own clients."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import click
import trio
from rich.console import Console
from rich.text import Text

from tlslab.cli.addresses import ip_address
from tlslab.lab.journal import Failure, Journal
from tlslab.lab.standing import BUCKET, StandingLab, standing_lab
from tlslab.tls import TruncationError

ABOUT_OUR_CERTIFICATE = (42, 43, 44, 45, 46, 48)
"""Alerts by which a client says that it does not like the server's certificate (RFC 8446 section
6.2): from bad_certificate to unknown_ca."""

KEPT = 100
"""Events that the journal of a standing lab keeps; they are printed, not analysed."""


@click.command("up")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="HTTPS port.  [default: a free one]"
)
@click.option(
    "--bind",
    default="127.0.0.1",
    show_default=True,
    callback=ip_address,
    help="IP address to listen on.",
    metavar="IP",
)
@click.option("--name", "names", multiple=True, help="A further name for the certificate.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep CA, key and objects here.  [default: a temporary folder, removed at the end]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line once ready.")
@click.option("--quiet", is_flag=True, help="Do not tell what clients do.")
def command(
    port: int, bind: str, names: tuple[str, ...], state: Path | None, as_json: bool, quiet: bool
) -> None:
    """Keep a lab running for your own clients: CA, TLS-terminating proxy, encrypting store.

    Runs until Ctrl-C. What clients do, and why a connection was refused, is told on stderr.
    """
    with _state_folder(state) as (folder, temporary):
        trio.run(_up, folder, temporary, port, bind, names, as_json, quiet)


@contextlib.contextmanager
def _state_folder(state: Path | None) -> Iterator[tuple[Path, bool]]:
    if state is not None:
        yield state.resolve(), False
        return
    with tempfile.TemporaryDirectory(prefix="tlslab-up-") as folder:
        yield Path(folder), True


async def _up(
    folder: Path,
    temporary: bool,
    port: int,
    bind: str,
    names: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with standing_lab(
            folder,
            bind_address=bind,
            bind_port=port,
            names=names,
            journal=Journal if quiet else TellingJournal,
        ) as lab:
            print(_as_json(lab) if as_json else _how_to_use(lab, temporary), flush=True)
            async for _ in signals:
                print("shutting down", file=sys.stderr)
                break


def _as_json(lab: StandingLab) -> str:
    return json.dumps(
        {
            "ca": str(lab.ca),
            "https_url": lab.https_url,
            "host": lab.address[0],
            "port": lab.address[1],
            "bucket_url": f"{lab.https_url}{BUCKET}/",
            "state_dir": str(lab.state),
            "s3_url": lab.https_url.rstrip("/"),
            "kms_url": lab.https_url.rstrip("/"),
            "region": lab.region,
            "access_key_id": lab.user.id,
            "secret_access_key": lab.user.secret,
            "account": lab.user.principal.account,
        }
    )


def _how_to_use(lab: StandingLab, temporary: bool) -> str:
    ca, url = quote(str(lab.ca)), lab.https_url
    host = url.removeprefix("https://").rstrip("/")
    identities = quote(str(lab.state / "identities.toml"))
    kept = "removed when the lab ends; keep it with --state DIR" if temporary else "kept"
    return f"""\
The lab is up: TLS ends at a proxy, behind it a store encrypts what you put there.

  address   {url}
  root CA   {lab.ca}
  state     {lab.state} ({kept})

curl      echo hello | curl --cacert {ca} -X PUT --data-binary @- {url}{BUCKET}/letter.txt
          curl --cacert {ca} {url}{BUCKET}/letter.txt
          curl {url}   (without the CA: refused, and the lab says why)
openssl   openssl s_client -connect {host} -servername localhost \\
              -CAfile {ca} -verify_return_error </dev/null
browser   import the root CA as an authority, then open {url}
disk      grep -r hello {quote(str(lab.state / "disk"))}   (finds nothing: content is encrypted)

S3 and KMS, for the AWS CLI, boto3 and others (as {lab.user.principal.name}; more in {identities}):

  export AWS_ENDPOINT_URL={url.rstrip("/")}
  export AWS_CA_BUNDLE={ca}
  export AWS_REGION={lab.region} AWS_DEFAULT_REGION={lab.region}
  export AWS_ACCESS_KEY_ID={lab.user.id}
  export AWS_SECRET_ACCESS_KEY={lab.user.secret}
  aws s3 cp /etc/hostname s3://{BUCKET}/   or, without the exports for address and CA:
  aws --endpoint-url {url.rstrip("/")} --ca-bundle {ca} s3 ls

Ctrl-C ends it."""


@dataclass
class TellingJournal(Journal):
    """A journal that prints what happens and keeps only the latest."""

    def __post_init__(self) -> None:
        """Tell people, not programs."""
        self._console = Console(stderr=True)

    def message(
        self, source: str, target: str, text: str, kind: str, *, protected: bool = False
    ) -> None:
        """Print one event."""
        super().message(source, target, text, kind, protected=protected)
        del self.messages[:-KEPT], self.tls[:-KEPT]
        self._print(f"{source} → {target}: {text}")

    def refused(self, side: str, peer: str, error: Failure) -> None:
        """Print why a connection did not come about. Each is new: none is written down once."""
        self.refusals.clear()
        super().refused(side, peer, error)
        why = None if isinstance(error, TruncationError) else error.explanation
        for line in (error.message, why.meaning if why else None, why.fix if why else error.hint):
            if line:
                self._print(f"  {line}")
        if self.refusals and self.refusals[-1].alert in ABOUT_OUR_CERTIFICATE:
            self._print("  does the client trust the root CA named above, and use a name in it?")

    def _print(self, line: str) -> None:
        visible = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)
        self._console.print(Text(visible), soft_wrap=True)
