"""Verdicts are pure functions of evidence; each rule from both of its sides."""

from __future__ import annotations

import pytest

from tlslab.errors import ScenarioError
from tlslab.lab import verdict
from tlslab.lab.evidence import CellValue, Holding, Outcome, PartyRecord, Refusal, Sighting

SIGHTING = Sighting("card", "sniffer", "a/b.pcapng", 4, 59, "plain", b"xcardx", 1, 4)
REFUSAL = Refusal("client", "mallory", "no", 20, "no issuer", 1, 48, "unknown_ca", "sent")


def adversary(*, held: int = 0, **fields: object) -> PartyRecord:
    holdings = [Holding("flow", "a/b.pcapng", held)]
    return PartyRecord("sniffer", "sniffer", True, holdings=holdings, **fields)  # type: ignore[arg-type]


def test_only_a_sighting_with_an_adversary_is_a_breach() -> None:
    party = PartyRecord("shop.test", "server", adversary=False, sightings=[SIGHTING])
    assert verdict.outcome([party, adversary(held=10**6)]) is Outcome.DEFENDED
    assert verdict.outcome([party, adversary(sightings=[SIGHTING])]) is Outcome.BREACHED
    assert verdict.outcome([party]) is Outcome.FAILED  # against nobody


def test_what_was_not_searched_is_not_defended() -> None:
    unsearched = ["a bomb was left alone"]
    assert verdict.outcome([adversary(unsearched=unsearched)]) is Outcome.FAILED
    assert "bomb" in verdict.reason([adversary(unsearched=unsearched)], [])
    found = adversary(unsearched=unsearched, sightings=[SIGHTING])
    assert verdict.outcome([found]) is Outcome.BREACHED
    with pytest.raises(ScenarioError):
        verdict.cell("row", "column", adversary(unsearched=unsearched), 100)


def test_a_cell_by_what_is_held() -> None:
    def value(record: PartyRecord, refusal: Refusal | None = None) -> CellValue:
        return verdict.cell("row", "column", record, 100, refusal=refusal).value

    assert value(adversary(held=100)) is CellValue.CIPHERTEXT
    assert value(adversary(held=99)) is CellValue.METADATA
    assert value(adversary(held=99), REFUSAL) is CellValue.REFUSED
    assert value(adversary(sightings=[SIGHTING]), REFUSAL) is CellValue.PLAINTEXT


def test_the_reason_says_what_decided() -> None:
    breached = verdict.reason([adversary(sightings=[SIGHTING])], [REFUSAL])
    assert "packet 4, byte 59" in breached
    refused = verdict.reason([adversary()], [REFUSAL])
    assert "X509 error 20" in refused
    assert "unknown_ca (48)" in refused
    assert "1,234 bytes" in verdict.reason([adversary(held=1234)], [])
