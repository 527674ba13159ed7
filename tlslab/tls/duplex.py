"""An engine and its transport: the two things that wait, each belonging to one task at a time.

Theory of operation. OpenSSL is a state machine that never waits (see `engine`). Around it:

- `transmit` takes ciphertext out of the engine and gives it to the transport. Who finds it taken
  waits; since whoever has it sends *all* there is, in the order in which OpenSSL made it, nothing
  is sent twice or out of order. If it is torn down half-way, nobody knows what left: the connection
  is broken.
- `fetch` waits for the transport and feeds the engine. Who finds it taken waits for that fetch and
  then looks again. A fetch can be cancelled without loss.

Usually the task that sends transmits and the one that receives fetches, so the two never wait for
each other. The exceptions: a write may first need the rest of a message from the peer (a
post-handshake message split over records), then the sender fetches; and a read may give OpenSSL
something to answer (a KeyUpdate). Answers wait for the next send, as RFC 8446 section 4.6.3 allows,
for a receiver that waits until the peer reads would deadlock against a peer that does the same;
only a peer that asks for more than `MAX_ANSWERS` bytes of them is made to wait. A TLS 1.3 server's
session tickets are such answers too. In TLS 1.2 only renegotiation is answered, and since the peer
waits for that, it is at once.

Knows nothing of policies, and of the handshake only that it may have failed.
"""

from __future__ import annotations

from typing import Final

import trio

from tlslab.errors import UsageError
from tlslab.tls.bindings import SCRATCH, OpenSSLError
from tlslab.tls.engine import Engine
from tlslab.tls.errors import TruncationError

MAX_ANSWERS: Final = 16 * 1024
"""Bytes of answers that may wait for the next send: some 600 KeyUpdates."""

FAREWELL_SECONDS: Final = 2.0
"""How long a close_notify or alert may wait for a peer that does not read, or be waited for."""

_NOTHING: Final = memoryview(b"")


class Duplex:
    """Moves ciphertext between an engine and a transport, both ways at once.

    `engine` may be set later, but before anything else is done. `broken` and `closed` stop both
    directions.
    """

    def __init__(self, transport: trio.abc.Stream, engine: Engine | None = None) -> None:
        self.transport = transport
        self.closed = False
        self.broken = False
        self.require_close_notify = True
        self._engine = engine
        self._ended = False
        self._transmitting = False
        self._transmitted = trio.lowlevel.ParkingLot()
        self._fetching = False
        self._fetched = trio.lowlevel.ParkingLot()

    @property
    def engine(self) -> Engine:
        """The engine. Raises UsageError as long as there is none."""
        if self._engine is None:
            raise UsageError("the handshake has not begun", hint="await do_handshake() first")
        return self._engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def has_engine(self) -> bool:
        """Whether there is an engine yet: a server may first have to choose its policy."""
        return self._engine is not None

    def check(self) -> None:
        """Raise ClosedResourceError or BrokenResourceError unless the connection can be used."""
        if self.closed:
            raise trio.ClosedResourceError("this TLS stream was closed")
        if self.broken:
            raise trio.BrokenResourceError("this TLS stream is broken")

    async def transmit(self, data: memoryview = _NOTHING) -> None:
        """Encrypt `data` and send it, with all else that waits to be sent.

        Raises OpenSSLError, and whatever the transport raises; the connection is broken then, as it
        is after a cancellation while the transport sends.
        """
        while True:
            while self._transmitting:
                await self._transmitted.park()
            self.check()
            if not data and not self.engine.pending:
                return
            self._transmitting = True
            try:
                wire, data, wants_read = self.engine.encrypt(data)
                if wire:
                    await self.transport.send_all(wire)
            except OpenSSLError:
                raise
            except BaseException:
                self.broken = True
                raise
            finally:
                self._transmitting = False
                self._transmitted.unpark_all()
            if wants_read and not await self.fetch():
                self.end()

    async def answer(self) -> None:
        """Send what a read gave OpenSSL to answer, if that cannot wait; raises as `transmit`."""
        if self.engine.pending > (MAX_ANSWERS if self.engine.tls13 else 0):
            await self.transmit()

    async def fetch(self) -> bool:
        """Wait for ciphertext from the transport; False if it has ended.

        Returns early, without any, if another task was fetching.
        """
        if self._fetching:
            await self._fetched.park()
            return True
        if self._ended:
            await trio.lowlevel.checkpoint()
            return False
        self._fetching = True
        try:
            data = await self.transport.receive_some(SCRATCH)
        finally:
            self._fetching = False
            self._fetched.unpark_all()
        if not data:
            self._ended = True
            return False
        self.engine.feed(data)
        return True

    def end(self) -> bytes:
        """What a reader gets when the transport ended without close_notify: TruncationError.

        Or the end of data, if the policy does not require close_notify.
        """
        if not self.require_close_notify:
            return b""
        raise TruncationError(
            "the connection ended without close_notify: bytes may be missing",
            hint="somebody cut it, or the peer closes without TLS's own ending",
        )

    async def close_notify(self) -> None:
        """Send close_notify, after all that was sent before. Raises what `transmit` raises."""
        while not self.engine.close_notify():
            if not await self.fetch():
                self.end()
                break
        await self.transmit()

    async def fail(self, error: OpenSSLError) -> Exception:
        """The error to raise after the engine failed; the peer is told if it listens."""
        await self.send_alert()
        self.broken = True
        return self.engine.read_failure(error)

    async def send_alert(self) -> None:
        """Send what waits, if the peer takes it soon."""
        if not self.has_engine:
            return
        with trio.move_on_after(FAREWELL_SECONDS):
            try:
                await self.transmit()
            except (OpenSSLError, trio.BrokenResourceError, trio.ClosedResourceError):
                return

    async def last_words(self) -> OpenSSLError | None:
        """After sending failed: has the peer said why? Its refusal may be there to be read.

        Not once the peer has accepted the handshake, and a task that is receiving finds it itself.
        """
        if self._fetching or not self.has_engine or self.engine.accepted:
            return None
        with trio.move_on_after(FAREWELL_SECONDS):
            try:
                while await self.fetch():
                    if self.engine.handshake():
                        self.engine.read(SCRATCH)
            except OpenSSLError as error:
                return error
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
        return None
