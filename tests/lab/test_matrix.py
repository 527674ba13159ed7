"""The exposure matrix: what it says, and that every defence in it decides its cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tlslab.lab import PROTECTIONS, CellValue, Protection, measure
from tlslab.lab import matrix as columns
from tlslab.lab.evidence import Matrix

P, M, C, R = (
    CellValue.PLAINTEXT,
    CellValue.METADATA,
    CellValue.CIPHERTEXT,
    CellValue.REFUSED,
)

EXPECTED = {
    # before, behind, MITM unknown, MITM trusted, disk, disk and key, insider, logs
    "none (HTTP, plain disk)":            (P, P, P, P, P, P, P, M),
    "TLS without verification":           (C, P, P, P, P, P, P, M),
    "TLS verified":                       (C, P, R, P, P, P, P, M),
    "TLS verified, rogue root installed": (C, P, R, P, P, P, P, M),
    "mutual TLS":                         (C, P, R, P, P, P, P, M),
    "TLS + SSE-S3":                       (C, P, R, P, C, P, P, M),
    "TLS + SSE-KMS":                      (C, P, R, P, C, C, M, M),
    "TLS + SSE-C":                        (C, P, R, P, C, C, M, M),
    "TLS + client-side encryption":       (C, C, R, C, C, C, C, M),
}  # fmt: skip

ALL_UP = Protection("all", at_rest="SSE-S3", clientside=True, mutual=True)


async def measured(protection: Protection, folder: Path) -> Matrix:
    return await measure(folder, protections=(protection,))


async def test_the_matrix_is_what_theory_says(tmp_path: Path) -> None:
    matrix = await measure(tmp_path)
    assert matrix.rows == [protection.name for protection in PROTECTIONS] == list(EXPECTED)
    for row, values in EXPECTED.items():
        got = tuple(matrix.cell(row, column).value for column in matrix.columns)
        assert got == values, row


async def test_every_cell_has_its_evidence(tmp_path: Path) -> None:
    matrix = await measure(tmp_path)
    for cell in matrix.cells:
        assert cell.reason
        assert cell.files or cell.value is CellValue.REFUSED
        for file in cell.files:
            assert (tmp_path / file).is_file()
        assert (cell.sighting is not None) is (cell.value is CellValue.PLAINTEXT)
        if cell.value is CellValue.REFUSED:
            assert cell.refusal is not None
            assert (cell.refusal.x509_number, cell.refusal.alert) == (20, 48)


async def test_a_sighting_points_at_the_secret(tmp_path: Path) -> None:
    """The file and offset named in a cell hold the bytes that the cell says are there."""
    matrix = await measured(PROTECTIONS[0], tmp_path)
    sighting = matrix.cell(PROTECTIONS[0].name, columns.DISK).sighting
    assert sighting is not None
    data = (tmp_path / sighting.file).read_bytes()
    found = data[sighting.offset : sighting.offset + sighting.length]
    start = sighting.excerpt_start
    assert found.startswith(b"canary-customer-record-")
    assert sighting.excerpt[start : start + sighting.length] == found


@pytest.mark.parametrize(
    ("weakening", "column", "strong", "weak"),
    [
        ({"tls": False}, columns.SNIFFER_BEFORE, C, P),
        ({"verified": False}, columns.MITM_UNKNOWN, R, P),
        ({"tls": False}, columns.MITM_UNKNOWN, R, P),
    ],
)
async def test_a_defence_on_the_way_decides_its_cell(
    weakening: dict[str, Any], column: str, strong: CellValue, weak: CellValue, tmp_path: Path
) -> None:
    up = Protection("row", at_rest="SSE-S3")
    down = replace(up, **weakening)
    assert (await measured(up, tmp_path / "up")).cell("row", column).value is strong
    assert (await measured(down, tmp_path / "down")).cell("row", column).value is weak


@pytest.mark.parametrize(
    ("weakening", "column", "strong", "weak"),
    [
        ({"at_rest": "plain", "clientside": False}, columns.DISK, C, P),
        ({"clientside": False}, columns.SNIFFER_BEHIND, C, P),
        ({"clientside": False}, columns.MITM_TRUSTED, C, P),
        ({"clientside": False}, columns.DISK_AND_KEY, C, P),
        ({"clientside": False}, columns.INSIDER, C, P),
    ],
)
async def test_a_defence_at_rest_decides_its_cell(
    weakening: dict[str, Any], column: str, strong: CellValue, weak: CellValue, tmp_path: Path
) -> None:
    assert (await measured(ALL_UP, tmp_path / "up")).cell("all", column).value is strong
    down = replace(ALL_UP, **weakening)
    assert (await measured(down, tmp_path / "down")).cell("all", column).value is weak
