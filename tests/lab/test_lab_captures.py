"""The lab's own captures in Wireshark's hands: well-formed, opaque, and opened by the key log."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tlslab.lab import ScenarioResult, run_scenario, select

NAMES = (
    "tls_hides_the_payload",
    "tls12_shows_the_certificate",
    "tls_hides_the_chat",
    "client_without_verification_is_read",
    "tls_added_and_removed_here",
)


def tshark(capture: Path, *arguments: str) -> list[str]:
    """The lines that tshark prints of a capture."""
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    done = subprocess.run(
        ["tshark", "-n", "-r", str(capture), *arguments],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


async def recorded(name: str, folder: Path) -> tuple[ScenarioResult, list[Path]]:
    (scenario,) = select([name])
    result = await run_scenario(scenario, folder)
    captures = [folder / file for file in result.files if file.endswith(".pcapng")]
    assert captures
    return result, captures


@pytest.mark.parametrize("name", NAMES)
async def test_wireshark_finds_no_fault(name: str, tmp_path: Path) -> None:
    _, captures = await recorded(name, tmp_path)
    checks = ("-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE")
    faults = "_ws.malformed or _ws.expert.severity >= 0x600000"  # a warning or worse
    for capture in captures:
        assert tshark(capture)
        assert tshark(capture, *checks, "-Y", faults) == []


@pytest.mark.parametrize("name", ["tls_hides_the_payload", "tls12_shows_the_certificate"])
async def test_the_key_log_beside_a_capture_opens_it(name: str, tmp_path: Path) -> None:
    _, (capture,) = await recorded(name, tmp_path)
    key_log = f"tls.keylog_file:{tmp_path / name / 'tls-keys.log'}"
    assert tshark(capture, "-Y", "http") == []
    assert len(tshark(capture, "-o", key_log, "-Y", "http.request")) == 1
    assert (tmp_path / name / "tls-keys.log").stat().st_mode & 0o777 == 0o600


async def test_what_an_interceptor_decrypted_is_plain_http(tmp_path: Path) -> None:
    _, (capture,) = await recorded("client_without_verification_is_read", tmp_path)
    assert len(tshark(capture, "-Y", 'http.request.uri == "/pay"')) == 1


async def test_a_sighting_names_the_packet_that_wireshark_counts(tmp_path: Path) -> None:
    result, (capture,) = await recorded("plaintext_is_read", tmp_path)
    (sighting,) = [one for party in result.parties for one in party.sightings]
    token = sighting.excerpt[sighting.excerpt_start :][: sighting.length].decode()
    lines = tshark(capture, "-Y", f'frame contains "{token}"', "-T", "fields", "-e", "frame.number")
    assert lines == [str(sighting.packet)]
