"""Harm other than reading, measured at the ends of a connection: pure functions over the journal.

What one end sent is held against what the other took for genuine; what was agreed on against what
the same two ends agree on undisturbed; alerts that were believed against alerts that were sent.
Nothing here knows what any attack did or meant to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tlslab.lab.evidence import Harm, TLSRecord
from tlslab.lab.journal import Delivery, Journal
from tlslab.tls import TLSFacts

Found = tuple[Harm, str]
"""One kind of harm, and what was measured, in words."""


@dataclass(frozen=True)
class Route:
    """Connections over one path: from `client`, meant for `server`, led to `reached`."""

    client: str
    server: str
    reached: str


def messages(journal: Journal, route: Route) -> Iterator[Found]:
    """What was done to the messages between two ends: at most one finding for each direction."""
    if route.reached != route.server:
        astray = _data(journal.taken, route.client, route.reached)
        if astray:
            yield (
                Harm.MISDIRECTED,
                f"{route.reached} took {len(astray[0])} bytes that {route.client} sent"
                f" to {route.server}",
            )
        return
    for sender, receiver in ((route.client, route.server), (route.server, route.client)):
        sent = _data(journal.sent, sender, receiver)
        taken = _data(journal.taken, sender, receiver)
        found = compared(sender, receiver, sent, taken)
        if found is not None:
            yield found


def compared(
    sender: str, receiver: str, sent: Sequence[bytes], taken: Sequence[bytes]
) -> Found | None:
    """What distinguishes what was taken from what was sent, if it is not simply its beginning.

    That the last messages did not arrive is no finding: the receiver was never told so.
    """
    if list(taken) == list(sent[: len(taken)]):
        return None
    left = Counter(sent)
    for number, message in enumerate(taken, 1):
        if message not in left:
            return _foreign(sender, receiver, sent, message)
        left[message] -= 1
        if left[message] < 0:
            times = taken[:number].count(message)
            return Harm.REPLAYED, f"{receiver} took a message {times} times that {sender} sent" + (
                " once" if times == 2 else f" {times - 1} times"
            )
    places = _places(sent, taken)
    if places is None:
        return Harm.REORDERED, f"{receiver} took {sender}'s messages in another order"
    missing = next(place for place in range(len(sent)) if place not in places)
    return (
        Harm.DROPPED,
        f"{receiver} took message {missing + 2} of {sender} without message {missing + 1}",
    )


def downgrades(journal: Journal, route: Route, undisturbed: TLSFacts | None) -> Iterator[Found]:
    """A connection that is not what the same two ends agree on when left alone.

    Only what both ends completed counts. `undisturbed` is None where they agree on nothing.
    """
    if undisturbed is None:
        return
    at_server = [
        _settled(record)
        for record in journal.tls
        if (record.side, record.peer) == (route.reached, route.client)
    ]
    for record in journal.tls:
        if (record.side, record.peer) != (route.client, route.server):
            continue
        if _settled(record) in at_server and (worse := _differences(record, undisturbed)):
            yield Harm.DOWNGRADED, f"both ends completed a connection with {worse}"
            return


def forged_alerts(journal: Journal, route: Route) -> Iterator[Found]:
    """An alert that one end believes the other sent, and the other did not send."""
    ends = {route.client, route.reached}
    for alert in journal.alerts:
        if {alert.sender, alert.receiver} != ends or alert.told_by != alert.receiver:
            continue
        sent = any(
            (known.sender, known.number) == (alert.sender, alert.number)
            and known.told_by == alert.sender
            for known in journal.alerts
        )
        if not sent:
            yield (
                Harm.DENIED,
                f"{alert.receiver} believed an alert {alert.number} that {alert.sender} never sent",
            )
            return


def _data(deliveries: Sequence[Delivery], sender: str, receiver: str) -> list[bytes]:
    return [one.data for one in deliveries if (one.sender, one.receiver) == (sender, receiver)]


def _foreign(sender: str, receiver: str, sent: Sequence[bytes], message: bytes) -> Found:
    """What a message is that was never sent: the beginning of one that was, or an altered one."""
    for whole in sent:
        if whole.startswith(message):
            return (
                Harm.TRUNCATED,
                f"{receiver} took {len(message):,} bytes for the whole of {len(whole):,}"
                f" that {sender} sent",
            )
    near = next((one for one in sent if len(one) == len(message)), None)
    if near is None or (differing := _differing(near, message)) > len(message) // 2:
        return Harm.FORGED, f"{receiver} took {len(message)} bytes that {sender} never sent"
    at = next(i for i, (a, b) in enumerate(zip(near, message, strict=True)) if a != b)
    return (
        Harm.FORGED,
        f"{receiver} took a message in which {differing} of {len(message)} bytes"
        f" {'is' if differing == 1 else 'are'} not what {sender} sent: byte {at} is"
        f" 0x{message[at]:02x} instead of 0x{near[at]:02x}",
    )


def _differing(one: bytes, other: bytes) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def _places(sent: Sequence[bytes], taken: Sequence[bytes]) -> list[int] | None:
    """Where in `sent` the messages stand that were taken, in order; None if they are not."""
    places: list[int] = []
    for message in taken:
        start = places[-1] + 1 if places else 0
        if message not in sent[start:]:
            return None
        places.append(sent.index(message, start))
    return places


def _settled(record: TLSRecord) -> tuple[str, str, str | None]:
    return record.version, record.cipher, record.alpn


def _differences(record: TLSRecord, undisturbed: TLSFacts) -> str:
    """In words; the group of a resumed session is not looked at, for there may be none."""
    pairs = [
        ("", record.version, undisturbed.version),
        ("ALPN ", record.alpn, undisturbed.alpn),
    ]
    if not record.resumed:
        pairs.append(("group ", record.group, undisturbed.group))
    if record.version == undisturbed.version:  # suites of different versions differ anyway
        pairs.append(("cipher ", record.cipher, undisturbed.cipher))
    return ", ".join(
        f"{what}{got or 'none'} instead of {could or 'none'}"
        for what, got, could in pairs
        if got != could
    )
