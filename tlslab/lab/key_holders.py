"""Adversaries who recorded everything, and get hold of a key when all is over.

Each listens like a sniffer. When the run is over it gets one thing more: a key log, a server's
private key, a client's stored sessions, a machine. With that, and nothing else, it opens what it
recorded (`tls.decryption`) and writes the plain text down; of each connection that stays shut it
says why.
"""

from __future__ import annotations

import abc
import bisect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tlslab.capture import Canary, write_pcapng
from tlslab.errors import ScenarioError
from tlslab.lab.adversaries import DECRYPTED_PORT, Sniffer, file_name
from tlslab.lab.client import Client
from tlslab.lab.evidence import PartyRecord
from tlslab.lab.parties import Party, Service
from tlslab.net import Chunk, Direction, Endpoint, Flow, Kind
from tlslab.tls import KeyLog
from tlslab.tls.decryption import (
    CannotDecrypt,
    Decryptor,
    Fragment,
    KeyLogSecrets,
    Opened,
    Recording,
    Secrets,
    StoredSession,
)
from tlslab.tls.registry import GROUPS, group_name, version_name

Names = Callable[[], dict[str, str]]


class KeyHolder(Sniffer, abc.ABC):
    """A sniffer that comes into a key later. `opened` and `shut` tell of each connection."""

    kind = "key holder"
    means: str | None = None  # by what connections are opened, if that is more than what was got

    def __init__(self, name: str, description: str, names: Names) -> None:
        super().__init__(name, description, names)
        self.opened: list[str] = []
        self.shut: list[str] = []

    @abc.abstractmethod
    def obtain(self, folder: Path, recorded: Sequence[RecordedFlow]) -> tuple[Secrets, list[Path]]:
        """What is got hold of now, also as files in `folder`, in formats that other tools read."""

    async def take(self, folder: Path) -> list[Path]:
        """Write the capture, the loot, what it opens, and what became of each connection."""
        paths = await super().take(folder)
        recorded = recorded_flows(self.chunks)
        secrets, loot = self.obtain(folder, recorded)
        plain = list(self._open(Decryptor(secrets), recorded))
        if plain:
            path = folder / f"{file_name(self.name)}-decrypted.pcapng"
            write_pcapng(path, plain, names=self._names())
            paths.append(path)
        report = folder / "connections.txt"
        report.write_text("".join(f"{line}\n" for line in (*self.opened, *self.shut)))
        return [*paths, *loot, report]

    async def examine(self, run: Path, folder: Path, canaries: Sequence[Canary]) -> PartyRecord:
        """As every adversary does; what was opened and what was not is told as learned."""
        record = await super().examine(run, folder, canaries)
        if self.opened:
            record.learned["opened"] = "; ".join(self.opened)
        if self.shut:
            record.learned["stayed_shut"] = "; ".join(self.shut)
        return record

    def _open(self, decryptor: Decryptor, recorded: Sequence[RecordedFlow]) -> Iterator[Chunk]:
        for flow in recorded:
            try:
                opened = decryptor.open(*flow.directions)
            except CannotDecrypt as error:
                self.shut.append(f"{flow}: {error.message}")
                continue
            group = f", {group_name(opened.group)}" if opened.group is not None else ""
            sizes = [len(side.data) for side in (opened.to_server, opened.to_client)]
            lefts = [side.left for side in (opened.to_server, opened.to_client) if side.left]
            self.opened.append(
                f"{flow} ({version_name(opened.version)}{group}): "
                f"opened with {self.means or opened.by}, "
                f"{sizes[0]} bytes to the server and {sizes[1]} to the client"
                + "".join(f"; {left}" for left in lefts)
            )
            yield from flow.in_plain(opened, f"decrypted by {self.name}")


class KeyLogReader(KeyHolder):
    """Reads the file into which a program wrote its TLS secrets (SSLKEYLOGFILE)."""

    def __init__(self, name: str, party: Party, names: Names) -> None:
        description = f"records everything, and later reads the key log of {party.name}"
        super().__init__(name, description, names)
        self._party = party

    def obtain(self, folder: Path, recorded: Sequence[RecordedFlow]) -> tuple[Secrets, list[Path]]:
        """The key log of one party."""
        text = self._party.keylog.text if self._party.keylog else ""
        path = _secret_file(folder / f"{file_name(self._party.name)}.keys.log", text.encode())
        return Secrets(KeyLogSecrets.parse(text)), [path]


class ServerKeyThief(KeyHolder):
    """Steals a server's private key, the one that belongs to its certificate."""

    def __init__(self, name: str, service: Service, names: Names) -> None:
        description = f"records everything, and later steals the private key of {service.name}"
        super().__init__(name, description, names)
        self._service = service

    def obtain(self, folder: Path, recorded: Sequence[RecordedFlow]) -> tuple[Secrets, list[Path]]:
        """The key. One that is not RSA can only sign: there is nothing to decrypt with it."""
        if self._service.policy is None:
            raise ScenarioError(f"{self._service.name} has no private key to steal")
        credential = self._service.policy.credential
        path = _secret_file(folder / f"{self._service.name}.key.pem", credential.key_pem)
        keys = (credential.key,) if isinstance(credential.key, RSAPrivateKey) else ()
        return Secrets(rsa_keys=keys), [path]


class SessionThief(KeyHolder):
    """Copies the sessions that a client has stored in order to resume them.

    A thief of the server's ticket key gets the same out of the tickets that pass (RFC 5077).
    """

    def __init__(self, name: str, client: Client, names: Names) -> None:
        description = f"records everything, and later copies the sessions stored by {client.name}"
        super().__init__(name, description, names)
        self._client = client

    def obtain(self, folder: Path, recorded: Sequence[RecordedFlow]) -> tuple[Secrets, list[Path]]:
        """The sessions, each a file as OpenSSL's programs write it."""
        paths, sessions = [], {}
        for host, session in self._client.sessions.items():
            stored = session.stored()
            paths.append(_secret_file(folder / f"{host}.session.der", stored))
            found = StoredSession.parse(stored)
            sessions.update(dict.fromkeys(found.names, found.master_secret))
        return Secrets(sessions=sessions), paths


class QuantumComputer(KeyHolder):
    """Harvests now, and decrypts on the day on which there is a large quantum computer.

    That machine is simulated. Shor's algorithm finds the ephemeral private keys of elliptic curves
    and finite fields, and RSA's; in its place the lab hands over the secrets of exactly those
    connections whose key agreement it breaks, as the recording shows it. Against ML-KEM no such
    algorithm is known, so nothing is handed over; that it holds is the literature's word.
    """

    means = "the secrets that the lab handed over in the machine's place"

    def __init__(self, name: str, key_log: KeyLog, names: Names) -> None:
        description = (
            "records everything, and one day owns a large quantum computer (simulated: the lab "
            "hands over the secrets of each connection whose key agreement it would break)"
        )
        super().__init__(name, description, names)
        self._key_log = key_log
        self._handed_over: list[str] = []

    def obtain(self, folder: Path, recorded: Sequence[RecordedFlow]) -> tuple[Secrets, list[Path]]:
        """The secrets of the connections that it breaks, and a file that says which and why."""
        lines: list[str] = []
        for flow in recorded:
            try:
                recording = Recording.read(*flow.directions)
            except CannotDecrypt:
                continue
            broken, why = quantum_breaks(recording)
            self._handed_over.append(f"{flow}: {'handed over' if broken else 'kept back'}: {why}")
            random = recording.client_hello.random.hex()
            if broken:
                lines += [line for line in self._key_log.lines if random in line]
        text = "".join(f"{line}\n" for line in dict.fromkeys(lines))
        loot = _secret_file(folder / "handed-over.keys.log", text.encode())
        notes = "The quantum computer is simulated: the lab hands its results over.\n"
        account = folder / "simulated.txt"
        account.write_text(notes + "".join(f"{line}\n" for line in self._handed_over))
        return Secrets(KeyLogSecrets.parse(text)), [loot, account]

    async def examine(self, run: Path, folder: Path, canaries: Sequence[Canary]) -> PartyRecord:
        """As every key holder; what was handed over in the machine's place is told, too."""
        record = await super().examine(run, folder, canaries)
        record.learned["simulated"] = "; ".join(self._handed_over)
        return record


def quantum_breaks(recording: Recording) -> tuple[bool, str]:
    """Whether Shor's algorithm breaks a connection's key agreement, and why (not).

    A resumed TLS 1.3 connection also depends on a secret of the session that it resumes: it is not
    counted as broken here. A resumed TLS 1.2 one agrees on nothing.
    """
    group = recording.group
    if recording.resumes:
        return False, "it resumes a session, so its secrets are not those of a key agreement alone"
    if group is None:
        return True, "the secret was encrypted to an RSA key, which Shor's algorithm factors"
    name = group_name(group)
    if "MLKEM" in name.upper() or "KYBER" in name.upper():
        return False, f"{name} contains ML-KEM, against which no quantum algorithm is known"
    if group not in GROUPS:
        return False, f"nothing is known here of the group {name}"
    return True, f"{name} is a discrete logarithm, which Shor's algorithm computes"


class RecordedFlow:
    """One TCP connection as it was recorded."""

    def __init__(self, flow: Flow, chunks: Sequence[Chunk]) -> None:
        self.flow = flow
        self.chunks = chunks

    @property
    def directions(self) -> tuple[bytes, bytes]:
        """The bytes to the server and to the client."""
        to_server, to_client = (
            b"".join(chunk.data for chunk in self.chunks if chunk.direction is direction)
            for direction in (Direction.TO_SERVER, Direction.TO_CLIENT)
        )
        return to_server, to_client

    def in_plain(self, opened: Opened, leg: str) -> Iterator[Chunk]:
        """The plain text as chunks of a flow on `leg`, each at the time of the bytes it came in."""
        server = Endpoint(self.flow.server.name, self.flow.server.address, DECRYPTED_PORT)
        flow = Flow(self.flow.number, leg, self.flow.client, server)
        placed: list[tuple[int, Direction, Fragment]] = []
        for direction, side in (
            (Direction.TO_SERVER, opened.to_server),
            (Direction.TO_CLIENT, opened.to_client),
        ):
            own = [n for n, chunk in enumerate(self.chunks) if chunk.direction is direction]
            ends, total = [], 0
            for number in own:
                total += len(self.chunks[number].data)
                ends.append(total)
            for fragment in side.fragments:
                number = own[bisect.bisect_left(ends, fragment.end)]
                placed.append((number, direction, fragment))
        if not placed:
            return
        placed.sort(key=lambda one: one[0])
        first, last = self.chunks[0].time_ns, self.chunks[-1].time_ns
        yield Chunk(first, flow, Direction.TO_SERVER, kind=Kind.OPENED)
        for number, direction, fragment in placed:
            yield Chunk(self.chunks[number].time_ns, flow, direction, fragment.data)
        for direction in Direction:
            yield Chunk(last, flow, direction, kind=Kind.CLOSED)

    def __str__(self) -> str:
        return f"connection {self.flow.number}, {self.flow.client.name} to {self.flow.server.name}"


def recorded_flows(chunks: Sequence[Chunk]) -> list[RecordedFlow]:
    """What a tap saw, by connection, in the order in which they began; empty ones left out."""
    by_flow: dict[Flow, list[Chunk]] = {}
    for chunk in chunks:
        by_flow.setdefault(chunk.flow, []).append(chunk)
    return [
        RecordedFlow(flow, own) for flow, own in by_flow.items() if any(chunk.data for chunk in own)
    ]


def _secret_file(path: Path, data: bytes) -> Path:
    """A file that only its owner may read."""
    path.touch(0o600)
    path.write_bytes(data)
    return path
