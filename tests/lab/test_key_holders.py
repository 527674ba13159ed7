"""Who recorded and got a key later; and who opens nothing and guesses, which is measured."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from tlslab.errors import ScenarioError
from tlslab.lab import Lab, open_lab
from tlslab.lab.evidence import Harm, PartyRecord
from tlslab.lab.key_holders import quantum_breaks, recorded_flows
from tlslab.pki import KeyType
from tlslab.tls import Version
from tlslab.tls.decryption import Recording

Judged: TypeAlias = Callable[[], AbstractAsyncContextManager[tuple[Lab, list[PartyRecord]]]]


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    """A lab, and a list that is filled with the records when the block ends."""

    @asynccontextmanager
    async def run() -> AsyncIterator[tuple[Lab, list[PartyRecord]]]:
        records: list[PartyRecord] = []
        async with open_lab(tmp_path, "lab") as lab:
            yield lab, records
        records += [record for record in await lab.collect() if record.adversary]

    return run


@pytest.mark.parametrize(
    ("group", "version", "broken"),
    [
        ("X25519", Version.TLS_1_3, True),
        ("P-521", Version.TLS_1_3, True),
        ("ffdhe2048", Version.TLS_1_3, True),
        ("X25519", Version.TLS_1_2, True),
        ("X25519MLKEM768", Version.TLS_1_3, False),
        ("SecP384r1MLKEM1024", Version.TLS_1_3, False),
        ("MLKEM1024", Version.TLS_1_3, False),
    ],
)
async def test_what_a_quantum_computer_breaks(
    judged: Judged, group: str, version: Version, broken: bool
) -> None:
    async with judged() as (lab, records):
        groups = (group,) if version is Version.TLS_1_3 else (group, "P-256")
        server = await lab.server("a.test", groups=groups)
        machine, secret = lab.quantum_computer(), lab.canary("secret")
        await lab.client(groups=groups, maximum=version).post(server.url("/"), secret)
    (record,) = records
    assert bool(record.sightings) is broken
    assert ("opened" in record.learned) is broken
    assert ("handed over" in record.learned["simulated"]) is broken
    assert "simulated" in record.description
    (flow,) = recorded_flows(machine.chunks)
    assert quantum_breaks(Recording.read(*flow.directions))[0] is broken


async def test_a_resumed_connection_is_not_counted_as_broken(judged: Judged) -> None:
    async with judged() as (lab, records):
        server = await lab.server("a.test", groups=("X25519",))
        client = lab.client(groups=("X25519",), resumption="fresh tickets")
        lab.quantum_computer()
        first, second = lab.canary("first"), lab.canary("second")
        await client.post(server.url("/"), first)
        await client.post(server.url("/"), second)
    assert {sighting.canary for sighting in records[0].sightings} == {"first"}
    assert "it resumes a session" in records[0].learned["simulated"]


async def test_each_party_has_its_own_key_log(judged: Judged) -> None:
    async with judged() as (lab, records):
        server = await lab.server("a.test")
        alice, bob = lab.client("alice"), lab.client("bob")
        lab.key_log_reader(alice, "of alice")
        lab.key_log_reader(server, "of the server")
        ours, theirs = lab.canary("alice's"), lab.canary("bob's")
        await alice.post(server.url("/"), ours)
        await bob.post(server.url("/"), theirs)
        assert alice.keylog is not None
        assert set(alice.keylog.lines) < set(lab.keylog.lines)
    found = {record.name: {s.canary for s in record.sightings} for record in records}
    assert found == {"of alice": {"alice's"}, "of the server": {"alice's", "bob's"}}
    (shut,) = [one.learned["stayed_shut"] for one in records if one.name == "of alice"]
    assert "bob" in shut
    assert "leaked" in shut


async def test_loot_is_for_its_owner_only(judged: Judged, tmp_path: Path) -> None:
    async with judged() as (lab, _):
        server = await lab.server("a.test", key_type=KeyType.RSA_2048)
        client = lab.client(resumption="fresh tickets")
        lab.server_key_thief(server)
        lab.session_thief(client)
        lab.key_log_reader(client)
        lab.quantum_computer()
        await client.get(server.url("/"))
    loot = [
        path
        for path in tmp_path.rglob("*")
        if path.suffix in (".pem", ".der", ".log") and path.is_file()
    ]
    assert len(loot) == 5  # four kinds, and the lab's own key log
    for path in loot:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_without_tls_there_is_no_key_to_steal(judged: Judged) -> None:
    with pytest.raises(ScenarioError):
        async with judged() as (lab, _):
            lab.server_key_thief(await lab.server("a.test", tls=False))


async def test_plain_connections_disturb_nobody(judged: Judged) -> None:
    async with judged() as (lab, records):
        server = await lab.server("a.test", tls=False)
        client, secret = lab.client(), lab.canary("secret")
        lab.key_log_reader(client)
        for subject in ("sizes", "program", "tickets", "groups", "protocol"):
            onlooker = lab.onlooker(subject, f"onlooker of {subject}")
            with onlooker.studying("this"), onlooker.guessing("this"):
                await client.post(server.url("/"), secret)
    for record in records:
        assert record.sightings  # it was plain, after all
        assert record.achievements == []
    (shut,) = [one.learned["stayed_shut"] for one in records if one.kind == "key holder"]
    assert "not TLS" in shut


@pytest.mark.parametrize("truth", ["short", "long"])
async def test_only_a_right_guess_is_an_achievement(judged: Judged, truth: str) -> None:
    async with judged() as (lab, records):
        server = await lab.server("a.test", pages={"/s": b"x", "/l": b"x" * 999})
        client, onlooker = lab.client(), lab.onlooker("sizes")
        for label, path in (("short", "/s"), ("long", "/l")):
            with onlooker.studying(label):
                await client.get(server.url(path))
        with onlooker.guessing(truth):
            await client.get(server.url("/l"))
    (record,) = records
    assert record.learned["guess"] == "long"
    assert [one.what for one in record.achievements] == [Harm.INFERRED] * (truth == "long")


async def test_an_onlooker_without_an_example_says_nothing(judged: Judged) -> None:
    async with judged() as (lab, records):
        server, onlooker = await lab.server("a.test"), lab.onlooker("program")
        with onlooker.guessing("unknown-program"):
            await lab.client().get(server.url("/"))
    assert records[0].learned["guess"] == "unknown"
    assert records[0].achievements == []


async def test_only_early_data_can_be_replayed(judged: Judged) -> None:
    """The first flight of a connection without early data holds no request to be taken twice."""
    async with judged() as (lab, records):
        bank, client = await lab.early_server("bank.test"), lab.client()
        mallory = lab.replayer()
        with pytest.raises(ScenarioError):
            await mallory.replay(bank)
        await client.post(bank.url("/"), b"order")
        await mallory.replay(bank, times=2)
        assert bank.received == [b"/order"]
    assert records[0].achievements == []
