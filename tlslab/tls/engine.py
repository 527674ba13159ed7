"""One end of a TLS connection without I/O: ciphertext in and out, plaintext in and out.

All waiting is the stream's business; the engine answers at once, or that it needs more from the
peer. Memory is bounded: ciphertext enters OpenSSL in slices, and only as fast as plaintext leaves.
"""

from __future__ import annotations

from typing import Final

from OpenSSL import SSL

from tlslab.tls import bindings
from tlslab.tls.bindings import OpenSSLError, Outcome
from tlslab.tls.errors import BrokenConnection, HandshakeFailure
from tlslab.tls.facts import TLSFacts, facts_of, peer_chain
from tlslab.tls.failure import broken_connection, handshake_failure
from tlslab.tls.notes import Notes

SLICE: Final = 48 * 1024
"""Bytes moved in or out of a memory BIO at a time: three records.

A BIO never shrinks, so this bounds what an idle connection keeps, and a slice stays in the CPU's
cache between its copies.
"""

_SHUTDOWN_WHILE_IN_INIT: Final = 407  # SSL_R_SHUTDOWN_WHILE_IN_INIT in <openssl/sslerr.h>
_NOTHING: Final = memoryview(b"")


class Engine:
    """Drives one connection of OpenSSL with memory BIOs."""

    def __init__(self, connection: SSL.Connection, notes: Notes, *, server_side: bool) -> None:
        self.connection = connection
        self.server_side = server_side
        self._notes = notes
        self._incoming = _NOTHING
        self._stop: Outcome | OpenSSLError | None = None  # why no plaintext will come any more
        self._first_session: SSL.Session | None = None  # kept, so that no ticket takes its place
        self._got_data = False
        self._early_is_over = False

    @property
    def has_judge(self) -> bool:
        """Whether the handshake may have to wait for the application's judge."""
        return self._notes.judge is not None and not self._notes.judged

    @property
    def pending(self) -> int:
        """Bytes of ciphertext that wait to be sent."""
        return bindings.pending(self.connection)

    @property
    def tls13(self) -> bool:
        """Whether TLS 1.3 was negotiated."""
        return self.connection.get_protocol_version() == SSL.TLS1_3_VERSION

    def feed(self, data: bytes | bytearray) -> None:
        """Take ciphertext that came from the peer."""
        self._incoming = memoryview(bytes(self._incoming) + data if self._incoming else data)

    def handshake(self) -> bool:
        """Go on with the handshake; False if more is needed from the peer.

        Raises OpenSSLError, or what the judge raised. Also when it fails there may be something to
        send: an alert.
        """
        try:
            while (outcome := bindings.handshake(self.connection)) is Outcome.WANT_READ:
                if not self._pump():
                    return False
        except OpenSSLError:
            if self._notes.judge_error is not None:
                raise self._notes.judge_error from None
            raise
        if outcome is Outcome.CLOSED:
            raise OpenSSLError(())
        self._ensure_judged()
        if self._first_session is None and self.tls13 and not self.server_side:
            self._first_session = self.connection.get_session()
        return True

    def read(self, limit: int) -> bytes | None:
        """Plaintext; None if more is needed from the peer, `b""` after its close_notify.

        Raises OpenSSLError, every time once it has.
        """
        scratch, end = bindings.scratch_buffer(), 0
        limit = min(limit, bindings.SCRATCH)
        while self._stop is None:
            end, outcome = bindings.read_into(self.connection, scratch, end, limit)
            if outcome is Outcome.DONE or (outcome is Outcome.WANT_READ and not self._pump()):
                break
            if outcome is not Outcome.WANT_READ:
                self._stop = outcome
        if end:
            self._got_data = True
            return bindings.copied(scratch, end)
        if isinstance(self._stop, OpenSSLError):
            raise self._stop
        return None if self._stop is None else b""

    def read_early(self) -> bytes | None:
        """A server's early data; None if more is needed from the peer, `b""` if there is no more.

        Raises OpenSSLError.
        """
        scratch = bindings.scratch_buffer()
        while not self._early_is_over:
            size, outcome = bindings.read_early_data(self.connection, scratch)
            if outcome is Outcome.DONE:
                return bindings.copied(scratch, size)
            if outcome is Outcome.WANT_READ and not self._pump():
                return None
            self._early_is_over = outcome is Outcome.CLOSED
        return b""

    def encrypt(self, data: memoryview) -> tuple[bytes, memoryview, bool]:
        """Encrypt some of `data`, after what already waits to be sent.

        Returns the ciphertext, which has left the engine; what of `data` is still to be encrypted;
        and whether that has to wait until the peer has sent more. Raises OpenSSLError.
        """
        scratch = bindings.scratch_buffer()
        end = bindings.take(self.connection, scratch, 0, bindings.SCRATCH)
        while data and end + _SLICE_ON_THE_WIRE <= bindings.SCRATCH:
            if bindings.write(self.connection, data[:SLICE]) is not Outcome.DONE:
                if self._pump():
                    continue
                return bindings.copied(scratch, end), data, True
            data = data[SLICE:]
            end = bindings.take(self.connection, scratch, end, bindings.SCRATCH)
        return bindings.copied(scratch, end), data, False

    def close_notify(self) -> bool:
        """Put a close_notify after what was encrypted; False if more is needed from the peer.

        OpenSSL does not close in the middle of a message from the peer. Raises OpenSSLError.
        """
        while True:
            try:
                bindings.shutdown(self.connection)
            except OpenSSLError as error:
                if _SHUTDOWN_WHILE_IN_INIT not in error.numbers:
                    raise
            else:
                return True
            if not self.handshake():
                return False

    def facts(self) -> TLSFacts:
        """What the handshake settled."""
        return facts_of(self.connection, self._notes)

    def session(self) -> SSL.Session | None:
        """A client's session to resume; None while a TLS 1.3 server has sent no ticket."""
        return self.connection.get_session() if self._has_ticket() else None

    def handshake_failure(self, error: OpenSSLError) -> HandshakeFailure:
        """Why the handshake failed."""
        return handshake_failure(error, self._notes, peer_chain(self.connection))

    def read_failure(self, error: OpenSSLError) -> HandshakeFailure | BrokenConnection:
        """Why reading or writing failed."""
        received = self._notes.alert is not None and self._notes.alert[1] == "received"
        if received and not self.accepted:
            chain = peer_chain(self.connection)
            return handshake_failure(error, self._notes, chain, after_handshake=True)
        return broken_connection(error, self._notes)

    @property
    def accepted(self) -> bool:
        """Whether the peer is known to have completed the handshake, too.

        A TLS 1.3 client is done first: until it has seen data or a ticket, the server's refusal may
        still come, and belongs to the handshake.
        """
        return self._got_data or self._has_ticket()

    def _ensure_judged(self) -> None:
        """Whoever showed no certificate (anonymous suites have none) was not judged: do it now."""
        if self._notes.judge is not None and not bindings.resumed(self.connection):
            self._notes.consult((), None)
            if self._notes.judge_error is not None:
                raise self._notes.judge_error
            if self._notes.refusal is not None:
                raise OpenSSLError(())

    def _has_ticket(self) -> bool:
        first = self._first_session
        return first is None or not bindings.uses_session(self.connection, first)

    def _pump(self) -> bool:
        """Move the next slice of what the peer sent into OpenSSL; False if there is none."""
        if not self._incoming:
            return False
        bindings.feed(self.connection, self._incoming[:SLICE])
        self._incoming = self._incoming[SLICE:]
        return True


# TLS 1.2's worst case: 16 KiB records with header, IV, MAC and padding (RFC 5246 section 6.2.3).
_SLICE_ON_THE_WIRE: Final = SLICE + SLICE // 2**14 * (5 + 2048)
