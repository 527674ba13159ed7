"""TLS as a trio stream around any other trio stream.

Here is the life of a connection: handshake, use, end. How bytes move is in `duplex`, what OpenSSL
makes of them in `engine`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Final

import trio
from cryptography import x509

from tlslab.errors import UsageError
from tlslab.tls import bindings
from tlslab.tls.bindings import SCRATCH, OpenSSLError
from tlslab.tls.choice import choose, peer_left, read_client_hello
from tlslab.tls.context import (
    client_connection,
    context_for,
    refusing_context,
    server_connection,
    wire_name,
)
from tlslab.tls.duplex import FAREWELL_SECONDS, Duplex
from tlslab.tls.engine import Engine
from tlslab.tls.errors import HandshakeFailure
from tlslab.tls.facts import Session, TLSFacts
from tlslab.tls.judgement import Judge, Objection, Shown
from tlslab.tls.keylog import KeyLog
from tlslab.tls.notes import Notes
from tlslab.tls.policy import ClientPolicy, ServerChoice, ServerPolicy

HANDSHAKE_SECONDS: Final = 10.0
"""A handshake takes two round trips and a millisecond of CPU; who takes longer holds a place."""


class TLSStream(trio.abc.HalfCloseableStream):
    """One end of a TLS connection. Make it with `client` or `server`.

    One task may send while another receives. The handshake happens with the first of them, or by
    `do_handshake`.
    """

    def __init__(
        self,
        duplex: Duplex,
        policy: ClientPolicy | ServerChoice,
        server_name: str,
        keylog: KeyLog | None,
        handshake_timeout: float,
    ) -> None:
        self._duplex = duplex
        self._policy = policy
        self._server_name = server_name
        self._keylog = keylog
        self._handshake_timeout = handshake_timeout
        self._handshake_lock = trio.Lock()
        self._established = False
        self._sent_eof = False
        self._send_busy = _Busy("another task is sending on this TLS stream")
        self._receive_busy = _Busy("another task is receiving on this TLS stream")

    @classmethod
    def client(
        cls,
        transport: trio.abc.Stream,
        policy: ClientPolicy,
        server_name: str,
        *,
        keylog: KeyLog | None = None,
        session: Session | None = None,
        early_data: bytes = b"",
        handshake_timeout: float = HANDSHAKE_SECONDS,
    ) -> TLSStream:
        """The client's end. `server_name` is whom to expect: a DNS name (IDN too) or IP address.

        `session` is one from an earlier connection with an equal policy to the same name;
        `early_data` goes out with the first flight, if the session allows it (RFC 8446 section
        2.3): it may be replayed, and whether the server took it OpenSSL's binding does not tell.
        `handshake_timeout` is in seconds. Raises UsageError for a name, session, early data or
        policy that cannot be used.
        """
        name = wire_name(server_name)
        if session is None:
            context = context_for(policy)
        elif session.policy == policy and session.server_name == name:
            context = session.context
        else:
            raise UsageError(
                "the session belongs to another policy or server name",
                hint="a resumed session is not verified anew; start a new one",
            )
        notes = Notes(
            verify_chain=policy.verify_chain,
            verify_name=policy.verify_name,
            keylog=None if keylog is None else keylog.append,
            ask_status=policy.ask_status,
            judge=None if policy.judge is None else _judged_by(policy.judge, name),
        )
        connection = client_connection(context, name, notes)
        if session is not None:
            connection.set_session(session.session)
        if early_data:
            try:
                bindings.write_early_data(connection, early_data)
            except OpenSSLError as error:
                raise UsageError(
                    "early data cannot be sent",
                    hint="it needs a TLS 1.3 session of a server that takes as much of it",
                ) from error
        duplex = Duplex(transport, Engine(connection, notes, server_side=False))
        duplex.require_close_notify = policy.require_close_notify
        return cls(duplex, policy, name, keylog, handshake_timeout)

    @classmethod
    def server(
        cls,
        transport: trio.abc.Stream,
        policy: ServerChoice,
        *,
        keylog: KeyLog | None = None,
        handshake_timeout: float = HANDSHAKE_SECONDS,
    ) -> TLSStream:
        """The server's end, with one policy, or with a callable that chooses it by server name.

        The callable gets None if the client sends no name, and answers None to refuse it (RFC 6066
        section 3). Raises UsageError for a policy that cannot be used.
        """
        stream = cls(Duplex(transport), policy, "", keylog, handshake_timeout)
        if isinstance(policy, ServerPolicy):
            stream._serve(policy)
        return stream

    @property
    def transport_stream(self) -> trio.abc.Stream:
        """The stream that carries the ciphertext."""
        return self._duplex.transport

    @property
    def facts(self) -> TLSFacts:
        """What the handshake settled. Raises UsageError before it is complete."""
        return self._settled().facts()

    @property
    def session(self) -> Session | None:
        """A client's session to resume with; None if the server gave none, or not yet.

        TLS 1.3 servers send tickets after the handshake: ask after the first read. Raises
        UsageError before the handshake is complete.
        """
        engine = self._settled()
        session = None if engine.server_side else engine.session()
        if session is None or not isinstance(self._policy, ClientPolicy):
            return None
        context = engine.connection.get_context()
        return Session(self._policy, self._server_name, session, context)

    def export_keying_material(
        self, label: bytes, length: int, context: bytes | None = None
    ) -> bytes:
        """`length` bytes that only the two ends of this connection know (RFC 8446 section 7.5).

        Raises UsageError before the handshake is complete.
        """
        return self._settled().connection.export_keying_material(label, length, context)

    async def do_handshake(self) -> None:
        """Complete the handshake, if it is not yet.

        Raises HandshakeFailure (CertificateRefused if this side refused the peer's certificate),
        also when the time is over or the transport ends or breaks.
        """
        self._duplex.check()
        if self._established:
            await trio.lowlevel.checkpoint()
            return
        async with self._handshake_lock:
            await self._handshake_once()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Up to `max_bytes` of plaintext (256 KiB at most); `b""` after the peer's close_notify.

        Raises TruncationError if the transport ends without it, BrokenConnection if a record does
        not authenticate or the peer breaks off, and HandshakeFailure if the handshake fails, also
        where a TLS 1.3 server's refusal comes only now.
        """
        limit = _checked_limit(max_bytes)
        with self._receive_busy:
            await self._ready()
            duplex, waited = self._duplex, False
            while True:
                duplex.check()
                try:
                    data = duplex.engine.read(limit)
                except OpenSSLError as error:
                    raise await duplex.fail(error) from None
                if data is not None:
                    if not waited:
                        await trio.lowlevel.cancel_shielded_checkpoint()
                    return data
                await duplex.answer()
                waited = True
                if not await duplex.fetch():
                    return duplex.end()

    async def receive_early_data(self) -> bytes:
        """A server's early data (0-RTT), in pieces; `b""` when there is no more. Ask first of all.

        It may be a replay of what was said in another connection: nothing but the server's memory
        of used tickets tells. A server that does not ask refuses early data. Raises what
        `do_handshake` raises.
        """
        with self._receive_busy:
            duplex = self._duplex
            duplex.check()
            if self._established:
                raise UsageError("early data comes before the handshake")
            try:
                with trio.move_on_after(self._handshake_timeout):
                    if not duplex.has_engine:
                        await self._choose()
                    while (data := duplex.engine.read_early()) is None:
                        await duplex.transmit()
                        if not await duplex.fetch():
                            raise peer_left("closed the connection during the handshake")
                    return data
            except OpenSSLError as error:
                await duplex.send_alert()
                raise duplex.engine.handshake_failure(error) from None
            raise _too_slow(self._handshake_timeout, duplex)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send all of `data`.

        If this is cancelled half-way, or fails, the stream is broken. Raises what `receive_some`
        raises, since the peer's refusal may come to light here.
        """
        with self._send_busy:
            await self._ready()
            self._check_sendable()
            with memoryview(data).cast("B") as view:
                if view:
                    await self._send(view)
                else:
                    await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the transport might take data."""
        with self._send_busy:
            await self._ready()
            self._check_sendable()
            await self.transport_stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Send close_notify: nothing more will be sent, but the peer may go on (RFC 8446 6.1)."""
        with self._send_busy:
            await self._ready()
            if self._sent_eof:
                await trio.lowlevel.checkpoint()
                return
            self._sent_eof = True
            try:
                await self._duplex.close_notify()
            except OpenSSLError as error:
                raise await self._duplex.fail(error) from None

    async def aclose(self) -> None:
        """Send close_notify, if that is possible without waiting long, and close the transport."""
        duplex = self._duplex
        if duplex.closed:
            await trio.lowlevel.checkpoint()
            return
        try:
            if self._established and not duplex.broken and not self._sent_eof:
                self._sent_eof = True
                with trio.move_on_after(FAREWELL_SECONDS):
                    await duplex.close_notify()
        except (OpenSSLError, trio.BrokenResourceError, trio.ClosedResourceError):
            duplex.broken = True  # the peer is gone: no one to say goodbye to
        finally:
            duplex.closed = True
            await duplex.transport.aclose()

    async def _handshake_once(self) -> None:
        if self._established:  # by the task that had the lock
            return
        self._duplex.check()
        try:
            with trio.move_on_after(self._handshake_timeout) as deadline:
                await self._negotiate()
        except HandshakeFailure:
            await self._duplex.send_alert()
            self._duplex.broken = True
            raise
        if deadline.cancelled_caught:
            raise _too_slow(self._handshake_timeout, self._duplex)

    async def _negotiate(self) -> None:
        duplex = self._duplex
        try:
            if not duplex.has_engine:
                await self._choose()
            engine = duplex.engine
            while not await self._step(engine):
                await duplex.transmit()
                if not await duplex.fetch():
                    raise peer_left("closed the connection during the handshake")
            if not (engine.server_side and engine.tls13):  # there only tickets are left: answers
                await duplex.transmit()
        except OpenSSLError as error:
            raise duplex.engine.handshake_failure(error) from None
        except trio.BrokenResourceError as error:
            alert = await duplex.last_words()
            if alert is not None:
                raise duplex.engine.handshake_failure(alert) from error
            raise peer_left("broke the connection during the handshake") from error
        self._established = True

    async def _step(self, engine: Engine) -> bool:
        """Go on with the handshake: in a thread if a judge may have to wait in the midst of it."""
        if not engine.has_judge:
            return engine.handshake()
        try:
            return await trio.to_thread.run_sync(engine.handshake)
        except OpenSSLError:
            raise
        except BaseException:  # the judge's own failure, or it was cancelled
            self._duplex.broken = True
            raise

    async def _choose(self) -> None:
        """Have the policy chosen by the server name; what is no ClientHello OpenSSL judges."""
        assert not isinstance(self._policy, ClientPolicy | ServerPolicy)
        hello, buffer = await read_client_hello(self.transport_stream)
        if hello is None:
            notes = Notes()
            connection = server_connection(refusing_context(), notes)
            self._duplex.engine = Engine(connection, notes, server_side=True)
        else:
            self._serve(await choose(self.transport_stream, self._policy, hello.server_name))
        self._duplex.engine.feed(buffer)

    def _serve(self, policy: ServerPolicy) -> None:
        notes = Notes(
            protocols=tuple(protocol.encode() for protocol in policy.alpn),
            keylog=None if self._keylog is None else self._keylog.append,
            staple=policy.staple() if callable(policy.staple) else policy.staple,
        )
        connection = server_connection(context_for(policy), notes)
        self._policy = policy
        self._duplex.require_close_notify = policy.require_close_notify
        self._duplex.engine = Engine(connection, notes, server_side=True)

    async def _send(self, data: memoryview) -> None:
        duplex = self._duplex
        try:
            await duplex.transmit(data)
        except OpenSSLError as error:
            raise await duplex.fail(error) from None
        except trio.BrokenResourceError as error:
            duplex.broken = True
            alert = await duplex.last_words()
            if alert is None:
                raise
            raise await duplex.fail(alert) from error
        except BaseException:
            duplex.broken = True
            raise

    def _settled(self) -> Engine:
        if not self._established:
            raise UsageError("the handshake is not complete", hint="await do_handshake() first")
        return self._duplex.engine

    async def _ready(self) -> None:
        self._duplex.check()
        if self._established:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            await self.do_handshake()

    def _check_sendable(self) -> None:
        if self._sent_eof:
            raise trio.ClosedResourceError("nothing can be sent after send_eof")


def _judged_by(
    judge: Judge, server_name: str
) -> Callable[[tuple[x509.Certificate, ...], bytes | None], Objection | None]:
    """The judge as OpenSSL's callbacks can ask it: from the thread of the handshake, in trio."""

    async def ask(shown: Shown) -> Objection | None:
        try:
            await judge(shown)
        except Objection as objection:
            return objection
        return None

    return lambda chain, staple: trio.from_thread.run(ask, Shown(server_name, chain, staple))


class _Busy:
    """Finds out two tasks that do what only one may do at a time."""

    def __init__(self, message: str) -> None:
        self._message = message
        self._held = False

    def __enter__(self) -> None:
        if self._held:
            raise trio.BusyResourceError(self._message)
        self._held = True

    def __exit__(self, *_: object) -> None:
        self._held = False


def _too_slow(seconds: float, duplex: Duplex) -> HandshakeFailure:
    """The failure of a handshake whose time is over; the connection is of no use any more."""
    duplex.broken = True
    return HandshakeFailure(
        f"the handshake took longer than {seconds:g} s",
        reason="the deadline passed",
        hint="the peer is silent or too slow; does it speak TLS at all?",
    )


def _checked_limit(max_bytes: int | None) -> int:
    if max_bytes is None:
        return SCRATCH
    limit = operator.index(max_bytes)
    if limit < 1:
        raise ValueError("max_bytes must be positive")
    return limit
