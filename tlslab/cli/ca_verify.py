"""`tlslab ca verify`: whether a chain in a file is to be believed, and why not.

Only translates between the terminal and `tlslab.pki.verify`; every rule lives there.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from cryptography.x509 import ocsp as ocsp_format
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tlslab.errors import UsageError
from tlslab.pki import TrustStore, parse_certificates
from tlslab.pki.facts import certificate_facts, printable, without_parser_state
from tlslab.pki.files import is_file, is_folder, names_file, read_file
from tlslab.pki.verify import (
    POLICIES,
    Finding,
    Opinion,
    Policy,
    Purpose,
    Revocation,
    Verdict,
    pinned,
)
from tlslab.pki.verify import verify as verify_chain
from tlslab.pki.verify.malformed import MALFORMED
from tlslab.pki.verify.status.crl import MAX_CRL_SIZE, parse_crl
from tlslab.pki.verify.status.ocsp import MAX_OCSP_SIZE

REFUSED = 1  # the exit code

_FILE = click.Path(path_type=Path)


@click.command(name="verify")
@click.argument("chain", type=_FILE)
@click.option("--name", help="The host, or IP address, that the chain is from.")
@click.option("--any-name", is_flag=True, help="Do not look at names: whose chain is it then?")
@click.option(
    "--trust",
    multiple=True,
    type=_FILE,
    help="Trusted certificates, PEM or DER.  [default: the roots of this system]",
)
@click.option("--at", help="When, as 2026-01-31T12:00:00Z.  [default: now]")
@click.option(
    "--policy",
    "policy_name",
    type=click.Choice(list(POLICIES)),
    default="default",
    show_default=True,
    help="default: as OpenSSL. strict: RFC 5280 and the rules of the Web to the letter. public: and"
    " what only public CAs have to do.",
)
@click.option(
    "--purpose",
    type=click.Choice([purpose.value for purpose in Purpose]),
    default=Purpose.SERVER.value,
    show_default=True,
    help="What the leaf is presented for.",
)
@click.option("--pin", "pins", multiple=True, help="SHA-256 of a public key; at least two.")
@click.option("--crl", "crls", multiple=True, type=_FILE, help="A revocation list, PEM or DER.")
@click.option("--ocsp", type=_FILE, help="The leaf's stapled OCSP response, DER.")
@click.option(
    "--revocation",
    type=click.Choice([mode.value for mode in Revocation]),
    help="soft lets what is unknown pass, hard does not.  [default: hard with --crl or --ocsp]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def verify(
    ctx: click.Context,
    *,
    chain: Path,
    name: str | None,
    any_name: bool,
    trust: tuple[Path, ...],
    at: str | None,
    policy_name: str,
    purpose: str,
    pins: tuple[str, ...],
    crls: tuple[Path, ...],
    ocsp: Path | None,
    revocation: str | None,
    as_json: bool,
) -> None:
    """Verify the CHAIN in a file, leaf first, and explain the verdict.

    Two verifiers are asked, OpenSSL and that of Python's cryptography, and the policy says what
    else counts. Nothing is fetched. The exit code is 0 if the chain is accepted, 1 if it is
    refused, and 2 for a mistake.
    """
    _check_names(chain, name, any_name=any_name, purpose=Purpose(purpose))
    policy = replace(POLICIES[policy_name], purpose=Purpose(purpose), check_name=not any_name)
    mode = revocation or ("hard" if crls or ocsp else "none")
    policy = replace(policy, revocation=Revocation(mode))
    if pins:
        policy = pinned(policy, map(_pin, pins))
    with warnings.catch_warnings():
        # Odd certificates of others are what this is for: no warning belongs on the screen.
        warnings.simplefilter("ignore")
        store, trusted = _trust(trust)
        sent = _sent(chain)
        verdict = verify_chain(
            sent,
            name,
            trust=store,
            now=datetime.now(UTC) if at is None else _moment(at),
            policy=policy,
            crls=[_crl(path) for path in crls],
            ocsp=None if ocsp is None else _ocsp(ocsp),
        )
        if as_json:
            click.echo(json.dumps(_as_json(verdict, policy, trusted), indent=2))
        else:
            _print(verdict, trusted)
    ctx.exit(0 if verdict.accepted else REFUSED)


def _check_names(chain: Path, name: str | None, *, any_name: bool, purpose: Purpose) -> None:
    if name is not None and any_name:
        raise UsageError(
            "--name and --any-name contradict each other",
            hint="give --name to have the name checked, or --any-name to leave it out",
        )
    if name is None and not any_name and purpose is Purpose.SERVER:
        raise UsageError(
            f"the name of the host whose chain is in {chain} is missing",
            hint="give it, as in --name shop.test; --any-name leaves names out, and then anybody's"
            " chain will do",
        )


def _sent(path: Path) -> bytes:
    """What is in the file of the chain, at least one certificate."""
    if not (names_file(path) or is_folder(path)):
        raise UsageError(
            f"there is no file {str(path)!r} with a chain",
            hint="give a file of certificates, leaf first; `tlslab ca export LABEL --format chain`"
            " writes one of the CA's",
        )
    sent = read_file(path)
    _certificates(path, sent)
    return sent


def _crl(path: Path) -> bytes:
    """A revocation list that the user names; one that cannot be read is a mistake."""
    data = read_file(path, limit=MAX_CRL_SIZE)
    try:
        # Some of it is read only when it is asked for: what is asked for later is asked for here.
        crl = parse_crl(data)
        _ = (crl.issuer, crl.last_update_utc, crl.next_update_utc, list(crl.extensions))
    except MALFORMED as error:
        raise UsageError(
            f"{path}: no readable revocation list in it",
            hint="--crl takes a CRL, PEM (BEGIN X509 CRL) or DER",
        ) from error
    return data


def _ocsp(path: Path) -> bytes:
    """An OCSP response that the user names; one that cannot be read is a mistake."""
    data = read_file(path, limit=MAX_OCSP_SIZE)
    try:
        response = ocsp_format.load_der_ocsp_response(data)
        if response.response_status is ocsp_format.OCSPResponseStatus.SUCCESSFUL:
            _ = (list(response.responses), list(response.extensions), response.certificates)
    except MALFORMED as error:
        raise UsageError(
            f"{path}: no readable OCSP response in it",
            hint="--ocsp takes a response in DER, as `openssl ocsp -respout FILE` writes it",
        ) from error
    return data


def _certificates(path: Path, data: bytes) -> tuple[Any, ...]:
    try:
        return parse_certificates(data)
    except MALFORMED as error:
        raise UsageError(
            f"{path}: no readable certificate in it",
            hint="it takes certificates as PEM, or one as DER",
        ) from error


def _trust(files: tuple[Path, ...]) -> tuple[TrustStore, str]:
    """The trust store, and where it is from."""
    if files:
        store = TrustStore()
        for file in files:
            store = store.adding(*_certificates(file, read_file(file)))
        return store, ", ".join(map(str, files))
    system = ssl.get_default_verify_paths().cafile
    if system is None or not is_file(Path(system)):
        raise UsageError(
            "this system has no file of trusted roots", hint="name the roots with --trust"
        )
    return TrustStore(_certificates(Path(system), read_file(Path(system)))), f"{system} (system)"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a time", hint="write it as 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _pin(text: str) -> bytes:
    """A pin as hex digits (colons allowed), or in base64 as curl has it (sha256//…)."""
    try:
        if text.startswith("sha256/"):
            return base64.b64decode(text.removeprefix("sha256/").lstrip("/"), validate=True)
        return bytes.fromhex(text.replace(":", ""))
    except (ValueError, binascii.Error) as error:
        raise UsageError(
            f"{text!r} is not a pin", hint="a pin is 64 hex digits, or sha256// and base64"
        ) from error


def _as_json(verdict: Verdict, policy: Policy, trusted: str) -> dict[str, Any]:
    decided = verdict.decided_by
    return {
        "accepted": verdict.accepted,
        "policy": verdict.policy,
        "revocation": policy.revocation.value,
        "name": verdict.name,
        "at": verdict.now.isoformat(),
        "trust": trusted,
        "decided_by": None if decided is None else _finding(decided),
        "findings": [_finding(finding) for finding in verdict.findings],
        "notes": [_finding(finding) for finding in verdict.notes],
        "opinions": [_opinion(opinion) for opinion in verdict.opinions],
        "path": [certificate_facts(certificate) for certificate in verdict.path],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    explanation = finding.explanation
    return {
        "check": finding.check,
        "depth": finding.depth,
        "number": finding.number,
        "rule": finding.rule,
        "name": explanation.name,
        "detail": without_parser_state(finding.detail),
        "meaning": explanation.meaning,
        "cause": explanation.cause,
        "fix": explanation.fix,
    }


def _opinion(opinion: Opinion) -> dict[str, Any]:
    return {
        "verifier": opinion.verifier,
        "accepted": opinion.accepted,
        "number": opinion.number,
        "depth": opinion.depth,
        "text": without_parser_state(opinion.text),
    }


def _print(verdict: Verdict, trusted: str) -> None:
    console = Console(highlight=False)
    style = "bold green" if verdict.accepted else "bold red"
    heading = Text("accepted" if verdict.accepted else "refused", style=style)
    name = verdict.name or "any name"
    moment = verdict.now.strftime("%Y-%m-%d %H:%M:%S %Z")
    heading.append(f" for {name} at {moment} by the policy {verdict.policy}", style="default")
    console.print(heading)
    rows: list[tuple[str, str]] = [("trusted", printable(trusted))]
    for depth, certificate in enumerate(verdict.path):
        rows.append((f"path {depth}", certificate_facts(certificate)["subject"]))
    if verdict.decided_by is not None:
        rows += _explained(verdict.decided_by)
    rows += [("also wrong", _line(finding)) for finding in verdict.findings[1:]]
    rows += [("let pass", _line(note)) for note in verdict.notes]
    rows += [(opinion.verifier, _said(opinion)) for opinion in verdict.opinions]
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for title, text in rows:
        table.add_row(title, Text(text))  # Text: no markup is read from a name
    console.print(Padding(table, (0, 0, 0, 2)))


def _explained(finding: Finding) -> list[tuple[str, str]]:
    explanation = finding.explanation
    return [
        ("decided by", _line(finding)),
        ("rule", finding.rule),
        ("meaning", explanation.meaning),
        ("cause", explanation.cause),
        ("fix", explanation.fix),
    ]


def _line(finding: Finding) -> str:
    where = "" if finding.depth is None else f" at depth {finding.depth}"
    return f"{finding.check}{where}: {without_parser_state(finding.detail)}"


def _said(opinion: Opinion) -> str:
    if opinion.accepted:
        return "accepts"
    number = "" if opinion.number is None else f" ({opinion.number})"
    where = "" if opinion.depth is None else f" at depth {opinion.depth}"
    return f"refuses{where}: {without_parser_state(opinion.text)}{number}"
