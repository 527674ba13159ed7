"""Faulty and hostile certificates break no output: not the terminal's, not JSON, not HTML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from tlslab.cli.ca import ca
from tlslab.pki import certificate_facts, explain_certificate
from tlslab.pki.credential import to_pem
from tlslab.pki.facts import MAX_FACT
from tlslab.pki.faults import Fault, shipped_faults
from tlslab.report.elements import document, element

FAULTS = shipped_faults()

pytestmark = pytest.mark.filterwarnings(
    f"ignore::{CryptographyDeprecationWarning.__module__}.CryptographyDeprecationWarning"
)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_every_certificate_of_the_zoo_is_told(measured: Any, fault: Fault) -> None:
    server = measured.server(fault)
    for certificate in {*server.credential.chain[:5], *server.trust.certificates}:
        facts = certificate_facts(certificate)
        assert all(text.isprintable() for text in facts.values())
        assert all(len(text) <= 4 * MAX_FACT for text in facts.values())
        assert json.loads(json.dumps(facts)) == facts
        assert all(sentence.isprintable() for sentence in explain_certificate(certificate))


HOSTILE = [fault for fault in FAULTS.values() if "hostile" in fault.tags]


@pytest.mark.parametrize("fault", HOSTILE, ids=lambda fault: fault.id)
def test_ca_show(measured: Any, fault: Fault, tmp_path: Path) -> None:
    leaf = measured.server(fault).credential.certificate
    file = tmp_path / "x.pem"
    file.write_bytes(to_pem([leaf]))
    for arguments in (["show", str(file)], ["show", str(file), "--json"]):
        result = CliRunner().invoke(ca, arguments)
        assert result.exit_code == 0, result.output
        assert all(char.isprintable() or char == "\n" for char in result.stdout)
        if "--json" in arguments:
            assert json.loads(result.stdout)["certificates"]


@pytest.mark.parametrize("fault", HOSTILE, ids=lambda fault: fault.id)
def test_html(measured: Any, fault: Fault) -> None:
    leaf = measured.server(fault).credential.certificate
    for text in (*certificate_facts(leaf).values(), leaf.subject.rfc4514_string()):
        page = document(element("html", element("p", text, title=text)))
        assert page.replace("\n", "").isprintable()
        assert page.count("<") == len(["html", "/html", "p", "/p", "doctype"])


def test_the_hostile_content_is_really_there(measured: Any) -> None:
    """The failing twin: told without care, these certificates would do harm."""
    raw = {
        fault.id: measured.server(fault).credential.certificate.public_bytes(Encoding.DER)
        for fault in HOSTILE
    }
    assert b"\x1b]0;owned\x07" in raw["hostile-control-characters"]
    assert b"<script>alert(1)</script>" in raw["hostile-markup"]
    assert b"shop.test\0.evil.test" in raw["nul-in-name"]
    assert len(raw["hostile-megabyte"]) > 2**20
