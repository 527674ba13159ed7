"""What the callbacks of one connection are told and what they find out.

Plain data between OpenSSL's callbacks (which know no policy) and the engine (which knows no
callback). Knows nothing of OpenSSL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from cryptography import x509

from tlslab.tls.judgement import Objection

Direction = Literal["sent", "received"]

# X509_V_ERR_HOSTNAME_MISMATCH, _EMAIL_MISMATCH, _IP_ADDRESS_MISMATCH in <openssl/x509_vfy.h>.
NAME_FAULTS: Final = frozenset({62, 63, 64})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A certificate was refused: OpenSSL's X509 number, the depth (0 is the leaf) and the chain.

    `chain` is what OpenSSL had built when it refused, leaf first. `objection` is the judge's, if it
    was the judge who refused.
    """

    number: int
    depth: int
    certificate: x509.Certificate | None
    chain: tuple[x509.Certificate, ...]
    objection: Objection | None = None


@dataclass(slots=True, eq=False)
class Notes:
    """One connection's notes. The fields up to `judge` are told, the others found out.

    `staple` is what a server staples. `judge` is asked whether a client's application objects to a
    chain and a staple; if it raises anything, that is kept in `judge_error` and ends the handshake.
    `alert` is the first fatal alert, for what follows it is only its echo. `tolerated` are the
    X509 numbers of faults that were passed over because the policy says so.
    """

    verify_chain: bool = True
    verify_name: bool = True
    protocols: tuple[bytes, ...] = ()
    keylog: Callable[[bytes], None] | None = field(default=None, repr=False)
    staple: bytes | None = None
    ask_status: bool = False
    judge: Callable[[tuple[x509.Certificate, ...], bytes | None], Objection | None] | None = None
    judged: bool = False
    judge_error: BaseException | None = None
    refusal: Refusal | None = None
    tolerated: list[int] = field(default_factory=list)
    alert: tuple[int, Direction] | None = None

    def tolerates(self, fault: int) -> bool:
        """Whether the policy passes over this X509 fault."""
        return not self.verify_name if fault in NAME_FAULTS else not self.verify_chain

    def consult(
        self, chain: tuple[x509.Certificate, ...], staple: bytes | None
    ) -> Objection | None:
        """Ask the judge, if there is one who was not asked yet. Never raises."""
        if self.judge is None or self.judged:
            return None
        self.judged = True
        try:
            objection = self.judge(chain, staple)
        except BaseException as error:  # no exception can pass through OpenSSL
            self.judge_error = error
            return None
        if objection is not None:
            depth = objection.depth
            certificate = chain[depth] if depth < len(chain) else None
            self.refusal = Refusal(objection.x509_number, depth, certificate, chain, objection)
        return objection
