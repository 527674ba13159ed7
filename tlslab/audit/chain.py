"""The chain: keyed hashes that fix every record, its place and the trail's end.

    mac(0) = HMAC-SHA256(key, "start")
    mac(n) = HMAC-SHA256(key, "record" || mac(n-1) || n || time(n) || record(n))
    head   = n, mac(n), HMAC-SHA256(key, "head" || n || mac(n))

Numbers are 8 bytes big-endian, so every part but the last has a fixed length and no two inputs are
the same bytes. The key comes from the seal: who can write to the database but has no root of trust
can neither change a record nor make a new end that fits, which an unkeyed chain would let them do.

What it cannot show by itself is the whole trail put back to an earlier state, records and head
together. Against that, note a head somewhere else (`Head` as text) and verify against it.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from tlslab.errors import UsageError

MAC_BYTES = 32


@dataclass(frozen=True)
class Head:
    """The end of a trail: how many records it has, and the keyed hash of the last.

    As text it is `HASH:COUNT`. It tells nothing about the records, so it may be noted anywhere.
    """

    count: int
    mac: bytes

    def __str__(self) -> str:
        return f"{self.mac.hex()}:{self.count}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """A head from its text. Raises UsageError."""
        mac, _, count = text.partition(":")
        try:
            head = cls(int(count), bytes.fromhex(mac))
        except ValueError:
            head = None
        if head is None or len(head.mac) != MAC_BYTES or str(head) != text:
            raise UsageError(
                "not the head of an audit trail",
                hint="HASH:COUNT, 64 hex digits and a number, as `tlslab audit verify` prints it",
            )
        return head


class Chain:
    """The keyed hashes of one trail."""

    def __init__(self, key: bytes) -> None:
        self._keyed = hmac.new(key, digestmod=hashlib.sha256)

    def start(self) -> Head:
        """The head of a trail without records."""
        return Head(0, self._mac(b"start"))

    def extend(self, head: Head, time: int, record: bytes) -> Head:
        """The head after one more record, with its time in microseconds since 1970."""
        number = head.count + 1
        place = number.to_bytes(8, "big") + time.to_bytes(8, "big", signed=True)
        return Head(number, self._mac(b"record" + head.mac + place + record))

    def seal(self, head: Head) -> bytes:
        """What shows that a head is one of this trail's."""
        return self._mac(b"head" + head.count.to_bytes(8, "big", signed=True) + head.mac)

    def sealed(self, head: Head, seal: bytes) -> bool:
        """Whether `seal` is the one of `head`."""
        return hmac.compare_digest(self.seal(head), seal)

    def _mac(self, message: bytes) -> bytes:
        keyed = self._keyed.copy()  # the key's two blocks are hashed already
        keyed.update(message)
        return keyed.digest()
