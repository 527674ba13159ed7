"""The signs and words for measured values, the same in every form of the report.

Every value has a sign besides its colour: a full disc for all, a half one for some, an empty one
for nothing. This module knows no output format.
"""

from __future__ import annotations

from dataclasses import dataclass

from tlslab.lab.evidence import CellValue, Outcome, Refusal, ScenarioResult


@dataclass(frozen=True)
class Mark:
    """How a value is shown: `key` names its style, `plain` is its sign in ASCII."""

    key: str
    sign: str
    plain: str
    word: str
    brief: str
    meaning: str


CELL_MARKS = {
    CellValue.PLAINTEXT: Mark(
        "plaintext", "●", "@", "plaintext", "plain", "the payload was found in readable form"
    ),
    CellValue.METADATA: Mark(
        "metadata", "◐", "%", "metadata only", "meta", "who, when and how much, not the payload"
    ),
    CellValue.CIPHERTEXT: Mark(
        "ciphertext", "○", "o", "ciphertext only", "cipher", "bytes, but nothing readable in them"
    ),
    CellValue.REFUSED: Mark(
        "refused", "⊘", "/", "refused", "refused", "the connection did not come about"
    ),
}
NOT_MEASURED = Mark("not-built", "·", ".", "not measured", "unknown", "no cell was recorded")

OUTCOME_MARKS = {
    Outcome.DEFENDED: Mark(
        "defended",
        "○",
        "o",
        "defended",
        "defended",
        "no adversary holds a readable canary or did other harm",
    ),
    Outcome.BREACHED: Mark(
        "breached",
        "●",
        "@",
        "breached",
        "breached",
        "an adversary holds a readable canary or did other harm",
    ),
    Outcome.FAILED: Mark("failed", "!", "!", "failed", "failed", "the scenario itself went wrong"),
}

AS_DECLARED = Mark("as-declared", "✓", "+", "as declared", "ok", "the outcome is the declared one")
NOT_AS_DECLARED = Mark("differs", "✗", "x", "not as declared", "differs", "the outcome differs")


def verdict_mark(result: ScenarioResult) -> Mark:
    """The mark for whether the outcome is the declared one."""
    return AS_DECLARED if result.as_declared else NOT_AS_DECLARED


def refusal_numbers(refusal: Refusal) -> list[str]:
    """The X509 number, alert and HTTP status of a refusal, a phrase each, where there is one."""
    phrases = []
    if refusal.x509_number is not None:
        name = f" {refusal.x509_name}" if refusal.x509_name else ""
        depth = "" if refusal.depth is None else f", at depth {refusal.depth}"
        leaf = " (the leaf)" if refusal.depth == 0 else ""
        phrases.append(f"X509 error {refusal.x509_number}{name}{depth}{leaf}")
    if refusal.alert is not None:
        name = f" {refusal.alert_name}" if refusal.alert_name else ""
        direction = f", {refusal.alert_direction}" if refusal.alert_direction else ""
        phrases.append(f"TLS alert {refusal.alert}{name}{direction}")
    if refusal.status is not None:
        phrases.append(f"HTTP status {refusal.status}")
    return phrases
