"""CloudTrail's LookupEvents: from real clients over a socket, and every limit from both sides."""

from __future__ import annotations

import datetime
import json
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from sqlalchemy import Connection

from tlslab.audit import Event, Trail, metadata
from tlslab.audit.face import CloudTrail, CloudTrailError
from tlslab.database import Database
from tlslab.endpoint.dispatch import Dispatch
from tlslab.http import Request, Response, serve_http
from tlslab.iam import ACCOUNT, OTHER_ACCOUNT, AccessKey, Caller, Hop, Identities, Principal
from tlslab.seal import Seal

REGION = "eu-west-2"
NOW = datetime.datetime(2026, 11, 20, 12, 0, 30, tzinfo=datetime.UTC)
COUNT = 60

STRANGER = Caller(
    Principal(f"arn:aws:iam::{OTHER_ACCOUNT}:root", OTHER_ACCOUNT, "root", "root", OTHER_ACCOUNT),
    "AKIASTRANGER",
    "127.0.0.1",
    "tests",
    secure=True,
)


@pytest.fixture(scope="module")
def identities() -> Identities:
    return Identities.generate()


@pytest.fixture
def root(identities: Identities) -> AccessKey:
    key = identities.root(ACCOUNT)
    assert key is not None
    return key


@pytest.fixture
async def cloudtrail(tmp_path: Path, make_event: Callable[..., Event]) -> AsyncIterator[CloudTrail]:
    """Sixty events a second apart, every tenth an Encrypt."""
    with closing(Database(str(tmp_path / "state.db"), metadata)) as database:
        seal = Seal.ephemeral()
        trail = Trail(database, seal)

        def write(connection: Connection) -> None:
            for second in range(COUNT):
                name = "Decrypt" if second % 10 else "Encrypt"
                trail.append(connection, make_event(second, name=name, event_id=f"id-{second}"))

        await database.write(write)
        yield CloudTrail(trail, seal)


def caller(key: AccessKey) -> Caller:
    return Caller(key.principal, key.id, "127.0.0.1", "tests", secure=True)


async def ask(cloudtrail: CloudTrail, who: Caller, **parameters: Any) -> dict[str, Any]:
    return await cloudtrail.invoke(who, "LookupEvents", parameters, region=REGION, now=NOW)


async def refusal(cloudtrail: CloudTrail, who: Caller, **parameters: Any) -> str:
    with pytest.raises(CloudTrailError) as error:
        await ask(cloudtrail, who, **parameters)
    assert error.value.status == 400
    return error.value.code


async def test_a_record_that_is_none_any_more_hides_no_other(
    cloudtrail: CloudTrail, root: AccessKey, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db")) as file:
        file.execute("DROP TRIGGER audit_records_no_update")
        file.execute("UPDATE audit_records SET record = 'nonsense' WHERE number = 60")
        file.commit()
    answer = await ask(cloudtrail, caller(root), MaxResults=2)
    first, second = answer["Events"]
    assert first == {"EventTime": 1795176059, "CloudTrailEvent": "nonsense"}
    assert second["EventId"] == "id-58"


async def test_an_event_has_the_members_of_the_api(cloudtrail: CloudTrail, root: AccessKey) -> None:
    answer = await ask(cloudtrail, caller(root), MaxResults=1)
    (event,) = answer["Events"]
    record = json.loads(event.pop("CloudTrailEvent"))
    assert event == {
        "EventId": "id-59",
        "EventName": "Decrypt",
        "ReadOnly": "true",
        "AccessKeyId": "AKIAALICE",
        "EventTime": 1795176059,
        "EventSource": "kms.amazonaws.com",
        "Username": "alice",
        "Resources": [
            {
                "ResourceType": "AWS::KMS::Key",
                "ResourceName": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k1",
            }
        ],
    }
    assert record["eventID"] == "id-59"
    json.dumps(answer)


async def test_pages_go_on_until_there_are_no_more(cloudtrail: CloudTrail, root: AccessKey) -> None:
    who, seen, token = caller(root), list[str](), None
    sizes = []
    while True:
        answer = await ask(cloudtrail, who, NextToken=token, MaxResults=25)
        sizes.append(len(answer["Events"]))
        seen += [event["EventId"] for event in answer["Events"]]
        token = answer.get("NextToken")
        if token is None:
            break
    assert sizes == [25, 25, 10]
    assert seen == [f"id-{second}" for second in reversed(range(COUNT))]


@pytest.mark.parametrize(("count", "good"), [(0, False), (1, True), (50, True), (51, False)])
async def test_a_page_has_1_to_50(
    cloudtrail: CloudTrail, root: AccessKey, count: int, good: bool
) -> None:
    if good:
        assert len((await ask(cloudtrail, caller(root), MaxResults=count))["Events"]) == count
    else:
        code = await refusal(cloudtrail, caller(root), MaxResults=count)
        assert code == "InvalidMaxResultsException"


@pytest.mark.parametrize("count", ["5", True, 1.0, [], {}])
async def test_a_count_is_a_number(cloudtrail: CloudTrail, root: AccessKey, count: object) -> None:
    code = await refusal(cloudtrail, caller(root), MaxResults=count)
    assert code == "InvalidMaxResultsException"


def attribute(key: object, value: object) -> list[dict[str, object]]:
    return [{"AttributeKey": key, "AttributeValue": value}]


@pytest.mark.parametrize(
    "attributes",
    [
        attribute("Colour", "x"),
        attribute("EventName", ""),
        attribute("EventName", "x" * 2001),
        attribute("EventName", 5),
        attribute(None, "x"),
        attribute([], "x"),
        attribute("ReadOnly", "maybe"),
        [{}],
        ["EventName"],
        "EventName",
        {"AttributeKey": "EventName"},
        attribute("EventName", "x") * 2,
    ],
)
async def test_attributes_that_are_none_are_refused(
    cloudtrail: CloudTrail, root: AccessKey, attributes: object
) -> None:
    code = await refusal(cloudtrail, caller(root), LookupAttributes=attributes)
    assert code == "InvalidLookupAttributesException"


async def test_the_longest_attribute_is_taken(cloudtrail: CloudTrail, root: AccessKey) -> None:
    longest = attribute("EventName", "x" * 2000)
    assert (await ask(cloudtrail, caller(root), LookupAttributes=longest))["Events"] == []


@pytest.mark.parametrize("times", [(5, 4), ("noon", None), (-1, None), (None, 1e300), (True, None)])
async def test_times_that_are_none_are_refused(
    cloudtrail: CloudTrail, root: AccessKey, times: tuple[object, object]
) -> None:
    code = await refusal(cloudtrail, caller(root), StartTime=times[0], EndTime=times[1])
    assert code == "InvalidTimeRangeException"


async def test_times_include_both_seconds(cloudtrail: CloudTrail, root: AccessKey) -> None:
    noon = 1795176000
    answer = await ask(cloudtrail, caller(root), StartTime=noon + 3, EndTime=noon + 5.0)
    assert [event["EventId"] for event in answer["Events"]] == ["id-5", "id-4", "id-3"]


async def test_a_token_is_good_for_its_query_and_account_only(
    cloudtrail: CloudTrail, root: AccessKey
) -> None:
    token = (await ask(cloudtrail, caller(root), MaxResults=5))["NextToken"]
    await ask(cloudtrail, caller(root), MaxResults=5, NextToken=token)
    others: list[dict[str, Any]] = [
        {"NextToken": token, "LookupAttributes": attribute("EventName", "Encrypt")},
        {"NextToken": token, "StartTime": 5},
        {"NextToken": token[:-2]},
        {"NextToken": "B" + token[1:]},
        {"NextToken": ""},
        {"NextToken": "é"},
        {"NextToken": 5},
    ]
    for parameters in others:
        code = await refusal(cloudtrail, caller(root), **parameters)
        assert code == "InvalidNextTokenException"
    assert await refusal(cloudtrail, STRANGER, NextToken=token) == "InvalidNextTokenException"


async def test_nobody_sees_another_accounts_events(cloudtrail: CloudTrail, root: AccessKey) -> None:
    """Pair: the same trail shows them to their own account."""
    assert (await ask(cloudtrail, STRANGER))["Events"] == []
    assert (await ask(cloudtrail, caller(root)))["Events"]


async def test_who_may_not_and_who_is_unknown_is_refused(
    cloudtrail: CloudTrail, identities: Identities
) -> None:
    users = {key.principal.name: key for key in identities.keys}
    anonymous = Caller(None, None, "127.0.0.1", "tests", secure=True)
    for who in (caller(users["bob"]), anonymous):
        assert await refusal(cloudtrail, who) == "AccessDeniedException"


async def test_what_is_not_done_is_said(cloudtrail: CloudTrail, root: AccessKey) -> None:
    with pytest.raises(CloudTrailError) as error:
        await cloudtrail.invoke(caller(root), "StopLogging", {}, region=REGION, now=NOW)
    assert error.value.code == "UnsupportedOperationException"
    assert (await ask(cloudtrail, caller(root), EventCategory="insight"))["Events"] == []
    assert await refusal(cloudtrail, caller(root), EventCategory="x") == (
        "InvalidEventCategoryException"
    )


@asynccontextmanager
async def served(cloudtrail: CloudTrail, identities: Identities) -> AsyncIterator[str]:
    """The endpoint, without the services that are not asked here; its URL."""
    dispatch = Dispatch(
        s3=cast(Any, None),
        kms=cast(Any, None),
        cloudtrail=cloudtrail,
        identities=identities,
        regions=(REGION,),
        now=lambda: datetime.datetime.now(datetime.UTC),
    )

    async def answer(request: Request) -> Response:
        return await dispatch(request, Hop(secure=False, source_ip="127.0.0.1"))

    async with trio.open_nursery() as nursery:
        serve = partial(
            trio.serve_tcp, lambda stream: serve_http(stream, answer), 0, host="127.0.0.1"
        )
        listeners = await nursery.start(serve)
        yield f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        nursery.cancel_scope.cancel()


async def test_the_aws_cli_reads_the_trail(
    cloudtrail: CloudTrail, identities: Identities, root: AccessKey, tmp_path: Path
) -> None:
    aws = shutil.which("aws", path=str(Path(sys.executable).parent)) or shutil.which("aws")
    if aws is None:
        pytest.skip("aws is not installed")
    environment = {
        "PATH": str(Path(sys.executable).parent),
        "HOME": str(tmp_path),
        "AWS_ACCESS_KEY_ID": root.id,
        "AWS_SECRET_ACCESS_KEY": root.secret,
        "AWS_DEFAULT_REGION": REGION,
    }
    async with served(cloudtrail, identities) as url:
        command = [aws, "cloudtrail", "lookup-events", "--endpoint-url", url]
        query = ["--lookup-attributes", "AttributeKey=EventName,AttributeValue=Encrypt"]
        done = await trio.run_process(
            [*command, *query], capture_stdout=True, capture_stderr=True, env=environment
        )
        everything = await trio.run_process(
            [*command, "--page-size", "25"], capture_stdout=True, env=environment
        )
    assert done.stderr == b""
    events = json.loads(done.stdout)["Events"]
    assert [event["EventId"] for event in events] == [f"id-{n}" for n in range(50, -1, -10)]
    assert len(json.loads(everything.stdout)["Events"]) == COUNT


async def test_boto3_reads_the_trail(
    cloudtrail: CloudTrail, identities: Identities, root: AccessKey
) -> None:
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed")
    exceptions = pytest.importorskip("botocore.exceptions", reason="boto3 is not installed")

    def read(url: str) -> tuple[list[Any], str]:
        client = boto3.client(
            "cloudtrail",
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id=root.id,
            aws_secret_access_key=root.secret,
        )
        start = datetime.datetime(2026, 11, 20, 12, 0, 10, tzinfo=datetime.UTC)
        pages = client.get_paginator("lookup_events").paginate(
            StartTime=start, PaginationConfig={"PageSize": 7}
        )
        events = [event for page in pages for event in page["Events"]]
        with pytest.raises(exceptions.ClientError) as refused:
            client.lookup_events(StartTime=start, EndTime=start - datetime.timedelta(seconds=1))
        client.close()
        return events, refused.value.response["Error"]["Code"]

    async with served(cloudtrail, identities) as url:
        events, code = await trio.to_thread.run_sync(read, url)
    assert len(events) == 50
    assert events[-1]["EventTime"] == datetime.datetime(
        2026, 11, 20, 12, 0, 10, tzinfo=datetime.UTC
    )
    assert json.loads(events[0]["CloudTrailEvent"])["userIdentity"]["userName"] == "alice"
    assert code == "InvalidTimeRangeException"
