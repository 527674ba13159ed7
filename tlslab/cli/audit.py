"""`tlslab audit`: who asked for what, and whether the trail that says so is intact.

Records hold what strangers sent: everything is printed as text without markup, control characters
escaped.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import trio
from sqlalchemy import inspect

from tlslab.audit import Attribute, Found, Head, Query, Trail, Verification
from tlslab.audit.lookup import UNREADABLE, look_up, read_after
from tlslab.audit.trail import microseconds
from tlslab.cli.roots import Sealed, sealed_options
from tlslab.database import Database
from tlslab.errors import UsageError
from tlslab.pki.facts import printable
from tlslab.seal import open_seal

EXIT_NOT_INTACT = 1

FOLLOW_SECONDS = 0.5

_OBJECT = "aws:s3:arn"
"""What of an encryption context names the object that a key was used for."""


_UNREADABLE = "unreadable"


class _Default(click.Group):
    """`tlslab audit` alone is `tlslab audit show`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in {"-h", "--help"}):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Default)
def command() -> None:
    """Who used which key, for which object, when and from where.

    Without a subcommand it shows the newest records. They are shown as they are kept; whether
    somebody changed them, `tlslab audit verify` finds out.
    """


@command.command()
@sealed_options
@click.option("--event", help="Only this operation, such as Decrypt.")
@click.option("--user", help="Only this user.")
@click.option("--resource", help="Only this key, by its ARN.")
@click.option("--access-key", help="Only this access key id.")
@click.option("--region", help="Only this region.")
@click.option("--since", type=click.DateTime(), help="From this time on, in UTC.")
@click.option("--until", type=click.DateTime(), help="Up to this time, in UTC.")
@click.option("--refused", is_flag=True, help="Only what was refused.")
@click.option(
    "--limit",
    type=click.IntRange(1, 100_000),
    default=50,
    show_default=True,
    help="Newest records.",
)
@click.option("--follow", is_flag=True, help="Go on with new ones as they are written.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per record.")
def show(
    sealed: Sealed,
    event: str | None,
    user: str | None,
    resource: str | None,
    access_key: str | None,
    region: str | None,
    since: datetime.datetime | None,
    until: datetime.datetime | None,
    refused: bool,
    limit: int,
    follow: bool,
    as_json: bool,
) -> None:
    """Show records, the newest last. Needs no root of trust: records are not secret."""
    attribute, value = _attribute(event, user, resource, access_key)
    query = Query(
        region=region,
        attribute=attribute,
        value=value,
        start=None if since is None else microseconds(since.replace(tzinfo=datetime.UTC)),
        end=None if until is None else microseconds(until.replace(tzinfo=datetime.UTC)),
    )
    if follow and (query != Query() or refused):
        raise UsageError("only the whole trail is followed", hint="filter its JSON, as with jq")
    with closing(_opened(sealed)) as database:
        found = trio.run(_newest, database, query, refused, limit)
        _print(found, as_json)
        if not found and not follow:
            click.echo("no such records", err=True)
        if follow:
            trio.run(_follow, database, found[-1].number if found else 0, as_json)


@command.command()
@sealed_options
@click.option("--head", "noted", metavar="HASH:COUNT", help="A head noted earlier, elsewhere.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def verify(context: click.Context, sealed: Sealed, noted: str | None, as_json: bool) -> None:
    """Read the whole trail again, and name the first record that somebody changed.

    It prints the head: note it elsewhere, and give it with --head next time. Only that shows that
    everything was put back to an earlier state. The exit code is 1 if the trail is not intact.
    """
    expected = None if noted is None else Head.parse(noted)
    root = sealed.open_root()
    with closing(_opened(sealed)) as database:

        async def run() -> Verification:
            seal = await open_seal(database, root, create=False)
            return await Trail(database, seal, begun=True).verify(expected)

        result = trio.run(run)
    _tell(result, as_json)
    if not result.intact:
        context.exit(EXIT_NOT_INTACT)


def _attribute(
    event: str | None, user: str | None, resource: str | None, access_key: str | None
) -> tuple[Attribute | None, str]:
    given = {
        Attribute.EVENT_NAME: event,
        Attribute.USERNAME: user,
        Attribute.RESOURCE_NAME: resource,
        Attribute.ACCESS_KEY_ID: access_key,
    }
    chosen = [(attribute, value) for attribute, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise UsageError("one of --event, --user, --resource and --access-key at a time")
    return chosen[0] if chosen else (None, "")


def _opened(sealed: Sealed) -> Database:
    """The database, if there is an audit trail in it; nothing is created."""
    is_path = "://" not in sealed.database
    path = sealed.database if is_path else sealed.database.removeprefix("sqlite:///")
    if (is_path or path != sealed.database) and not Path(path).is_file():
        raise UsageError(f"there is no database {path}")
    database = Database(sealed.database)
    has_trail = trio.run(
        database.read, lambda connection: inspect(connection).has_table("audit_records")
    )
    if not has_trail:
        database.close()
        raise UsageError("there is no audit trail in the database", hint="it is the one of the KMS")
    return database


async def _newest(database: Database, query: Query, refused: bool, limit: int) -> list[Found]:
    """The newest records that are wanted, the newest last."""
    found, after = list[Found](), None
    while True:
        page = await database.read(lambda c, a=after: look_up(c, query, a, limit))  # type: ignore[misc]
        found += [one for one in page.found if not refused or _error(one)]
        after = page.next
        if after is None or len(found) >= limit:
            return found[:limit][::-1]


async def _follow(database: Database, number: int, as_json: bool) -> None:
    while True:
        found = await database.read(lambda c, n=number: read_after(c, n, 1000))  # type: ignore[misc]
        if found:
            _print(found, as_json)
            number = found[-1].number
        else:
            await trio.sleep(FOLLOW_SECONDS)


def _error(found: Found) -> str | None:
    try:
        error: str | None = json.loads(found.record).get("errorCode")
    except UNREADABLE:
        return _UNREADABLE  # wanted by whoever looks for what went wrong
    return error


def _print(found: Sequence[Found], as_json: bool) -> None:
    for one in found:
        try:
            lines = list(_lines(json.loads(one.record)))
            if as_json:
                lines = [one.record.decode()]
        except UNREADABLE:
            lines = [f"record {one.number}: {_UNREADABLE}; `tlslab audit verify` says more"]
            if as_json:
                lines = [json.dumps({_UNREADABLE: one.number})]
        print("\n".join(lines), flush=True)


def _lines(record: dict[str, Any]) -> Iterator[str]:
    """A record in lines that are never folded, so that they can be searched; they fit 80 columns
    where names are short."""
    identity = record["userIdentity"]
    service = identity.get("invokedBy")
    who = identity.get("arn", "").rpartition(":")[2]
    who = f"{who} by {service}" if who and service else who or service or "nobody"
    time = record["eventTime"].removesuffix("Z").replace("T", " ")
    answer = record.get("errorCode") or "ok"
    yield printable(f"{time}  {record['eventName']}  {answer}  {who}  {record['sourceIPAddress']}")
    for resource in record.get("resources", ()):
        yield printable(f"  key     {resource['ARN'].rpartition('/')[2]}")
    context = (record["requestParameters"] or {}).get("encryptionContext") or {}
    if _OBJECT in context:
        yield printable(f"  object  {context[_OBJECT]}")


def _tell(result: Verification, as_json: bool) -> None:
    finding = result.finding
    if as_json:
        said = {"intact": result.intact, "head": str(result.head), "fault": None, "record": None}
        if finding is not None:
            said |= {"fault": finding.fault.value, "record": finding.number}
        print(json.dumps(said))
        return
    if finding is None:
        print(f"intact    {result.head.count} records")
        print(f"head      {result.head}")
        return
    print(f"not intact: {_SAID[finding.fault.value](finding.number)}")
    print(f"right up to record {result.head.count}")


_SAID: dict[str, Callable[[int], str]] = {
    "changed": lambda number: f"record {number} is not what was written in its place",
    "columns": lambda number: f"record {number} is hidden from searches: its columns were changed",
    "missing": lambda number: f"record {number} is missing",
    "cut": lambda number: f"the records from {number} on are missing",
    "beyond": lambda number: f"the head was put back to before record {number}",
    "head": lambda _: "the head is missing, or was made by somebody without the key",
    "rolled-back": lambda _: "the trail was put back: the noted head is not in it",
}
