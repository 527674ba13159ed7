"""`tlslab ca`: make a certificate authority, issue certificates, look at them, hand them out.

Only translates between the terminal and `tlslab.pki`; every rule lives there.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tlslab.cli.ca_faults import faults
from tlslab.cli.ca_verify import verify
from tlslab.errors import PKIError, UsageError
from tlslab.pki import (
    CADirectory,
    KeyType,
    Profile,
    certificate_facts,
    explain_certificate,
    parse_certificates,
)
from tlslab.pki.credential import Chain, certificate_names, to_pem
from tlslab.pki.facts import printable
from tlslab.pki.files import PRIVATE_FILE, PUBLIC_FILE, is_folder, names_file, read_file, write_new

DEFAULT_DIRECTORY = "tlslab-ca"
MAX_DAYS = 36500  # a century; what the CA allows is less, and it says so

_WIDE = 120  # columns, from which on there is room for a serial number, which is 40 digits long
_OCTETS = re.compile("[0-9A-F]{2}(:[0-9A-F]{2})+")

_F = TypeVar("_F", bound=Callable[..., Any])


def _directory_option(command: _F) -> _F:
    return click.option(
        "--dir",
        "directory",
        type=click.Path(path_type=Path),
        default=DEFAULT_DIRECTORY,
        envvar="TLSLAB_CA",
        show_default=True,
        show_envvar=True,
        help="The CA's folder.",
    )(command)


def _json_option(command: _F) -> _F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(command)


def _key_type_option(command: _F) -> _F:
    return click.option(
        "--key-type",
        type=click.Choice([kind.value for kind in KeyType]),
        help="Type of the new keys.  [default: the profile's]",
    )(command)


@click.group()
def ca() -> None:
    """Make a certificate authority and issue certificates.

    A CA is a folder with a root, which clients have to trust, and an intermediate, which issues
    certificates. Keys are readable by you alone, and nothing is ever overwritten.
    """


@ca.command()
@_directory_option
@click.option("--name", default="tlslab", show_default=True, help="What the CA is called.")
@_key_type_option
@_json_option
def init(directory: Path, name: str, key_type: str | None, as_json: bool) -> None:
    """Make a new CA."""
    made = CADirectory.init(directory, name=name, key_type=_key_type(key_type))
    root = directory / "root.pem"
    if as_json:
        _print_json({"dir": str(directory), "root": _as_json(made.root), "root_file": str(root)})
        return
    _line(f"made the CA {name!r} in {directory}")
    _line(f"clients have to trust {root}; keep root.key and intermediate.key secret")
    _line("next: tlslab ca issue shop.test")


@ca.command()
@click.argument("names", nargs=-1)
@_directory_option
@click.option(
    "--profile",
    default="server",
    show_default=True,
    help="A shipped profile (server, client), or the path of a .toml file.",
)
@_key_type_option
@click.option(
    "--days",
    type=click.IntRange(1, MAX_DAYS),
    help="How long it is valid.  [default: the profile's lifetime]",
)
@click.option("--common-name", help="The subject's common name.  [default: the first name]")
@click.option("--label", help="What the CA files it under.  [default: like the first name]")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A new folder for key and chain.  [default: one in the CA's folder]",
)
@_json_option
def issue(
    *,
    names: tuple[str, ...],
    directory: Path,
    profile: str,
    key_type: str | None,
    days: int | None,
    common_name: str | None,
    label: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Issue a certificate for NAMES: DNS names (also *.shop.test, bücher.test) or IP addresses.

    A client's certificate may have a --common-name and no names.
    """
    is_file = profile.endswith(".toml") or "/" in profile
    issued = CADirectory(directory).issue(
        *names,
        profile=Profile.load(profile) if is_file else Profile.named(profile),
        key_type=_key_type(key_type),
        lifetime=None if days is None else timedelta(days=days),
        common_name=common_name,
        label=label,
        out=out,
    )
    certificate = issued.credential.certificate
    files = {part: str(issued.folder / f"{part}.pem") for part in ("certificate", "chain", "key")}
    if as_json:
        _print_json({"label": issued.label, "files": files, "certificate": _as_json(certificate)})
        return
    until = certificate.not_valid_after_utc.date()
    _line(f"issued {issued.label!r}, valid until {until}, in {issued.folder}")
    _line(f"use {files['chain']} and {files['key']}")


@ca.command(name="list")
@_directory_option
@_json_option
def list_(directory: Path, as_json: bool) -> None:
    """List what the CA has: root, intermediate and every certificate that it issued."""
    found = CADirectory(directory)
    entries = [
        (label, found.chain(label)[0]) for label in ("root", "intermediate", *found.labels())
    ]
    if as_json:
        certificates = [{"label": label, **_as_json(leaf)} for label, leaf in entries]
        _print_json({"dir": str(directory), "name": found.name, "certificates": certificates})
        return
    console = Console()
    titles = ["LABEL", "NAMES", "KEY", "VALID UNTIL", "SERIAL"]
    shown = titles if console.width >= _WIDE else titles[:-1]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in shown:
        table.add_column(title, overflow="fold")
    for label, leaf in entries:
        facts = certificate_facts(leaf)
        row = (label, facts.get("names", ""), facts["key"], facts["not_after"][:10])
        table.add_row(*(Text(printable(cell)) for cell in (*row, facts["serial"])[: len(shown)]))
    console.print(table)


@ca.command()
@click.argument("what", metavar="FILE|LABEL")
@_directory_option
@_json_option
def show(what: str, directory: Path, as_json: bool) -> None:
    """Explain the certificates in a FILE (PEM or DER, anybody's), or one of the CA's by its LABEL.

    A file goes before a label of the same name.
    """
    with warnings.catch_warnings():
        # Odd certificates of others are what `show` is for: no warning belongs on the screen.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        chain = _find(what, directory)
        if as_json:
            _print_json({"certificates": [_as_json(certificate) for certificate in chain]})
            return
        for number, certificate in enumerate(chain, 1):
            _print_certificate(certificate, f"certificate {number} of {len(chain)}")


def _find(what: str, directory: Path) -> Chain:
    path = Path(what)
    if names_file(path):
        data = read_file(path)
        try:
            return parse_certificates(data)
        except PKIError as error:
            raise UsageError(f"{what}: {error.message}", hint=error.hint) from error
    issuer = None if "/" in what or not is_folder(directory) else CADirectory(directory)
    if is_folder(path) and (issuer is None or what not in issuer.labels()):
        raise UsageError(f"{what} is a folder", hint="name a file in it")
    if issuer is None:
        raise UsageError(
            f"there is no file {what!r}",
            hint=f"give a PEM or DER file, or the label of a certificate of the CA in {directory}",
        )
    return issuer.chain(what)


@ca.command()
@click.argument("label", default="root")
@_directory_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["pem", "chain", "der", "pkcs12"]),
    default="pem",
    show_default=True,
    help="pem, der: the certificate. chain: and those above it. pkcs12: with its key, as browsers"
    " import it.",
)
@click.option("--out", type=click.Path(path_type=Path), help="A new file.  [default: stdout]")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    help="The first line is the password for pkcs12.  [default: ask for it]",
)
def export(
    *, label: str, directory: Path, form: str, out: Path | None, password_file: Path | None
) -> None:
    """Hand out a certificate: by default the root's, which clients have to trust."""
    found = CADirectory(directory)
    if out is None and form in ("der", "pkcs12"):
        raise UsageError(f"{form} is not text, so it needs a file", hint="name one with --out")
    chain = found.chain(label)
    if form == "pkcs12":
        if label in ("root", "intermediate"):
            raise UsageError(f"the key of the {label} is not handed out", hint="export a leaf")
        data = found.credential(label).pkcs12(_password(password_file), label=label)
    elif form == "der":
        data = chain[0].public_bytes(Encoding.DER)
    else:
        data = to_pem(chain if form == "chain" else chain[:1])
    if out is None:
        click.echo(data.decode(), nl=False)
        return
    write_new(out, data, mode=PRIVATE_FILE if form == "pkcs12" else PUBLIC_FILE)
    click.echo(f"wrote {printable(str(out))}", err=True)


def _password(file: Path | None) -> bytes:
    if file is None:
        text: str = click.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
        return text.encode()
    password = read_file(file).split(b"\n", 1)[0].rstrip(b"\r")
    if not password:
        raise UsageError(
            f"the first line of {file}, the password, is empty",
            hint="write a password there, or leave out --password-file and be asked for it",
        )
    return password


def _key_type(value: str | None) -> KeyType | None:
    return None if value is None else KeyType(value)


def _as_json(certificate: x509.Certificate) -> dict[str, Any]:
    try:
        names = list(certificate_names(certificate))
    except ValueError:  # a malformed extension: the facts tell it
        names = []
    return {
        "names": names,
        "facts": certificate_facts(certificate),
        "explanation": list(explain_certificate(certificate)),
        "pem": to_pem((certificate,)).decode(),
    }


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2))  # ASCII only: no name can control the terminal


def _line(text: str) -> None:
    click.echo(printable(text))


def _print_certificate(certificate: x509.Certificate, title: str) -> None:
    console = Console()
    console.print(Text(title, style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    facts = certificate_facts(certificate)
    room = console.width - 2 - max(map(len, facts)) - 2  # besides margin, names, and space between
    for name, value in facts.items():
        lines = _by_octets(value, room) if _OCTETS.fullmatch(value) else value
        table.add_row(name.replace("_", " "), Text(lines))  # Text: no markup is read from a name
    console.print(Padding(table, (0, 0, 0, 2)))
    for sentence in explain_certificate(certificate):
        console.print(Padding(Text(sentence), (0, 0, 0, 2)))


def _by_octets(value: str, width: int) -> str:
    """`01:23:45` in lines of at most `width`, each but the last ending with a colon."""
    step = max(1, width // 3) * 3
    return "\n".join(value[at : at + step] for at in range(0, len(value), step))


ca.add_command(verify)
ca.add_command(faults)
