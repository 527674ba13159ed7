"""Clients that refuse what is faulty let the same thing through without the fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tlslab.lab import open_lab


@pytest.mark.parametrize(
    ("control", "options"),
    [
        ("good", {"policy": "strict"}),
        ("good", {"policy": "public"}),
        ("sct-good", {"scts": 1}),
        ("good-crls", {"revocation": "hard", "sources": []}),
        ("staple-good", {"revocation": "soft", "sources": ["staple"]}),
        ("staple-by-responder", {"revocation": "soft", "sources": ["staple"]}),
        ("good-must-staple", {"must_staple": True}),
    ],
)
async def test_a_good_server_is_let_through(
    control: str, options: dict[str, Any], tmp_path: Path
) -> None:
    async with open_lab(tmp_path, "lab") as lab:
        faulty = lab.faulty(control)
        shop = await lab.server(faulty.name)
        shop.renew(faulty.credential)
        shop.staple(faulty.staple)
        if "scts" in options:
            options = options | {"logs": faulty.logs}
        client = lab.client(trust=faulty.trust, crls=faulty.crls, **options)
        assert (await client.get(shop.url())).status == 200
