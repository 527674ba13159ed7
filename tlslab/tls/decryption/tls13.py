"""A recorded TLS 1.3 connection opened: by the traffic secrets of a key log, and by nothing else.

A direction passes through epochs (RFC 8446 section 2): early data, handshake, application data. A
Finished or EndOfEarlyData message ends one. Where the secret of an epoch is missing, its records
stay shut, and the first record that authenticates under the next secret tells where it ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tlslab.tls.decryption.opened import CannotDecrypt, Fragment, Opened, OpenedSide
from tlslab.tls.decryption.openers import NotAuthentic, Opener, tls13_opener
from tlslab.tls.decryption.recording import Recording, Side
from tlslab.tls.decryption.schedule import next_secret, tls13_keys
from tlslab.tls.decryption.secrets import Secrets
from tlslab.tls.decryption.suites import Suite, suite_of
from tlslab.tls.records import (
    NEED_MORE,
    ContentType,
    HandshakeParser,
    MalformedTLS,
    Record,
)

_EARLY: Final = "CLIENT_EARLY_TRAFFIC_SECRET"
_EPOCHS: Final = {
    "CLIENT": (_EARLY, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0"),
    "SERVER": ("SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0"),
}
"""The secrets of a direction in the order of its epochs, by their labels in a key log."""

# Handshake messages that are always encrypted (RFC 8446 section 4).
_END_OF_EARLY_DATA: Final = 5
_FINISHED: Final = 20
_KEY_UPDATE: Final = 24

_CLOSE_NOTIFY: Final = 0


def open_tls13(recording: Recording, secrets: Secrets) -> Opened:
    """Open a connection. Raises `CannotDecrypt`."""
    answer, random = recording.server_hello, recording.client_hello.random
    suite = suite_of(answer.cipher_suite)
    if not secrets.key_log.knows(random):
        if secrets.rsa_keys:
            raise CannotDecrypt(
                "TLS 1.3 agrees on its keys afresh: the server's key only signed, and opens nothing"
            )
        if secrets.sessions:
            raise CannotDecrypt(
                "TLS 1.3 agrees on its keys afresh, also when it resumes: "
                "the session's secret opens nothing"
            )
        raise CannotDecrypt("its secrets are not among those that leaked")
    sides = []
    for end, side in (("CLIENT", recording.client), ("SERVER", recording.server)):
        epochs = [
            _Epoch(label, secrets.key_log.get(label, random), suite)
            for label in _EPOCHS[end]
            if label != _EARLY or recording.client_hello.offers_early_data
        ]
        sides.append(_Walk(side, epochs, suite).opened())
    return Opened(
        answer.selected_version, answer.cipher_suite, recording.group, "the key log", *sides
    )


class _Epoch:
    """One epoch: its label, and its opener if the secret is there and fits the cipher suite."""

    def __init__(self, label: str, secret: bytes | None, suite: Suite) -> None:
        self.label = label
        if secret is not None and len(secret) != suite.hash.digest_size:
            secret = None  # early data may have been meant for another suite, and was refused then
        self.secret = secret
        self.opener: Opener | None = None
        if secret is not None:
            self.opener = tls13_opener(suite, tls13_keys(secret, suite))


@dataclass
class _Walk:
    """One direction, record by record."""

    side: Side
    epochs: list[_Epoch]
    suite: Suite
    at: int = 0
    messages: HandshakeParser = field(default_factory=HandshakeParser)
    fragments: list[Fragment] = field(default_factory=list)
    shut: list[str] = field(default_factory=list)
    closed: bool = False

    def opened(self) -> OpenedSide:
        """Everything that can be opened."""
        left = None
        for record in self.side.protected:
            inner = self._open(record)
            if inner is None:
                label = self.epochs[self.at].label
                if self.epochs[self.at].opener is not None and label != _EARLY:
                    left = f"the record at byte {record.offset} does not open with {label}"
                    break
                if label not in self.shut:
                    self.shut.append(label)
                continue
            try:
                self._take(record, inner)
            except MalformedTLS as error:
                left = f"in the record at byte {record.offset}: {error.message}"
                break
        if left is None and self.shut:
            left = f"some records stay shut for want of a fitting {' and '.join(self.shut)}"
        return OpenedSide(tuple(self.fragments), self.closed, left or self.side.left)

    def _open(self, record: Record) -> bytes | None:
        """What is in a record, by the keys of this epoch or, if it may be over, of a later one."""
        for index in range(self.at, len(self.epochs)):
            epoch = self.epochs[index]
            if epoch.opener is None:
                continue
            try:
                inner = epoch.opener.open(record)
            except NotAuthentic:
                if epoch.label != _EARLY:
                    return None
            else:
                self.at = index
                return inner
        return None

    def _take(self, record: Record, inner: bytes) -> None:
        """RFC 8446 section 5.2: content, its type, and as many zeros as the sender likes."""
        content = inner.rstrip(b"\0")
        if not content:
            raise MalformedTLS("nothing but padding", offset=record.offset)
        kind, data = content[-1], content[:-1]
        if kind == ContentType.APPLICATION_DATA and data:
            early = self.epochs[self.at].label == _EARLY
            self.fragments.append(Fragment(data, record.offset + record.size, early))
        elif kind == ContentType.ALERT:
            self.closed = self.closed or data[1:] == bytes((_CLOSE_NOTIFY,))
        elif kind == ContentType.HANDSHAKE:
            self.messages.feed(data)
            while (message := self.messages.next()) is not NEED_MORE:
                self._message(message.type)

    def _message(self, kind: int) -> None:
        epoch = self.epochs[self.at]
        if kind in (_END_OF_EARLY_DATA, _FINISHED):
            self.at = min(self.at + 1, len(self.epochs) - 1)
        elif kind == _KEY_UPDATE and epoch.secret is not None:
            epoch.secret = next_secret(epoch.secret, self.suite)
            epoch.opener = tls13_opener(self.suite, tls13_keys(epoch.secret, self.suite))
