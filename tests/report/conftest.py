"""A run as a lab would record it, made by hand: enough of every kind of evidence to draw."""

from __future__ import annotations

import hashlib

import pytest

from tlslab.lab.evidence import (
    Cell,
    CellValue,
    Check,
    Holding,
    Matrix,
    Message,
    Outcome,
    PartyRecord,
    Refusal,
    RunResult,
    ScenarioResult,
    Sighting,
    TLSRecord,
)

ROWS = [
    "none (HTTP, plain disk)",
    "TLS without verification",
    "TLS verified",
    "TLS verified, but a rogue root is installed",
    "mutual TLS",
    "TLS + SSE-S3",
    "TLS + SSE-KMS",
    "TLS + SSE-C",
    "TLS + client-side encryption",
]
COLUMNS = [
    "sniffer before the terminating proxy",
    "sniffer behind it",
    "MITM without a trusted CA",
    "MITM whose CA the client trusts",
    "thief of the store's disk",
    "thief of disk and key file",
    "reader of the logs",
]
VALUES = ["PPPPPPP", "CPPPPPM", "CPRPPPM", "CPPPPPM", "CPRRPPM", "CPRPCPM", "CPRPCCM", "CPRPCCM"]
VALUES.append("CCRCCCM")
LETTERS = {
    "P": CellValue.PLAINTEXT,
    "M": CellValue.METADATA,
    "C": CellValue.CIPHERTEXT,
    "R": CellValue.REFUSED,
}
HOSTILE = "<script>alert(1)</script>\"'&amp;\x1b[31m\u202e\ud800\x00[bold red]x[/]"
SCRIPT = '''"""A sniffer on the path of a TLS connection reads no byte of the payload."""

from tlslab import Lab, scenario


@scenario(group="in-flight", twin="plaintext_is_read")
async def tls_hides_the_payload(lab: Lab) -> None:
    shop = await lab.server("shop.test")
    sniffer = lab.sniffer()
    card = lab.canary("card number")

    await lab.client().post(shop.url("/pay"), card)

    lab.expect(shop).received(card)
    lab.expect(sniffer).saw_no(card)
'''


def noise(size: int, seed: str) -> bytes:
    """Bytes that look encrypted, and are the same in every run."""
    return hashlib.shake_128(seed.encode()).digest(size)


def sighting(file: str = "captures/plain.pcapng", packet: int | None = 9) -> Sighting:
    head = b"Content-Length: 41\r\n\r\ncard="
    token = b"4242-tlslab-c4n4ry-7f3a91d2"
    return Sighting(
        canary="card number",
        holder="sniffer",
        file=file,
        packet=packet,
        offset=143,
        encoding="plain",
        excerpt=head + token + b"&cvc=123",
        excerpt_start=len(head),
        length=len(token),
    )


def refusal() -> Refusal:
    return Refusal(
        refuser="client",
        peer="interceptor",
        reason="the certificate's issuer is not in the trust store",
        x509_number=20,
        x509_name="unable to get local issuer certificate",
        depth=0,
        alert=48,
        alert_name="unknown_ca",
        alert_direction="sent",
        meaning="The chain ends at a CA that the client does not trust.",
        cause="An interceptor minted the leaf, or the server forgot to send its intermediate.",
        fix="Send the whole chain; install a root only if its owner may read everything.",
    )


def _cell(row: str, column: str, letter: str) -> Cell:
    value = LETTERS[letter]
    files = (f"captures/{ROWS.index(row)}-{COLUMNS.index(column)}.pcapng",)
    disk = "disk" in column
    return Cell(
        row=row,
        column=column,
        value=value,
        reason={
            "P": "1 of 1 canaries found in readable form",
            "M": "method, path and sizes, but no canary in 2 files",
            "C": "18,402 bytes held, no canary in any of 9 encodings",
            "R": "the client refused the interceptor's certificate",
        }[letter],
        sighting=(sighting("store/objects/7f3a.bin", None) if disk else sighting(files[0]))
        if letter == "P"
        else None,
        refusal=refusal() if letter == "R" else None,
        files=files,
    )


def matrix() -> Matrix:
    cells = [
        _cell(row, column, letter)
        for row, letters in zip(ROWS, VALUES, strict=True)
        for column, letter in zip(COLUMNS, letters, strict=True)
    ]
    return Matrix(list(ROWS), list(COLUMNS), cells, seconds=1.84)


def plaintext_scenario() -> ScenarioResult:
    return ScenarioResult(
        id="plaintext_is_read",
        group="in-flight",
        docstring="A sniffer on the path of plaintext HTTP reads the whole payload.\n\n"
        "Nothing protects the request: method, path, headers and body travel as they are.",
        declared=Outcome.BREACHED,
        outcome=Outcome.BREACHED,
        seconds=0.018,
        twin="tls_hides_the_payload",
        reason="sniffer holds the canary “card number” in readable form",
        checks=[Check("sniffer saw “card number”", True, "1 sighting, packet 9, byte 143")],
        parties=[
            PartyRecord("client", "client", adversary=False),
            PartyRecord("shop.test", "server", adversary=False),
            PartyRecord(
                "sniffer",
                "sniffer",
                adversary=True,
                description="Sees every packet between client and shop.test.",
                holdings=[
                    Holding(
                        "capture of client → shop.test",
                        "captures/plain.pcapng",
                        1834,
                        b"POST /pay HTTP/1.1\r\nHost: shop.test\r\nAccept: */*\r\n",
                    )
                ],
                sightings=[sighting()],
                learned={"protocol": "HTTP/1.1", "host": "shop.test"},
            ),
        ],
        messages=[
            Message(0.0011, "client", "shop.test", "connect to port 80", "tcp"),
            Message(0.0032, "client", "shop.test", "POST /pay with the card number", "http"),
            Message(0.0071, "shop.test", "shop.test", "stores the order", "note"),
            Message(0.0088, "shop.test", "client", "200 OK", "http"),
        ],
        canaries=["card number"],
        files=["captures/plain.pcapng"],
        source=SCRIPT,
    )


def tls_scenario() -> ScenarioResult:
    return ScenarioResult(
        id="tls_hides_the_payload",
        group="in-flight",
        docstring="A sniffer on the path of a TLS connection reads no byte of the payload.\n\n"
        "It still learns the server's name, the sizes and the times.",
        declared=Outcome.DEFENDED,
        outcome=Outcome.DEFENDED,
        seconds=0.093,
        twin="plaintext_is_read",
        reason="no adversary holds a canary in readable form",
        checks=[
            Check("shop.test received “card number”", True, "1 time"),
            Check("sniffer saw no “card number”", True, "0 sightings in 5,120 bytes"),
        ],
        parties=[
            PartyRecord("client", "client", adversary=False),
            PartyRecord("proxy", "proxy", adversary=False),
            PartyRecord("store.test", "store", adversary=False),
            PartyRecord(
                "sniffer",
                "sniffer",
                adversary=True,
                description="Sees every packet between client and proxy.",
                holdings=[
                    Holding(
                        "capture of client → proxy",
                        "captures/tls.pcapng",
                        5120,
                        noise(96, "records"),
                        312,
                    )
                ],
                learned={"server_name": "shop.test", "tls_version": "TLS 1.3", "alpn": "http/1.1"},
            ),
        ],
        messages=[
            Message(0.0011, "client", "proxy", "ClientHello for shop.test", "tls"),
            Message(
                0.0102, "proxy", "client", "ServerHello, encrypted certificate, Finished", "tls"
            ),
            Message(0.0201, "client", "proxy", "PUT /orders/1 with the card number", "http", True),
            Message(
                0.0232, "proxy", "store.test", "PUT /orders/1, decrypted and forwarded", "http"
            ),
            Message(
                0.0287,
                "store.test",
                "store.test",
                "encrypts the object under a data key",
                "store",
                True,
            ),
            Message(0.0312, "store.test", "proxy", "200 OK", "http"),
            Message(0.0334, "proxy", "client", "200 OK", "http", True),
        ],
        tls=[
            TLSRecord(
                "client",
                "proxy",
                "TLS 1.3",
                "TLS_AES_256_GCM_SHA384",
                "X25519MLKEM768",
                "http/1.1",
                "shop.test",
                False,
                "CN=shop.test",
            ),
            TLSRecord(
                "proxy",
                "client",
                "TLS 1.3",
                "TLS_AES_256_GCM_SHA384",
                "X25519MLKEM768",
                "http/1.1",
                "shop.test",
                False,
                None,
            ),
        ],
        canaries=["card number"],
        files=["captures/tls.pcapng", "keylogs/tls.txt"],
        source=SCRIPT,
    )


def refused_scenario() -> ScenarioResult:
    return ScenarioResult(
        id="mitm_with_unknown_ca_is_refused",
        group="interception",
        docstring="An interceptor whose CA the client does not trust is refused.",
        declared=Outcome.DEFENDED,
        outcome=Outcome.DEFENDED,
        seconds=0.071,
        twin="client_without_verification_is_read",
        reason="the client refused the interceptor's certificate: X509 error 20",
        checks=[Check("client refused interceptor", True, "X509 error 20 at depth 0")],
        parties=[
            PartyRecord("client", "client", adversary=False),
            PartyRecord("interceptor", "interceptor", adversary=True, description="Mints leaves."),
            PartyRecord("shop.test", "server", adversary=False),
        ],
        messages=[
            Message(0.001, "client", "interceptor", "ClientHello for shop.test", "tls"),
            Message(0.004, "interceptor", "shop.test", "ClientHello for shop.test", "tls"),
            Message(0.011, "shop.test", "interceptor", "ServerHello, certificate", "tls", True),
            Message(0.016, "interceptor", "client", "ServerHello, forged certificate", "tls"),
            Message(0.021, "client", "interceptor", "alert 48 unknown_ca", "alert"),
        ],
        refusals=[refusal()],
        canaries=["card number"],
        files=["captures/mitm.pcapng"],
        source=SCRIPT,
    )


def wrong_scenario() -> ScenarioResult:
    return ScenarioResult(
        id="client_side_encryption_hides_from_the_operator",
        group="at-rest",
        docstring="Encrypted before the upload, an object tells the store's operator nothing.",
        declared=Outcome.DEFENDED,
        outcome=Outcome.BREACHED,
        seconds=0.222,
        reason="operator holds the canary “card number”, base64 in store/objects/7f3a.bin",
        checks=[
            Check("store received the object", True, "1 object of 4,160 bytes"),
            Check("operator saw no “card number”", False, "1 sighting at byte 143, as base64"),
        ],
        parties=[
            PartyRecord(
                "operator", "insider", True, sightings=[sighting("store/objects/7f3a.bin", None)]
            )
        ],
        canaries=["card number"],
    )


def broken_scenario() -> ScenarioResult:
    return ScenarioResult(
        id="websocket_chat_is_sniffed",
        group="at-rest",
        docstring="A chat over WebSocket is as readable as the connection below it.",
        declared=Outcome.BREACHED,
        outcome=Outcome.FAILED,
        seconds=10.0,
        error="the scenario did not end within 10 s",
    )


def full_run() -> RunResult:
    return RunResult(
        started="2026-01-15T09:30:00+00:00",
        seconds=3.91,
        folder="/home/teacher/tlslab-runs/2026-01-15T09-30-00",
        versions={"tlslab": "0.1.0", "Python": "3.13.1", "OpenSSL": "4.0.3"},
        scenarios=[plaintext_scenario(), tls_scenario(), refused_scenario()],
        matrix=matrix(),
    )


def mixed_run() -> RunResult:
    run = full_run()
    run.scenarios += [wrong_scenario(), broken_scenario()]
    return run


def hostile_run() -> RunResult:
    """Every string that a peer or a file could choose is hostile."""
    party = PartyRecord(
        HOSTILE,
        HOSTILE,
        True,
        HOSTILE,
        [Holding(HOSTILE, HOSTILE, 3, HOSTILE.encode("utf-8", "replace"))],
        [Sighting(HOSTILE, HOSTILE, HOSTILE, 1, 0, HOSTILE, b"<b>\x00\x1b", 1, 2)],
        {HOSTILE: HOSTILE},
    )
    refused = Refusal(
        HOSTILE, HOSTILE, HOSTILE, 20, HOSTILE, 1, 48, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE
    )
    handshake = TLSRecord(
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, True, HOSTILE
    )
    scenario = ScenarioResult(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        Outcome.DEFENDED,
        Outcome.FAILED,
        1.0,
        HOSTILE,
        HOSTILE,
        [Check(HOSTILE, False, HOSTILE)],
        [party],
        [Message(0.1, HOSTILE, HOSTILE, HOSTILE, kind) for kind in ("http", "note", "alert")],
        [handshake],
        [refused],
        [HOSTILE],
        [HOSTILE],
        HOSTILE,
        HOSTILE,
    )
    cell = Cell(
        HOSTILE, HOSTILE, CellValue.PLAINTEXT, HOSTILE, party.sightings[0], refused, (HOSTILE,)
    )
    return RunResult(
        HOSTILE, 1.0, HOSTILE, {HOSTILE: HOSTILE}, [scenario], Matrix([HOSTILE], [HOSTILE], [cell])
    )


@pytest.fixture
def run() -> RunResult:
    """Three scenarios as declared (one of them with a refusal), and a matrix."""
    return full_run()


@pytest.fixture
def mixed() -> RunResult:
    """Like `run`, and one scenario that ended otherwise and one that broke."""
    return mixed_run()


@pytest.fixture
def hostile() -> RunResult:
    """A run in which every string is an attack on whoever draws it."""
    return hostile_run()


@pytest.fixture
def empty() -> RunResult:
    """A run of nothing."""
    return RunResult(started="2026-01-15T09:30:00+00:00", seconds=0.0, folder="", versions={})
