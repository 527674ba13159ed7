"""`tlslab ca faults`: the zoo of faulty certificates, listed, told, issued for anybody's server.

Only translates between the terminal and `tlslab.pki.faults`.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tlslab.errors import UsageError
from tlslab.pki import Authority
from tlslab.pki.facts import printable
from tlslab.pki.faults import Fault, FaultyServer, Verdict, build, shipped_faults
from tlslab.pki.faults.coverage import badssl_hosts
from tlslab.pki.files import PRIVATE_FILE, PUBLIC_FILE, create_folder


@click.command()
@click.argument("name", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--tag", help="Only the faults with this tag.")
@click.option("--issue", is_flag=True, help="Make the fault for a server of your own; needs --out.")
@click.option("--out", type=click.Path(path_type=Path), help="A new folder for what --issue makes.")
def faults(
    *, name: str | None, as_json: bool, tag: str | None, issue: bool, out: Path | None
) -> None:
    """List faulty certificates and what verifiers make of them; or tell about one by its ID.

    Every certificate is made when it is asked for, so none has expired but those that should have.
    """
    if issue or out is not None:
        _issue(name, issue, out, as_json=as_json)
    elif name is not None:
        fault = Fault.named(name)
        _print_json(fault.as_dict()) if as_json else _tell(fault)
    else:
        chosen = [one for one in shipped_faults().values() if tag is None or tag in one.tags]
        if not chosen:
            known = sorted({known for one in shipped_faults().values() for known in one.tags})
            raise UsageError(f"no fault has the tag {tag!r}", hint=f"tags are {', '.join(known)}")
        _list_as_json(chosen) if as_json else _list(chosen)


def _list_as_json(chosen: list[Fault]) -> None:
    hosts = [
        {key: value for key, value in vars(host).items() if value is not None and key != "setting"}
        | ({} if host.setting is None else {"setting": vars(host.setting)})
        for host in badssl_hosts()
    ]
    _print_json({"faults": [fault.as_dict() for fault in chosen], "badssl": hosts})


_USUAL = 80  # columns, from which on no name needs to be broken
_WIDE = 110  # columns, from which on there is room for titles


def _list(chosen: list[Fault]) -> None:
    console = Console()
    wide, usual = console.width >= _WIDE, console.width >= _USUAL
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("FAULT", "SEVERITY", "REFUSE", "OPENSSL", "CRYPTO"):
        table.add_column(title, no_wrap=usual, overflow="fold")
    if wide:
        table.add_column("WHAT", overflow="fold")
    group = None
    for fault in chosen:
        if fault.tags[0] != group:
            group = fault.tags[0]
            table.add_row(Text(group, style="cyan"))
        row = (
            f"  {fault.id}",
            "" if "control" in fault.tags else fault.severity,
            "must" if fault.must_refuse else "",
            _brief(fault.expected.openssl),
            "accepts" if fault.expected.cryptography.accepted else "refuses",
            fault.title,
        )
        table.add_row(*(Text(cell) for cell in (row if wide else row[:-1])))
    console.print(table)
    console.print(Text("an OpenSSL refusal is told as X509 error@depth and the alert sent"))


def _brief(verdict: Verdict) -> str:
    if verdict.accepted:
        return "accepts"
    if verdict.by == "loading":
        return "not served"
    reason = "" if verdict.x509 is None else f"{verdict.x509}@{verdict.depth} "
    return f"{reason}alert {verdict.alert}"


def _tell(fault: Fault) -> None:
    expected = fault.expected
    rows = {
        "what is wrong": fault.wrong,
        "rule": fault.rule,
        "attacker wins": fault.wins,
        "severity": fault.severity,
        "must be refused": "yes" if fault.must_refuse else "no",
        "openssl": expected.openssl.text,
        "cryptography": expected.cryptography.text,
        "with leaf's CRL": expected.crl and expected.crl.text,
        "with all CRLs": expected.crl_all and expected.crl_all.text,
        "stapled response": expected.staple,
        "timestamps": None if expected.scts is None else ", ".join(expected.scts) or "none",
        "client asks for": fault.recipe.ask,
        "tags": ", ".join(fault.tags),
        "catalogue": ", ".join(fault.catalogue),
        "badssl.com": ", ".join(fault.badssl),
    }
    console = Console()
    console.print(Text(f"{fault.id}: {fault.title}", style="bold"))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value:
            table.add_row(name, Text(printable(value)))
    console.print(Padding(table, (0, 0, 0, 2)))
    console.print(Text(f"  make it: tlslab ca faults {fault.id} --issue --out DIR"))


def _issue(name: str | None, issue: bool, out: Path | None, *, as_json: bool) -> None:
    if not issue or name is None or out is None:
        raise UsageError(
            "a fault is issued by its ID into a new folder",
            hint="tlslab ca faults expired-leaf --issue --out DIR",
        )
    made = build(Fault.named(name), Authority.create())
    files = _files(made)
    create_folder(out, {file: (data, _mode(file)) for file, data in files.items()})
    if as_json:
        _print_json({"id": name, "ask": made.name, "files": {n: str(out / n) for n in files}})
        return
    click.echo(printable(f"issued {name!r} in {out}: serve chain.pem with key.pem"))
    trust = "root.pem" if made.trust.certificates else "nothing (root.pem is empty)"
    click.echo(printable(f"let the client trust {trust} and ask for {made.name}"))


def _mode(name: str) -> int:
    return PRIVATE_FILE if name == "key.pem" else PUBLIC_FILE


def _files(made: FaultyServer) -> dict[str, bytes]:
    files = {
        "chain.pem": made.credential.chain_pem,
        "key.pem": made.credential.key_pem,
        "root.pem": made.trust.pem,
        "README.txt": _readme(made).encode(),
    }
    files |= {f"crl-{number}.der": crl for number, crl in enumerate(made.crls, 1)}
    if made.staple is not None:
        files["staple.der"] = made.staple
    return files


def _readme(made: FaultyServer) -> str:
    fault = made.fault
    lines = [
        f"{fault.id}: {fault.title}",
        "",
        fault.wrong,
        *([f"Forbidden by: {fault.rule}"] if fault.rule else []),
        f"The attacker wins: {fault.wins}",
        "",
        "chain.pem  what the server shows, leaf first",
        "key.pem    its private key; keep it to yourself",
        "root.pem   what the client has to trust"
        if made.trust.certificates
        else "root.pem   empty: the client trusts nothing, and that is the fault",
        *(["crl-*.der  the revocation lists"] if made.crls else []),
        *(["staple.der the OCSP response to staple"] if made.staple else []),
        "",
        f"The client asks for: {made.name}",
        f"OpenSSL's verdict: {fault.expected.openssl.text}",
    ]
    if made.ciphers is not None:
        lines.append(f"The server needs OpenSSL's cipher list: {made.ciphers}")
    if made.maximum != "TLS 1.3":
        lines.append(f"The server needs as its highest version: {made.maximum}")
    serve = "openssl s_server -accept 4433 -cert chain.pem -cert_chain chain.pem -key key.pem"
    if made.ciphers is not None:
        serve += f" -cipher {made.ciphers}"
    return "\n".join([*lines, "", f"Try it: {serve}", ""])


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))  # ASCII only: no name can control the terminal
