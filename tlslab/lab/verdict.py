"""Verdicts: from evidence to an outcome, a cell, and the reason in words.

Pure functions over what was recorded. Two things make an adversary win: a canary found in what it
holds, and harm that was measured at the ends (`harm`). The only thing that makes a refusal is a
connection that was refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from tlslab.errors import ScenarioError
from tlslab.lab.evidence import (
    Achievement,
    Cell,
    CellValue,
    Outcome,
    PartyRecord,
    Refusal,
    Sighting,
)


def outcome(parties: Sequence[PartyRecord]) -> Outcome:
    """BREACHED when an adversary holds a canary in readable form or did other harm, else DEFENDED.

    FAILED when none was found, but a limit kept part of what they hold from being searched, or
    there was no adversary at all: against nobody, everything is safe.
    """
    if sightings(parties) or achievements(parties):
        return Outcome.BREACHED
    adversaries = [party for party in parties if party.adversary]
    if not adversaries or any(party.unsearched for party in adversaries):
        return Outcome.FAILED
    return Outcome.DEFENDED


def sightings(parties: Sequence[PartyRecord]) -> list[Sighting]:
    """Every canary found with any adversary."""
    return [sighting for party in parties if party.adversary for sighting in party.sightings]


def achievements(parties: Sequence[PartyRecord]) -> list[Achievement]:
    """All other harm that adversaries did."""
    return [done for party in parties if party.adversary for done in party.achievements]


def reason(parties: Sequence[PartyRecord], refusals: Sequence[Refusal]) -> str:
    """What decided, in one line."""
    found = sightings(parties)
    if found:
        first = found[0]
        encoding = "" if first.encoding == "plain" else f", as {first.encoding}"
        packet = "" if first.packet is None else f"packet {first.packet}, "
        place = f"{PurePosixPath(first.file).name}: {packet}byte {first.offset}"
        return f"{first.holder} read the {first.canary}{encoding} in {place}"
    done = achievements(parties)
    if done:
        return f"{done[0].adversary} won ({done[0].what.value}): {done[0].measured}"
    unsearched = [sentence for party in parties for sentence in party.unsearched]
    if unsearched:
        return f"nothing can be said: {unsearched[0]}"
    if not any(party.adversary for party in parties):
        return "nothing was measured: there was no adversary"
    if refusals:
        said = (refusal for refusal in refusals if refusal.was_said)
        return refusal_in_words(next(said, refusals[0]))
    held = sum(holding.size for party in parties for holding in party.holdings)
    return f"no canary in the {held:,} bytes that adversaries hold"


def refusal_in_words(refusal: Refusal) -> str:
    """Who refused whom, with the numbers; without any, nobody said a word: somebody gave up."""
    if not refusal.was_said:
        return f"{refusal.refuser} gave {refusal.peer} up: {refusal.reason}"
    because = refusal.reason
    if refusal.x509_number is not None:
        because = f"X509 error {refusal.x509_number} ({refusal.x509_name}) at depth {refusal.depth}"
        if refusal.reason not in ("", refusal.x509_name):  # the client's own reason
            because += f", {refusal.reason}"
    alert = f", alert {refusal.alert_name} ({refusal.alert})" if refusal.alert is not None else ""
    status = f", status {refusal.status}" if refusal.status is not None else ""
    return f"{refusal.refuser} refused {refusal.peer}: {because}{alert}{status}"


def cell(
    row: str,
    column: str,
    record: PartyRecord,
    payload: int,
    *,
    refusal: Refusal | None = None,
    means: str = "",
) -> Cell:
    """One cell of the matrix, from what one adversary holds after one run.

    `payload` is the size in bytes of the secret that was sent: who holds at least as many bytes as
    that, and cannot read them, holds ciphertext; who holds fewer knows at best about it. `refusal`
    is the refusal that the adversary met with, if any; `means` says by what means it tried.
    Raises ScenarioError when a limit kept part of what it holds from being searched.
    """
    files = tuple(holding.file for holding in record.holdings if holding.file)
    held = sum(holding.size for holding in record.holdings)
    if record.sightings:
        first = record.sightings[0]
        why = f"{means}{first.where}"
        return Cell(row, column, CellValue.PLAINTEXT, why, sighting=first, files=files)
    if record.unsearched:
        raise ScenarioError(f"{row}, {column}: nothing can be said: {record.unsearched[0]}")
    if refusal is not None:
        why = f"{means}{refusal_in_words(refusal)}"
        return Cell(row, column, CellValue.REFUSED, why, refusal=refusal, files=files)
    if held >= payload:
        why = f"{means}holds {held:,} bytes for a secret of {payload:,}; it is readable in none"
        return Cell(row, column, CellValue.CIPHERTEXT, why, files=files)
    learned = ", ".join(record.learned) or "that it happened, and when"
    why = f"{means}holds {held:,} bytes, fewer than the secret's {payload:,}; knows {learned}"
    return Cell(row, column, CellValue.METADATA, why, files=files)
