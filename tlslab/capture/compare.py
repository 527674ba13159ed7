"""Two captures side by side: their flows in pairs, and each difference in one sentence.

Values in, values out; how it is shown is the command line's affair.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Final

from tlslab.capture.canary import Canary, CaptureHit, search_capture
from tlslab.capture.facts import FlowFacts, facts
from tlslab.capture.reader import Capture, FlowRecord

# Below this, shares of readable bytes are called the same.
_SHARE_STEP: Final = 0.05


@dataclass(frozen=True)
class Side:
    """A flow and what it shows."""

    record: FlowRecord
    facts: FlowFacts


@dataclass(frozen=True)
class Pair:
    """Two flows that correspond to each other; one of them is None if the other has no partner."""

    a: Side | None
    b: Side | None

    @property
    def title(self) -> str:
        """Whom the flow is to, as far as it shows."""
        side = self.a or self.b
        assert side is not None
        return str(side.record.flow.server)


@dataclass
class Comparison:
    """All pairs, where canaries are readable, and the differences, one sentence each.

    `notes` say what limits left unsearched: without them a canary's absence is proven.
    """

    pairs: list[Pair]
    hits_a: list[CaptureHit]
    hits_b: list[CaptureHit]
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def compare(a: Capture, b: Capture, canaries: Iterable[Canary] = ()) -> Comparison:
    """Compare two captures, by what an eavesdropper learns from each."""
    wanted = list(canaries)
    notes: list[str] = []
    comparison = Comparison(
        _pairs([Side(f, facts(f)) for f in a.flows], [Side(f, facts(f)) for f in b.flows]),
        search_capture(a, wanted, notes=notes),
        search_capture(b, wanted, notes=notes),
        notes=notes,
    )
    for pair in comparison.pairs:
        comparison.differences += _differences(pair)
    for canary in wanted:
        comparison.differences += _canary_difference(canary, comparison)
    return comparison


def _pairs(left: list[Side], right: list[Side]) -> list[Pair]:
    """Pairs by leg and server, then by server's name alone, then in order."""
    keys: list[Callable[[Side], Hashable]] = [
        lambda side: (side.record.flow.leg, side.record.flow.server),
        lambda side: side.record.flow.server.name,
        lambda _: None,
    ]
    found: list[Pair] = []
    for key in keys:
        waiting: defaultdict[Hashable, list[Side]] = defaultdict(list)
        for side in reversed(right):
            waiting[key(side)].append(side)
        unpaired = []
        for side in left:
            if partners := waiting[key(side)]:
                found.append(Pair(side, partners.pop()))
            else:
                unpaired.append(side)
        left = unpaired
        right = sorted(
            (side for sides in waiting.values() for side in sides),
            key=lambda side: side.record.flow.number,
        )
    found.sort(key=lambda pair: pair.a.record.flow.number if pair.a else 0)
    return found + [Pair(side, None) for side in left] + [Pair(None, side) for side in right]


def _differences(pair: Pair) -> list[str]:
    if pair.a is None or pair.b is None:
        return [f"{pair.title}: only {'B' if pair.a is None else 'A'} has this flow."]
    a, b = pair.a.facts, pair.b.facts
    sentences = []
    if a.protocol != b.protocol:
        sentences.append(f"A speaks {a.protocol}, B speaks {b.protocol}.")
    mine, theirs = a.learned, b.learned
    for name in dict.fromkeys([*mine, *theirs]):
        if name != "protocol" and mine.get(name) != theirs.get(name):
            sentences.append(_fact_sentence(_TITLES[name], mine.get(name), theirs.get(name)))
    if abs(a.readable_share - b.readable_share) >= _SHARE_STEP:
        sentences.append(
            f"{a.readable_share:.0%} of the bytes are readable in A, {b.readable_share:.0%} in B."
        )
    for letter, side in (("A", a), ("B", b)):
        if side.gaps:
            sentences.append(f"{side.gaps} bytes are missing from {letter}.")
    return [f"{pair.title}: {sentence}" for sentence in sentences]


_TITLES: Final = {
    "http_request": "the first request line",
    "http_host": "the Host field",
    "http_credentials": "header fields with credentials",
    "http_status": "the first status",
    "tls_version": "the TLS version",
    "cipher_suite": "the cipher suite",
    "group": "the key agreement group",
    "server_name": "the server name",
    "alpn_offered": "the protocols offered (ALPN)",
    "alpn": "the protocol chosen (ALPN)",
    "certificate": "the server's certificate",
    "resumed": "whether the session was resumed",
    "alerts": "alerts in plain",
    "ja3": "the client's fingerprint (JA3)",
    "ja4": "the client's fingerprint (JA4)",
}


def _fact_sentence(title: str, a: str | None, b: str | None) -> str:
    if a is None or b is None:
        shown, hidden = ("B", "A") if a is None else ("A", "B")
        return f"{title} is visible in {shown} ({b if a is None else a}), not in {hidden}."
    return f"{title} is {a} in A, {b} in B."


def _canary_difference(canary: Canary, comparison: Comparison) -> list[str]:
    in_a, in_b = (
        [hit for hit in hits if hit.canary == canary]
        for hits in (comparison.hits_a, comparison.hits_b)
    )
    if bool(in_a) == bool(in_b):
        return []
    (first, *_), shown, hidden = (in_a, "A", "B") if in_a else (in_b, "B", "A")
    return [
        f"canary {canary.label}: readable in {shown} (packet {first.packet}, "
        f"byte {first.offset}, {first.encoding}), not in {hidden}."
    ]
