"""What we write, as Wireshark reads it; and that a failure leaves nothing behind."""

from __future__ import annotations

import io
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tlslab.capture import PcapngWriter, open_pcapng, read_capture, write_pcapng
from tlslab.capture.segments import checksum, ones_complement_sum
from tlslab.capture.writer import ACKNOWLEDGE_EVERY, MAX_ENDED_FLOWS
from tlslab.errors import CaptureError
from tlslab.net import Chunk, Direction, Flow, Kind
from tlslab.tls import Version

TO_SERVER, TO_CLIENT = Direction.TO_SERVER, Direction.TO_CLIENT
SECRET = "CLIENT_RANDOM " + "ab" * 32 + " " + "cd" * 48

TShark = Callable[..., list[str]]
Complaints = Callable[[Path], list[str]]
FlowMaker = Callable[..., Flow]
Talk = Callable[..., list[Chunk]]
RecordTLS = Callable[..., Awaitable[Any]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "written.pcapng"


def fields(tshark: TShark, file: Path, shown: str, *names: str) -> list[list[str]]:
    arguments = ["-T", "fields", "-E", "separator=|", "-Y", shown]
    for name in names:
        arguments += ["-e", name]
    return [line.split("|") for line in tshark(file, *arguments)]


@pytest.mark.parametrize(
    ("client", "server"), [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")], ids=["IPv4", "IPv6"]
)
def test_wireshark_follows_plain_http_without_a_complaint(
    client: str,
    server: str,
    file: Path,
    flow: FlowMaker,
    talk: Talk,
    tshark: TShark,
    complaints: Complaints,
) -> None:
    body = bytes(range(256)) * 4096  # 1 MiB: many segments, acknowledged on the way
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    chunks = talk(
        flow(1, client=client, server=server),
        (TO_SERVER, b"POST /a HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1\r\n\r\n"),
        (TO_SERVER, b"x"),
        (TO_CLIENT, response[:100]),
        (TO_CLIENT, response[100:]),
    )
    write_pcapng(file, chunks, comment="a comment")
    assert complaints(file) == []
    ((uri, host, interface),) = fields(
        tshark, file, "http.request", "http.request.uri", "http.host", "frame.interface_name"
    )
    assert (uri, host, interface) == ("/a", "shop.test", "client → shop.test")
    tshark(file, "-q", "--export-objects", f"http,{file.parent}/objects")
    assert body in [exported.read_bytes() for exported in (file.parent / "objects").iterdir()]
    seen = fields(tshark, file, "tcp", "tcp.flags.str", "tcp.len")
    assert [flags.strip("·") for flags, _ in seen[:3]] == ["S", "A··S", "A"]
    assert sum(int(size) for _, size in seen) == sum(len(c.data) for c in chunks)
    in_flight = fields(tshark, file, "tcp.len > 0", "tcp.analysis.bytes_in_flight")
    most = max(int(size) for (size,) in in_flight)
    assert ACKNOWLEDGE_EVERY <= most < ACKNOWLEDGE_EVERY + 1460


@pytest.mark.parametrize("version", Version)
async def test_wireshark_decrypts_with_the_secrets_and_shows_nothing_without(
    version: Version,
    tmp_path: Path,
    record_tls: RecordTLS,
    tshark: TShark,
    complaints: Complaints,
) -> None:
    recorded = await record_tls(version)
    with_secrets, without = tmp_path / "with.pcapng", tmp_path / "without.pcapng"
    write_pcapng(with_secrets, recorded.chunks, secrets=recorded.key_log)
    write_pcapng(without, recorded.chunks)
    assert complaints(with_secrets) == []
    assert complaints(without) == []
    shown = ("http.request", "http.request.uri", "http.host", "http.cookie")
    assert fields(tshark, with_secrets, *shown) == [["/pay?amount=1", "shop.test", "a=b"]]
    assert fields(tshark, without, *shown) == []
    assert "/pay" not in "\n".join(tshark(without, "-V"))


def test_two_legs_are_two_interfaces_and_names_resolve(
    file: Path, flow: FlowMaker, talk: Talk, tshark: TShark
) -> None:
    chunks = [
        chunk
        for number, leg in ((1, "front"), (2, "back"), (3, "front"))
        for chunk in talk(flow(number, leg=leg), (TO_SERVER, b"x"))
    ]
    write_pcapng(file, chunks, names={"10.0.0.9": "other.test"})
    legs = fields(tshark, file, "tcp.len > 0", "frame.interface_name", "frame.time_epoch")
    assert [leg for leg, _ in legs] == ["front", "back", "front"]
    assert legs[0][1] == "1700000000.123457789"  # nanoseconds survive
    assert "shop.test" in tshark(file, "-N", "n", "-c", "1")[0]
    read = read_capture(file)
    assert read.names["10.0.0.9"] == "other.test"
    assert [record.flow for record in read.flows] == [chunks[i].flow for i in (0, 4, 8)]


def test_a_wrong_byte_makes_wireshark_complain(
    file: Path, http: list[Chunk], complaints: Complaints
) -> None:
    """The failing twin of every test that expects no complaint."""
    write_pcapng(file, http)
    data = file.read_bytes()
    for good, bad in ((b"hello there", b"hellp there"), (b"\x40\x06", b"\x41\x06")):
        file.write_bytes(data.replace(good, bad, 1))
        assert len(complaints(file)) == 1


def test_a_reset_ends_the_flow_and_what_was_under_way_is_kept(
    file: Path, flow: FlowMaker, talk: Talk, tshark: TShark
) -> None:
    where = flow()
    chunks = talk(where, (TO_SERVER, b"hello"), closed=False)
    chunks += [
        Chunk(chunks[-1].time_ns, where, TO_SERVER, kind=Kind.RESET),
        Chunk(chunks[-1].time_ns, where, TO_CLIENT, b"late"),
        Chunk(chunks[-1].time_ns, where, TO_CLIENT, kind=Kind.CLOSED),
        Chunk(chunks[-1].time_ns, where, TO_CLIENT, kind=Kind.RESET),
    ]
    write_pcapng(file, chunks)
    assert len(fields(tshark, file, "tcp.flags.reset == 1", "frame.number")) == 1
    (record,) = read_capture(file).flows
    assert record.reset
    assert not record.closed
    assert (record.to_server.data, record.to_client.data) == (b"hello", b"late")


def test_a_tap_that_came_late_starts_in_the_middle(
    file: Path, flow: FlowMaker, talk: Talk, complaints: Complaints
) -> None:
    write_pcapng(file, talk(flow(), (TO_CLIENT, b"220 hello\r\n"), (TO_SERVER, b"x"))[1:])
    assert complaints(file) == []
    (record,) = read_capture(file).flows
    assert not record.opened
    assert record.to_client.data == b"220 hello\r\n"


def test_a_flow_half_closed_still_carries_data_the_other_way(
    file: Path, flow: FlowMaker, talk: Talk, complaints: Complaints
) -> None:
    where = flow()
    opened, first = talk(where, (TO_SERVER, b"ask"), closed=False)
    chunks = [
        opened,
        first,
        Chunk(first.time_ns, where, TO_SERVER, kind=Kind.CLOSED),
        Chunk(first.time_ns, where, TO_CLIENT, b"answer"),
        Chunk(first.time_ns, where, TO_CLIENT, kind=Kind.CLOSED),
    ]
    write_pcapng(file, chunks)
    assert complaints(file) == []
    (record,) = read_capture(file).flows
    assert record.closed == set(Direction)
    with pytest.raises(CaptureError):
        write_pcapng(file, [*chunks[:3], Chunk(0, where, TO_SERVER, b"more")])


def test_only_open_flows_are_remembered(flow: FlowMaker, talk: Talk) -> None:
    with io.BytesIO() as target:
        writer = PcapngWriter(target)
        for number in range(1, MAX_ENDED_FLOWS + 50):
            for chunk in talk(flow(number), (TO_SERVER, b"x")):
                writer.observe(chunk)
        assert len(writer._connections) == MAX_ENDED_FLOWS


def test_the_checksum_of_zeros_and_of_odd_lengths() -> None:
    """The example of RFC 1071 section 3, and sums that are 0 modulo 65,535."""
    assert ones_complement_sum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2
    assert checksum(0xDDF2) == 0x220D
    assert checksum(ones_complement_sum(b"\xff\xff")) == 0
    assert ones_complement_sum(b"\x12\x34\x56") == ones_complement_sum(b"\x12\x34\x56\x00")


@pytest.mark.parametrize(
    "secrets", ["-----BEGIN PRIVATE KEY-----", "CLIENT_RANDOM xyz abc", SECRET + "\nhello"]
)
def test_nothing_but_a_key_log_is_embedded(secrets: str, file: Path) -> None:
    with pytest.raises(CaptureError):
        write_pcapng(file, [], secrets=secrets)
    assert list(file.parent.iterdir()) == []
    write_pcapng(file, [], secrets=f"# comment\n{SECRET}\n\n")
    assert read_capture(file).has_secrets


@pytest.mark.parametrize(
    ("client", "server"), [("10.0.0.1", "fd00::1"), ("nonsense", "10.0.0.1"), ("", "10.0.0.1")]
)
def test_addresses_must_be_of_one_kind(
    client: str, server: str, file: Path, flow: FlowMaker, talk: Talk
) -> None:
    with pytest.raises(CaptureError):
        write_pcapng(file, talk(flow(client=client, server=server)))
    assert list(file.parent.iterdir()) == []


def test_an_error_in_the_middle_keeps_the_file_that_was_there(
    file: Path, http: list[Chunk]
) -> None:
    write_pcapng(file, http)
    before = file.read_bytes()

    def broken() -> Iterator[Chunk]:
        yield from http
        raise KeyError("the lab broke")

    with pytest.raises(KeyError):
        write_pcapng(file, broken())
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o600  # it may hold secrets


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files may not grow beyond 64 KiB: the system refuses the write, as a full disk does."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # half a file is taken for a whole one
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_disk")
@pytest.mark.parametrize("size", [100, 100_000, 3_000_000])
def test_a_full_disk_is_an_error_that_leaves_nothing(
    size: int, file: Path, flow: FlowMaker, talk: Talk
) -> None:
    chunks = talk(flow(), (TO_SERVER, bytes(size)))
    if size == 100:
        write_pcapng(file, chunks)
        assert read_capture(file).flows[0].to_server.size == size
        return
    with pytest.raises(CaptureError):
        write_pcapng(file, chunks)
    assert list(file.parent.iterdir()) == []


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaptureError), open_pcapng(tmp_path / "no" / "file.pcapng"):
        pass


def test_late_secrets_decrypt_what_follows(file: Path, http: list[Chunk]) -> None:
    with open_pcapng(file) as writer:
        writer.observe(http[0])
        writer.add_secrets(SECRET)
        for chunk in http[1:]:
            writer.observe(chunk)
    read = read_capture(file)
    assert read.has_secrets
    assert read.flows[0].to_server.data == http[1].data
