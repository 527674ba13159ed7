"""Harm is measured at the ends: each kind from both sides, whatever an attack calls itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.lab import harm, verdict
from tlslab.lab.evidence import Achievement, Harm, Outcome, PartyRecord, Refusal
from tlslab.lab.harm import Route, compared
from tlslab.lab.journal import AlertNote, Delivery, Journal
from tlslab.tls import TLSFacts

A, B, C = b"pay 10 to alice", b"pay 20 to bob", b"pay 30 to carol"
DIRECT = Route("client", "bank.test", "bank.test")


@pytest.mark.parametrize(
    ("sent", "taken", "what"),
    [
        ([A, B, C], [A, B, C], None),
        ([A, B, C], [A], None),  # the rest did not arrive: nobody was deceived
        ([A, B, C], [], None),
        ([A, A], [A, A], None),
        ([A, B, C], [A, B[:-1] + b"c"], Harm.FORGED),
        ([A], [A, B], Harm.FORGED),
        ([], [A], Harm.FORGED),
        ([A, B], [A, A], Harm.REPLAYED),
        ([A, A], [A, A, A], Harm.REPLAYED),
        ([A, B, C], [A, C], Harm.DROPPED),
        ([A, B], [B], Harm.DROPPED),
        ([A, B, C], [B, A, C], Harm.REORDERED),
        ([A], [A[:4]], Harm.TRUNCATED),
        ([A], [b""], Harm.TRUNCATED),
    ],
)
def test_what_was_taken_against_what_was_sent(
    sent: list[bytes], taken: list[bytes], what: Harm | None
) -> None:
    found = compared("client", "bank.test", sent, taken)
    assert (None if found is None else found[0]) is what


messages = st.lists(st.sampled_from([A, B, C, b""]), max_size=6)


@given(messages, messages)
def test_there_is_harm_unless_it_is_a_beginning(sent: list[bytes], taken: list[bytes]) -> None:
    found = compared("client", "bank.test", sent, taken)
    assert (found is None) is (taken == sent[: len(taken)])


def journal(sent: list[Delivery], taken: list[Delivery]) -> Journal:
    return Journal(lambda: 0.0, sent=sent, taken=taken)


def test_only_what_passed_the_path_is_compared() -> None:
    elsewhere = journal([Delivery("other", "bank.test", A)], [Delivery("other", "bank.test", B)])
    assert list(harm.messages(elsewhere, DIRECT)) == []
    both_ways = journal(
        [Delivery("client", "bank.test", A), Delivery("bank.test", "client", B)],
        [Delivery("client", "bank.test", B), Delivery("bank.test", "client", A)],
    )
    assert [what for what, _ in harm.messages(both_ways, DIRECT)] == [Harm.FORGED, Harm.FORGED]


def test_a_message_that_another_took() -> None:
    route = Route("client", "bank.test", "mail.test")
    sent = [Delivery("client", "bank.test", A)]
    assert list(harm.messages(journal(sent, []), route)) == []
    (found,) = harm.messages(journal(sent, [Delivery("client", "mail.test", A)]), route)
    assert found[0] is Harm.MISDIRECTED


def facts(**changes: str | None) -> TLSFacts:
    best = {"version": "TLS 1.3", "cipher": "AES", "group": "X25519MLKEM768", "alpn": "h2"}
    return TLSFacts(**{**best, **changes}, server_name=None, resumed=False, peer_chain=())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"version": "TLS 1.2"}, "TLS 1.2 instead of TLS 1.3"),
        ({"group": "x25519"}, "group x25519 instead of X25519MLKEM768"),
        ({"alpn": None}, "ALPN none instead of h2"),
        ({"cipher": "NULL"}, "cipher NULL instead of AES"),
    ],
)
def test_less_than_both_ends_can_do(changes: dict[str, str | None], words: str | None) -> None:
    told = Journal(lambda: 0.0)
    told.handshake("client", "bank.test", facts(**changes), began=True)
    assert list(harm.downgrades(told, DIRECT, facts())) == []  # the server never completed it
    told.handshake("bank.test", "client", facts(**changes), began=False)
    found = list(harm.downgrades(told, DIRECT, facts()))
    assert [what for what, _ in found] == ([Harm.DOWNGRADED] if words else [])
    assert words is None or words in found[0][1]
    assert list(harm.downgrades(told, DIRECT, None)) == []


def test_an_alert_that_nobody_sent() -> None:
    told = Journal(lambda: 0.0)
    told.alerts.append(AlertNote("bank.test", "client", 40, told_by="client"))
    assert [what for what, _ in harm.forged_alerts(told, DIRECT)] == [Harm.DENIED]
    told.alerts.append(AlertNote("bank.test", "client", 40, told_by="bank.test"))
    assert list(harm.forged_alerts(told, DIRECT)) == []


def test_harm_decides_the_outcome_and_is_the_reason() -> None:
    done = Achievement("mallory", Harm.REPLAYED, "the bank took a message twice")
    record = PartyRecord("mallory", "tamperer", adversary=True, achievements=[done])
    assert verdict.outcome([record]) is Outcome.BREACHED
    assert "twice" in verdict.reason([record], [])
    bystander = PartyRecord("client", "client", adversary=False, achievements=[done])
    idle = PartyRecord("eve", "sniffer", adversary=True)
    assert verdict.outcome([bystander, idle]) is Outcome.DEFENDED


def test_the_refusal_with_a_number_is_the_reason() -> None:
    silent = Refusal("client", "bank.test", "the peer closed the connection")
    alert = Refusal("bank.test", "client", "no", alert=86, alert_name="inappropriate_fallback")
    mallory = PartyRecord("mallory", "tamperer", adversary=True)
    assert "inappropriate_fallback (86)" in verdict.reason([mallory], [silent, alert])
    assert verdict.reason([mallory], [silent]).startswith("client gave bank.test up: ")
