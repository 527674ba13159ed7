"""Captures of every kind are read; broken ones are refused with the offset."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.capture import MalformedCapture, parse_capture, read_capture, write_pcapng
from tlslab.capture.formats import MAX_CUT, Contents, read_packets
from tlslab.errors import CaptureError
from tlslab.net import Chunk, Direction, Endpoint, Flow, Kind

TO_SERVER, TO_CLIENT = Direction.TO_SERVER, Direction.TO_CLIENT
TShark = Callable[..., list[str]]
Talk = Callable[..., list[Chunk]]

IPV4 = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 45, 1, 0, 64, 6, 0, b"\x0a\0\0\1", b"\x0a\0\0\2")
IPV6 = struct.pack(">IHBB", 6 << 28, 25, 6, 64) + bytes(15) + b"\1" + bytes(15) + b"\2"
TCP = struct.pack(">HHIIBBHHH", 40001, 80, 1, 1, 0x50, 0x18, 65535, 0, 0) + b"hello"
MAC = bytes(12)

FRAMES = {
    "null, IPv4": (0, b"\x02\0\0\0" + IPV4 + TCP),
    "null, IPv6 of macOS, big-endian": (0, b"\0\0\0\x1e" + IPV6 + TCP),
    "loop": (108, b"\0\0\0\x02" + IPV4 + TCP),
    "ethernet": (1, MAC + b"\x08\0" + IPV4 + TCP),
    "ethernet, padded": (1, MAC + b"\x08\0" + IPV4 + TCP + b"padding"),
    "ethernet, IPv6": (1, MAC + b"\x86\xdd" + IPV6 + TCP),
    "ethernet, VLAN": (1, MAC + b"\x81\0\0\x05\x08\0" + IPV4 + TCP),
    "ethernet, VLAN in VLAN": (1, MAC + b"\x88\xa8\0\1\x81\0\0\2\x86\xdd" + IPV6 + TCP),
    "raw, IPv4": (101, IPV4 + TCP),
    "raw, IPv6": (101, IPV6 + TCP),
    "raw of BSD": (12, IPV4 + TCP),
    "ipv4": (228, IPV4 + TCP),
    "ipv6": (229, IPV6 + TCP),
    "linux cooked": (113, bytes(14) + b"\x08\0" + IPV4 + TCP),
    "linux cooked 2": (276, b"\x08\0" + bytes(18) + IPV4 + TCP),
    "ipv4, options": (
        228,
        b"\x46\0\0\x31" + IPV4[4:] + b"\1\1\1\1" + TCP,
    ),
    "ipv4, length 0 by offloading": (228, IPV4[:2] + b"\0\0" + IPV4[4:] + TCP),
    "ipv6, extension headers": (
        229,
        IPV6[:4] + b"\0\x29\0\x40" + IPV6[8:] + b"\x3c" + bytes(7) + b"\x06" + bytes(7) + TCP,
    ),
}  # fmt: skip


def pcap(
    link_type: int, *frames: bytes, order: str = "<", magic: int = 0xA1B2C3D4, cut: int = 0
) -> bytes:
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262144, link_type)
    return head + b"".join(
        struct.pack(f"{order}IIII", 1_700_000_000, 5 * i, len(frame) - cut, len(frame))
        + frame[: len(frame) - cut]
        for i, frame in enumerate(frames)
    )


@pytest.mark.parametrize("name", FRAMES)
def test_every_link_type_gives_the_segment(name: str) -> None:
    link_type, frame = FRAMES[name]
    (record,) = parse_capture(pcap(link_type, frame)).flows
    assert record.to_server.data == b"hello"
    assert (record.flow.client.port, record.flow.server.port) == (40001, 80)
    assert record.flow.client.address in ("10.0.0.1", "::1")
    assert record.to_server.locate(4) == (1, 4)


@pytest.mark.parametrize("name", FRAMES)
def test_frames_cut_anywhere_or_damaged_never_break_the_reader(name: str) -> None:
    link_type, frame = FRAMES[name]
    for cut in range(len(frame) + 1):
        capture = parse_capture(pcap(link_type, frame, cut=cut))
        assert sum(record.to_server.size for record in capture.flows) <= 5
    for at, value in itertools.product(range(len(frame)), (0, 0xFF)):
        damaged = frame[:at] + bytes([value]) + frame[at + 1 :]
        assert parse_capture(pcap(link_type, damaged)).packets == 1


def test_bytes_that_were_not_captured_are_a_gap() -> None:
    link_type, frame = FRAMES["ethernet"]
    (record,) = parse_capture(pcap(link_type, frame, cut=2)).flows
    assert record.to_server.data == b"hel"
    assert record.to_server.gaps == ((3, 2),)


@pytest.mark.parametrize(
    "frame",
    [
        MAC + b"\x08\x06" + bytes(40),  # ARP
        MAC + b"\x08\0" + IPV4[:9] + b"\x11" + IPV4[10:] + TCP,  # UDP
        MAC + b"\x08\0" + IPV4[:6] + b"\x20\0" + IPV4[8:] + TCP,  # a fragment
        MAC + b"\x81\0\0\1" * 6 + b"\x08\0" + IPV4 + TCP,  # more VLAN tags than anybody uses
        MAC + b"\x08\0" + b"\x41" + IPV4[1:] + TCP,  # an IP header shorter than itself
        MAC + b"\x08\0" + IPV4 + TCP[:12] + b"\x10" + TCP[13:],  # a TCP header shorter than itself
    ],
)
def test_what_is_no_segment_is_kept_as_other_bytes(frame: bytes) -> None:
    capture = parse_capture(pcap(1, frame))
    assert capture.flows == []
    ((packet, at, length),) = capture.others
    assert (packet, capture.source[at : at + length]) == (1, frame)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_pcap_in_both_orders_and_resolutions(order: str, magic: int, unit: int) -> None:
    link_type, frame = FRAMES["ethernet"]
    data = pcap(link_type | 0x14000000, frame, frame, order=order, magic=magic)
    packets = list(read_packets(data, Contents()))
    assert [packet.number for packet in packets] == [1, 2]
    assert [packet.time_ns for packet in packets] == [
        1_700_000_000 * 10**9,
        1_700_000_000 * 10**9 + 5 * unit,
    ]


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + size + body + size


def section(
    order: str, *blocks: tuple[int, bytes], resolution: bytes = b"", link_type: int = 101
) -> bytes:
    head = block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)
    interface = struct.pack(f"{order}HHI", link_type, 0, 0) + resolution
    return head + b"".join(block(k, body, order) for k, body in ((1, interface), *blocks))


def enhanced(order: str, frame: bytes, ticks: int = 0, interface: int = 0) -> tuple[int, bytes]:
    fields = (interface, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return 6, struct.pack(f"{order}5I", *fields) + frame


@pytest.mark.parametrize(("first", "second"), ["<>", "><"])
def test_pcapng_sections_have_their_own_order_and_interfaces(first: str, second: str) -> None:
    frame = IPV4 + TCP
    option = struct.pack(f"{second}HH", 2, 3) + b"eth\0" + struct.pack(f"{second}HH", 9, 1)
    data = section(
        first, enhanced(first, frame), (3, struct.pack(f"{first}I", len(frame)) + frame)
    ) + section(second, enhanced(second, frame, 3 << 40), resolution=option + b"\x8a\0\0\0")
    capture = parse_capture(data)
    assert capture.interfaces == ("interface 0", "eth")
    assert [record.flow.leg for record in capture.flows] == ["interface 0", "eth"]
    assert [record.packets for record in capture.flows] == [2, 1]
    assert capture.flows[1].first_ns == 3 * 2**30 * 10**9  # ticks of 2^-10 seconds


def test_unknown_blocks_are_skipped_and_packets_numbered_as_wireshark_does(
    tmp_path: Path, tshark: TShark
) -> None:
    frame = IPV4 + TCP
    obsolete = struct.pack("<HHIIII", 0, 0, 0, 0, len(frame), len(frame)) + frame
    blocks = [
        (0x0BAD, struct.pack("<I", 32473) + b"custom"),
        (0x40000BAD, struct.pack("<I", 32473) + b"custom"),
        (9, b"__REALTIME_TIMESTAMP=1\nMESSAGE=x\n"),
        (5, struct.pack("<III", 0, 0, 0)),
        (0x7777, b"unknown"),
        enhanced("<", frame),
        (2, obsolete),
        (3, struct.pack("<I", len(frame)) + frame),
    ]
    for count in range(1, len(blocks) + 1):
        data = section("<", *blocks[:count], enhanced("<", frame))
        file = tmp_path / f"{count}.pcapng"
        file.write_bytes(data)
        assert parse_capture(data).packets == count + 1 - min(max(count - 3, 0), 2)
    numbers = tshark(file, "-Y", "tcp", "-T", "fields", "-e", "frame.number")
    packets = [packet.number for packet in read_packets(data, Contents())]
    assert [int(number) for number in numbers] == packets


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"", 0),
        (b"\n\r", 2),
        (b"PK\x03\x04 a zip file", 0),
        (b"\x34\xcd\xb2\xa1" + bytes(20), 0),
        (b"\xd4\xc3\xb2\xa1", 0),
        (pcap(1, b"x" * 60)[:30], 24),
        (pcap(1, b"x" * 60)[:-1], 24),
        (section("<")[:-4] + b"\xff\0\0\0", 44),
        (section("<")[:40], 28),
        (section("<")[:8] + b"????" + section("<")[12:], 8),
        (section("<", (6, b"short")), 48),
        (section("<", enhanced("<", b"x", interface=1)), 76),
        (section("<", (6, struct.pack("<5I", 0, 0, 0, 100, 100) + b"x")), 76),
        (section("<", (10, struct.pack("<II", 0x544C534B, 100) + b"x")), 60),
        (section("<", (3, b"")), 56),
        (section("<", resolution=b"\x02\0\xff\0name"), 44),
        (section("<") + struct.pack("<II", 0x7777, 13) + bytes(20), 52),
        (section("<") + struct.pack("<II", 0x7777, 8) + bytes(20), 52),
    ],
)
def test_a_broken_file_is_refused_with_the_offset(data: bytes, offset: int) -> None:
    with pytest.raises(MalformedCapture) as caught:
        parse_capture(data)
    assert caught.value.offset == offset


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    for magic in (b"", b"\xd4\xc3\xb2\xa1", section("<"), section(">")):
        assert refused(magic + data) in (True, False)


@given(st.data())
def test_a_damaged_file_raises_nothing_else(data: st.DataObject) -> None:
    order = data.draw(st.sampled_from("<>"))
    good = section(order, enhanced(order, IPV4 + TCP), enhanced(order, IPV6 + TCP)) * 2
    damaged = bytearray(good[: data.draw(st.integers(0, len(good)))])
    for _ in range(data.draw(st.integers(0, 4)) if damaged else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    assert refused(bytes(damaged)) in (True, False)


def refused(data: bytes) -> bool:
    try:
        parse_capture(data)
    except MalformedCapture as error:
        return 0 <= error.offset <= len(data)
    return False


WHOLE = {
    "pcap": pcap(1, *[MAC + b"\x08\0" + IPV4 + TCP] * 3, order=">"),
    "pcapng": section("<", enhanced("<", IPV4 + TCP)) + section(">", enhanced(">", IPV4 + TCP)),
}


def starts(data: bytes) -> list[int]:
    """Where each block begins, by the lengths of another reading of the formats."""
    if data[:4] != b"\x0a\x0d\x0d\x0a":
        size = len(MAC) + 2 + len(IPV4) + len(TCP) + 16
        return [0, *range(24, len(data), size)]
    found, at, order = list[int](), 0, "<"
    while at < len(data):
        if data[at : at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8] == 0x4D else ">"
        found.append(at)
        at += int(struct.unpack_from(f"{order}I", data, at + 4)[0])
    return found


@given(st.data(), st.sampled_from(sorted(WHOLE)))
def test_any_prefix_is_readable_up_to_the_cut_and_says_so(data: st.DataObject, kind: str) -> None:
    whole = WHOLE[kind]
    size = data.draw(st.integers(4, len(whole)))
    blocks = starts(whole)
    at_a_border = size == len(whole) or size in blocks
    expected = None if at_a_border else max(at for at in blocks if at <= size)
    capture = parse_capture(whole[:size], partial=True)
    assert capture.truncated_at == expected
    packets = list(read_packets(whole, Contents()))
    border = size if expected is None else expected
    assert capture.packets == len([packet for packet in packets if packet.end <= border])
    if expected is None:
        parse_capture(whole[:size])
        return
    with pytest.raises(MalformedCapture) as caught:
        parse_capture(whole[:size])  # who does not ask for a part is never given one
    assert caught.value.offset == expected
    assert caught.value.hint


@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (WHOLE["pcapng"] + b"garbage behind the last block", len(WHOLE["pcapng"])),
        (WHOLE["pcap"] + b"garbage behind the last packet", len(WHOLE["pcap"])),
        (WHOLE["pcapng"] + bytes(64), len(WHOLE["pcapng"]) + 4),
        (WHOLE["pcapng"][:48] + b"\xff" * 8 + WHOLE["pcapng"][56:], 52),
    ],
)
def test_garbage_is_no_cut(data: bytes, offset: int) -> None:
    with pytest.raises(MalformedCapture) as caught:
        parse_capture(data, partial=True)
    assert caught.value.offset == offset
    assert caught.value.hint


@pytest.mark.parametrize(("length", "is_cut"), [(MAX_CUT, True), (MAX_CUT + 4, False)])
def test_the_longest_block_that_can_be_cut_off(length: int, is_cut: bool) -> None:
    whole = section("<")
    for data, at in (
        (whole + struct.pack("<II", 6, length) + bytes(40), len(whole)),
        (pcap(1) + struct.pack("<IIII", 0, 0, length, length) + bytes(40), 24),
    ):
        if is_cut:
            assert parse_capture(data, partial=True).truncated_at == at
        else:
            with pytest.raises(MalformedCapture):
                parse_capture(data, partial=True)


def test_errors_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no capture at all")
    with pytest.raises(MalformedCapture, match=r"notes\.txt: this is neither") as caught:
        read_capture(file)
    assert caught.value.offset == 0


directions = st.sampled_from(Direction)
said = st.lists(st.tuples(directions, st.binary(min_size=1, max_size=4000)), max_size=6)


@given(st.lists(said, min_size=1, max_size=4), st.booleans(), st.randoms(use_true_random=False))
def test_what_is_written_is_read(
    talks: list[list[tuple[Direction, bytes]]], ipv6: bool, shuffled: Random
) -> None:
    """Chunks of several flows, interleaved, written and read back: the same streams and flows."""
    chunks: list[list[Chunk]] = []
    for number, words in enumerate(talks, 1):
        ends = ("fd00::1", "fd00::2") if ipv6 else ("10.0.0.1", "10.0.0.2")
        flow = Flow(
            number,
            f"leg {number % 2}",
            Endpoint("client", ends[0], 1000 + number),
            Endpoint("shop.test", ends[1], 80),
        )
        chunks.append([Chunk(number, flow, TO_SERVER, kind=Kind.OPENED)])
        chunks[-1] += [Chunk(number, flow, direction, data) for direction, data in words]
    turns = [i for i, mine in enumerate(chunks) for _ in mine]
    shuffled.shuffle(turns)
    waiting = [iter(mine) for mine in chunks]
    target = io.BytesIO()
    write_pcapng(target, [next(waiting[turn]) for turn in turns])
    capture = parse_capture(target.getvalue())
    found = {record.flow.client.port - 1000: record for record in capture.flows}
    assert len(found) == len(talks)
    for number, words in enumerate(talks, 1):
        record = found[number]
        assert (record.flow.client.name, record.flow.server.name) == ("client", "shop.test")
        assert record.flow.leg == f"leg {number % 2}"
        for direction in Direction:
            wanted = b"".join(data for way, data in words if way is direction)
            stream = record.stream(direction)
            assert (stream.data, stream.gaps) == (wanted, ())


@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "pcapng"])
def test_files_of_editcap_are_read(kind: str, tmp_path: Path, http: list[Chunk]) -> None:
    if shutil.which("editcap") is None:
        pytest.skip("editcap is not installed")
    ours, theirs = tmp_path / "ours.pcapng", tmp_path / "theirs"
    write_pcapng(ours, http)
    subprocess.run(["editcap", "-F", kind, str(ours), str(theirs)], check=True, timeout=60)
    (record,) = read_capture(theirs).flows
    assert (record.to_server.data, record.to_client.data) == (http[1].data, http[2].data)
    assert record.first_ns == http[0].time_ns // (1000 if kind == "pcap" else 1) * (
        1000 if kind == "pcap" else 1
    )


def test_the_same_ports_again_are_another_flow(tmp_path: Path, talk: Talk) -> None:
    ends = (Endpoint("c", "10.0.0.1", 40000), Endpoint("s", "10.0.0.2", 80))
    file = tmp_path / "again.pcapng"
    write_pcapng(
        file,
        [
            *talk(Flow(1, "leg", *ends), (TO_SERVER, b"first")),
            *talk(Flow(2, "leg", *ends), (TO_SERVER, b"second")),
        ],
    )
    records = read_capture(file).flows
    assert [record.to_server.data for record in records] == [b"first", b"second"]


def test_a_pipe_is_read_like_a_file(tmp_path: Path, http: list[Chunk]) -> None:
    target = io.BytesIO()
    write_pcapng(target, http)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(target.getvalue(),))
    writer.start()
    assert len(read_capture(pipe).flows) == 1
    writer.join()


def test_what_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaptureError):
        read_capture(tmp_path / "none")
    with pytest.raises(CaptureError):
        read_capture(tmp_path)
