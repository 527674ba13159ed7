"""The few OpenSSL functions that pyOpenSSL does not hand out, in one place.

pyOpenSSL has no check of the server's name, no choice of groups, keeps error numbers to itself,
reads one record per call, and prints a traceback where an ALPN callback refuses. All of that is in
OpenSSL and bound by cryptography, but private: so each name is probed at import, and whoever
updates either library learns at once, and by name, what went away.

This module knows OpenSSL's calling conventions and nothing of policies, streams or messages to
people. No call here waits; every call with a memory BIO either completes or wants to read.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from cryptography import x509
from OpenSSL import SSL
from OpenSSL._util import ffi as _ffi
from OpenSSL._util import lib as _openssl
from OpenSSL._util import no_zero_allocator
from OpenSSL.crypto import X509

from tlslab.tls.judgement import APPLICATION_VERIFICATION
from tlslab.tls.notes import Notes, Refusal

_FUNCTIONS: Final = (
    "BIO_get_mem_data",
    "BIO_read",
    "BIO_write",
    "ERR_GET_REASON",
    "ERR_clear_error",
    "ERR_get_error",
    "ERR_reason_error_string",
    "OPENSSL_malloc",
    "SSL_CTX_set1_curves_list",
    "SSL_CTX_set_alpn_select_cb",
    "SSL_CTX_set_tlsext_status_cb",
    "SSL_CTX_set_max_early_data",
    "SSL_CTX_set_verify",
    "SSL_do_handshake",
    "SSL_get0_param",
    "SSL_get0_verified_chain",
    "SSL_get_error",
    "SSL_get_ex_data_X509_STORE_CTX_idx",
    "SSL_get_session",
    "SSL_get_tlsext_status_ocsp_resp",
    "SSL_read",
    "SSL_read_early_data",
    "SSL_session_reused",
    "SSL_set_tlsext_status_ocsp_resp",
    "SSL_shutdown",
    "SSL_version",
    "SSL_write",
    "SSL_write_early_data",
    "X509_STORE_CTX_get1_chain",
    "X509_STORE_CTX_get_current_cert",
    "X509_STORE_CTX_get_error",
    "X509_STORE_CTX_get_error_depth",
    "X509_STORE_CTX_get_ex_data",
    "X509_STORE_CTX_set_error",
    "X509_VERIFY_PARAM_set1_host",
    "X509_VERIFY_PARAM_set1_ip",
    "X509_VERIFY_PARAM_set_hostflags",
    "X509_up_ref",
    "i2d_SSL_SESSION",
    "sk_X509_free",
    "sk_X509_num",
    "sk_X509_value",
)

_CONNECTION_ATTRIBUTES: Final = ("_ssl", "_into_ssl", "_from_ssl", "_reverse_mapping")

# <openssl/x509_vfy.h>: X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS refuses f*.shop.test, and
# X509_CHECK_FLAG_NEVER_CHECK_SUBJECT a common name in place of a SAN (RFC 9525 section 6.3).
_HOST_FLAGS: Final = 0x4 | 0x20

# <openssl/ssl.h>: SSL_READ_EARLY_DATA_ERROR and SSL_READ_EARLY_DATA_FINISH
_EARLY_DATA_ERROR: Final = 0
_EARLY_DATA_FINISH: Final = 2

PARTIAL_WRITE: Final = 0x1  # SSL_MODE_ENABLE_PARTIAL_WRITE in <openssl/ssl.h>

SCRATCH: Final = 256 * 1024
"""The most bytes that one `read` or `take` hands out.

At 16 KiB per record, sixteen records share the price of one trip through trio; beyond 256 KiB
nothing more was gained.
"""


def probe(lib: object, connection: object, context: object) -> None:
    """Raise ImportError, naming what is gone, unless all private names we use are there."""
    missing = [f"OpenSSL's {name}" for name in _FUNCTIONS if not hasattr(lib, name)]
    missing += [
        f"pyOpenSSL's Connection.{name}"
        for name in _CONNECTION_ATTRIBUTES
        if not hasattr(connection, name)
    ]
    if not hasattr(context, "_context"):
        missing.append("pyOpenSSL's Context._context")
    for owner, name in ((X509, "_from_raw_x509_ptr"), (SSL.Session, "_session")):
        if not hasattr(owner, name) and name not in owner.__annotations__:
            missing.append(f"pyOpenSSL's {owner.__name__}.{name}")
    if missing:
        raise ImportError(
            f"this version of pyOpenSSL or cryptography lacks {', '.join(missing)}; "
            "install pyOpenSSL 26.4 and cryptography 50, which tlslab was tested with"
        )


def _probe_installed() -> None:
    context = SSL.Context(SSL.TLS_METHOD)
    probe(_openssl, SSL.Connection(context), context)


_probe_installed()
_lib: Any = _openssl


class Outcome(enum.Enum):
    """How a call into OpenSSL ended, unless it failed."""

    DONE = "done"
    WANT_READ = "want read"  # it needs more bytes from the peer
    CLOSED = "closed"  # the peer has sent close_notify


class OpenSSLError(Exception):
    """A call failed. `reasons` are the reason numbers and texts of OpenSSL's error queue.

    The numbers are those of <openssl/sslerr.h>. The queue may be empty: then the connection failed
    earlier.
    """

    def __init__(self, reasons: tuple[tuple[int, str], ...]) -> None:
        super().__init__(reasons)
        self.reasons = reasons

    @property
    def numbers(self) -> frozenset[int]:
        """The reason numbers alone."""
        return frozenset(number for number, _ in self.reasons)


def handshake(connection: SSL.Connection) -> Outcome:
    """Go on with the handshake. Raises OpenSSLError."""
    _lib.ERR_clear_error()
    return _outcome(connection, _lib.SSL_do_handshake(connection._ssl))


def read_into(
    connection: SSL.Connection, scratch: Any, start: int, stop: int
) -> tuple[int, Outcome | OpenSSLError]:
    """Decrypt records into `scratch[start:stop]` until it is full or OpenSSL has no more.

    Returns where the plaintext ends, and why it ends there. An error is returned too, since
    plaintext may come before it, and OpenSSL tells a reason only once.
    """
    ssl, read = connection._ssl, _lib.SSL_read
    _lib.ERR_clear_error()
    while start < stop:
        got = read(ssl, scratch + start, stop - start)
        if got <= 0:
            try:
                return start, _outcome(connection, got)
            except OpenSSLError as error:
                return start, error
        start += got
    return start, Outcome.DONE


def write(connection: SSL.Connection, data: memoryview) -> Outcome:
    """Encrypt all of `data` (not empty) into the outgoing BIO, or nothing. Raises OpenSSLError."""
    _lib.ERR_clear_error()
    with _ffi.from_buffer(data) as pointer:
        return _outcome(connection, _lib.SSL_write(connection._ssl, pointer, len(data)))


def shutdown(connection: SSL.Connection) -> None:
    """Put a close_notify into the outgoing BIO. Raises OpenSSLError if OpenSSL cannot."""
    _lib.ERR_clear_error()
    result = _lib.SSL_shutdown(connection._ssl)
    if result < 0:
        _outcome(connection, result)


def feed(connection: SSL.Connection, data: memoryview) -> None:
    """Give OpenSSL ciphertext from the peer (not empty). The BIO takes all of it."""
    with _ffi.from_buffer(data) as pointer:
        written = _lib.BIO_write(connection._into_ssl, pointer, len(data))
    if written != len(data):
        raise MemoryError("OpenSSL's memory BIO did not grow")


def pending(connection: SSL.Connection) -> int:
    """How many bytes of ciphertext wait in the outgoing BIO."""
    size: int = _lib.BIO_get_mem_data(connection._from_ssl, _ffi.NULL)
    return size


def take(connection: SSL.Connection, scratch: Any, start: int, stop: int) -> int:
    """Move ciphertext for the peer into `scratch[start:stop]`; returns where it ends."""
    got = _lib.BIO_read(connection._from_ssl, scratch + start, stop - start)
    return start + got if got > 0 else start


class _Scratch(threading.local):
    """One buffer per thread, shared by its connections: filled and copied out in one go.

    Nothing else runs between, so an idle connection holds no buffer at all.
    """

    def __init__(self) -> None:
        self.buffer = no_zero_allocator("char[]", SCRATCH)


_scratch = _Scratch()


def scratch_buffer() -> Any:
    """This thread's buffer of `SCRATCH` bytes. Copy what you need before anything else runs."""
    return _scratch.buffer


def copied(scratch: Any, size: int) -> bytes:
    """The first `size` bytes of a scratch buffer."""
    data: bytes = _ffi.buffer(scratch, size)[:]
    return data


def set_groups(context: SSL.Context, groups: Iterable[str]) -> bool:
    """Allow these key exchange groups, in this order; False if OpenSSL does not know one."""
    ok: int = _lib.SSL_CTX_set1_curves_list(context._context, ":".join(groups).encode("ascii"))
    _lib.ERR_clear_error()
    return ok == 1


def expect_host(connection: SSL.Connection, name: bytes) -> None:
    """Have OpenSSL match the peer's certificate against a DNS name (A-labels, RFC 9525)."""
    parameters = _lib.SSL_get0_param(connection._ssl)
    _lib.X509_VERIFY_PARAM_set_hostflags(parameters, _HOST_FLAGS)
    if _lib.X509_VERIFY_PARAM_set1_host(parameters, name, len(name)) != 1:
        raise OpenSSLError(_reasons())


def expect_address(connection: SSL.Connection, packed: bytes) -> None:
    """Have OpenSSL match the peer's certificate against an IP address of 4 or 16 bytes."""
    parameters = _lib.SSL_get0_param(connection._ssl)
    if _lib.X509_VERIFY_PARAM_set1_ip(parameters, packed, len(packed)) != 1:
        raise OpenSSLError(_reasons())


def resumed(connection: SSL.Connection) -> bool:
    """Whether the handshake took up an earlier session."""
    return bool(_lib.SSL_session_reused(connection._ssl))


def uses_session(connection: SSL.Connection, session: SSL.Session) -> bool:
    """Whether this is still the connection's session: each TLS 1.3 ticket makes a new one."""
    return bool(_lib.SSL_get_session(connection._ssl) == session._session)


def allow_early_data(context: SSL.Context, size: int) -> None:
    """Let clients that resume send up to `size` bytes before the handshake is complete."""
    if _lib.SSL_CTX_set_max_early_data(context._context, size) != 1:
        raise OpenSSLError(_reasons())


def write_early_data(connection: SSL.Connection, data: bytes) -> None:
    """Put a ClientHello and `data` (not empty) into the outgoing BIO. Raises OpenSSLError."""
    _lib.ERR_clear_error()
    with _ffi.from_buffer(data) as pointer:
        written = _ffi.new("size_t *")
        result = _lib.SSL_write_early_data(connection._ssl, pointer, len(data), written)
    if result != 1 or written[0] != len(data):
        raise OpenSSLError(_reasons())


def read_early_data(connection: SSL.Connection, scratch: Any) -> tuple[int, Outcome]:
    """Decrypt early data into `scratch`: how many bytes, and CLOSED when there is no more of it.

    Raises OpenSSLError.
    """
    _lib.ERR_clear_error()
    size = _ffi.new("size_t *")
    result = _lib.SSL_read_early_data(connection._ssl, scratch, SCRATCH, size)
    if result == _EARLY_DATA_ERROR:
        return 0, _outcome(connection, 0)
    return size[0], Outcome.CLOSED if result == _EARLY_DATA_FINISH else Outcome.DONE


def session_der(session: SSL.Session) -> bytes:
    """A session as programs store it: secrets, tickets and all (`d2i_SSL_SESSION` reads it)."""
    size = _lib.i2d_SSL_SESSION(session._session, _ffi.NULL)
    buffer = _ffi.new("unsigned char[]", size)
    _lib.i2d_SSL_SESSION(session._session, _ffi.new("unsigned char **", buffer))
    return bytes(_ffi.buffer(buffer, size))


def use_callbacks(context: SSL.Context, verify_mode: int) -> None:
    """Verify and choose ALPN by the `Notes` that each connection carries as its app data."""
    _lib.SSL_CTX_set_verify(context._context, verify_mode, _on_verify)
    _lib.SSL_CTX_set_alpn_select_cb(context._context, _on_alpn, _ffi.NULL)


def use_staples(context: SSL.Context, *, server_side: bool) -> None:
    """Staple what a connection's `Notes` have, or let its judge see what the server stapled."""
    callback = _on_status_request if server_side else _on_status_response
    _lib.SSL_CTX_set_tlsext_status_cb(context._context, callback)


def staple(connection: SSL.Connection) -> bytes | None:
    """The OCSP response that the server has stapled; None without one that OpenSSL can read."""
    return _staple(connection._ssl)


def _outcome(connection: SSL.Connection, result: int) -> Outcome:
    if result > 0:
        return Outcome.DONE
    error = _lib.SSL_get_error(connection._ssl, result)
    if error == _lib.SSL_ERROR_WANT_READ:
        return Outcome.WANT_READ
    if error == _lib.SSL_ERROR_ZERO_RETURN:
        return Outcome.CLOSED
    raise OpenSSLError(_reasons())


def _reasons() -> tuple[tuple[int, str], ...]:
    reasons = []
    while code := _lib.ERR_get_error():
        text = _lib.ERR_reason_error_string(code)
        words = _ffi.string(text).decode("ascii", "replace") if text else "unknown reason"
        reasons.append((_lib.ERR_GET_REASON(code), words))
    return tuple(reasons)


def _notes(ssl: Any) -> Notes:
    notes: Notes = SSL.Connection._reverse_mapping[ssl].get_app_data()
    return notes


def _callback(signature: str, *, error: int) -> Callable[[Callable[..., int]], Any]:
    """A function as OpenSSL can call it. If it raises, cffi reports that and returns `error`."""
    decorator: Callable[[Callable[..., int]], Any] = _ffi.callback(signature, error=error)
    return decorator


@_callback("int (*)(int, X509_STORE_CTX *)", error=0)
def _on_verify(ok: int, store: Any) -> int:
    """OpenSSL asks for each certificate and each fault: 1 goes on, 0 refuses."""
    ssl = _lib.X509_STORE_CTX_get_ex_data(store, _lib.SSL_get_ex_data_X509_STORE_CTX_idx())
    notes = _notes(ssl)
    if ok:
        last = _lib.X509_STORE_CTX_get_error_depth(store) == 0
        return _judge_chain(ssl, notes, store) if last and notes.judge is not None else 1
    number = _lib.X509_STORE_CTX_get_error(store)
    if notes.tolerates(number):
        notes.tolerated.append(number)
        _lib.X509_STORE_CTX_set_error(store, 0)
        return 1
    current = _lib.X509_STORE_CTX_get_current_cert(store)
    certificate = None
    if current:
        _lib.X509_up_ref(current)
        certificate = _certificate(current)
    depth = _lib.X509_STORE_CTX_get_error_depth(store)
    notes.refusal = Refusal(number, depth, certificate, _built_chain(store))
    return 0


def _judge_chain(ssl: Any, notes: Notes, store: Any) -> int:
    """The chain is in order: the judge is asked now, while OpenSSL can still send any alert.

    Not yet if a staple may come, which in TLS 1.2 is after the certificate. An objection to the
    staple waits until `_on_status_response`, too, where its alert is to be had.
    """
    if notes.ask_status and _lib.SSL_version(ssl) != _lib.TLS1_3_VERSION:
        return 1
    objection = notes.consult(_built_chain(store), _staple(ssl))
    if notes.judge_error is not None:
        _lib.X509_STORE_CTX_set_error(store, APPLICATION_VERIFICATION)
        return 0
    if objection is None or (objection.by_staple and notes.ask_status):
        return 1
    _lib.X509_STORE_CTX_set_error(store, objection.x509_number)
    return 0


@_callback("int (*)(SSL *, void *)", error=-1)
def _on_status_response(ssl: Any, _: Any) -> int:
    """OpenSSL has the server's first flight, with a staple or without: 1 goes on, 0 refuses.

    With TLS 1.3 it asks twice.
    """
    notes = _notes(ssl)
    if not _lib.SSL_session_reused(ssl):
        notes.consult(_peer_chain(ssl), _staple(ssl))
    if notes.judge_error is not None:
        return -1
    return 0 if notes.refusal is not None else 1


@_callback("int (*)(SSL *, void *)", error=-1)
def _on_status_request(ssl: Any, _: Any) -> int:
    """A client asks for an OCSP response; OpenSSL takes the copy that it is given."""
    response = _notes(ssl).staple
    if not response:
        return _NO_STAPLE
    copy = _lib.OPENSSL_malloc(len(response))
    _ffi.buffer(copy, len(response))[:] = response
    _lib.SSL_set_tlsext_status_ocsp_resp(ssl, copy, len(response))
    return int(_lib.SSL_TLSEXT_ERR_OK)


_NO_STAPLE: Final = 3  # SSL_TLSEXT_ERR_NOACK


def _staple(ssl: Any) -> bytes | None:
    pointer = _ffi.new("unsigned char **")
    size = _lib.SSL_get_tlsext_status_ocsp_resp(ssl, pointer)
    return _ffi.buffer(pointer[0], size)[:] if size > 0 else None


def _built_chain(store: Any) -> tuple[x509.Certificate, ...]:
    """The chain that OpenSSL has built so far, leaf first."""
    return _taken(_lib.X509_STORE_CTX_get1_chain(store))


def _peer_chain(ssl: Any) -> tuple[x509.Certificate, ...]:
    """The chain that OpenSSL has built, once it is verified, leaf first."""
    stack = _lib.SSL_get0_verified_chain(ssl)
    for index in range(_lib.sk_X509_num(stack)):
        _lib.X509_up_ref(_lib.sk_X509_value(stack, index))
    return _taken(stack, owned=False)


def _taken(stack: Any, *, owned: bool = True) -> tuple[x509.Certificate, ...]:
    """The certificates of a stack, each with a reference that becomes ours; frees an owned one."""
    size = _lib.sk_X509_num(stack) if stack else 0
    found = [_certificate(_lib.sk_X509_value(stack, index)) for index in range(size)]
    if owned:
        _lib.sk_X509_free(stack)
    return tuple(certificate for certificate in found if certificate is not None)


def _certificate(pointer: Any) -> x509.Certificate | None:
    """Take over one reference to an X509; None if cryptography cannot read what OpenSSL can."""
    try:
        return X509._from_raw_x509_ptr(pointer).to_cryptography()
    except ValueError:
        return None


_ALERT_FATAL: Final = 2  # SSL_TLSEXT_ERR_ALERT_FATAL


@_callback(
    "int (*)(SSL *, unsigned char **, unsigned char *,"
    " const unsigned char *, unsigned int, void *)",
    error=_ALERT_FATAL,
)
def _on_alpn(ssl: Any, out: Any, out_size: Any, offered: Any, size: int, _: Any) -> int:
    """Choose the first of the server's protocols that the client offers (RFC 7301 section 3.2).

    The list is a row of length-prefixed names, which OpenSSL has checked. Without overlap the
    handshake ends with no_application_protocol, and without a list of our own ALPN is not spoken.
    """
    protocols = _notes(ssl).protocols
    if not protocols:
        return int(_lib.SSL_TLSEXT_ERR_NOACK)
    data = _ffi.buffer(offered, size)[:]
    places, at = {}, 0
    while at < size:
        places[data[at + 1 : at + 1 + data[at]]] = at
        at += 1 + data[at]
    for protocol in protocols:
        if protocol in places:
            out[0] = offered + places[protocol] + 1
            out_size[0] = len(protocol)
            return int(_lib.SSL_TLSEXT_ERR_OK)
    return _ALERT_FATAL
