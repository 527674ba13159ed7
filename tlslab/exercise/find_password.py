"""Exercise: find the password in a capture of plain HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tlslab.errors import UsageError
from tlslab.exercise.exercise import Exercise, is_right, remember
from tlslab.lab import open_lab
from tlslab.lab.evidence import Check

CAPTURE = "login.pcapng"


class FindThePassword(Exercise):
    """A login over plain HTTP was recorded; the password is in it."""

    id = "find-the-password"
    title = "Find the password in a capture"
    objective = (
        f"Somebody logged in over plain HTTP while you were listening. {CAPTURE} is what you "
        "recorded. Find the password."
    )
    hints: ClassVar[tuple[str, ...]] = (
        "Which flows are in the capture, and which of them can be read? "
        f"`tlslab capture show {CAPTURE}` tells, and so does Wireshark.",
        "A login form is sent as the body of a POST request, as name=value pairs joined by &.",
        f"`strings {CAPTURE} | grep password=` shows the line; the answer is what follows the =.",
    )
    wants = "the password"

    async def start(self, folder: Path) -> None:
        """Record a login with a fresh password, in a lab of its own."""
        async with open_lab(folder, "lab") as lab:
            shop = await lab.server("shop.test", tls=False)
            bank = await lab.server("bank.test")
            sniffer = lab.sniffer()
            client = lab.client()
            password = lab.canary("password").text
            await client.get(shop.url("/"))
            await client.get(bank.url("/accounts"))
            await client.post(shop.url("/login"), f"user=alice&password={password}".encode())
            await client.get(shop.url("/basket"))
        (capture,) = await sniffer.take(folder)
        capture.rename(folder / CAPTURE)
        (folder / "lab").rmdir()
        remember(folder, password=password)

    async def check(self, folder: Path, answer: str | None) -> list[Check]:
        """Compare the answer."""
        if not answer:
            raise UsageError(
                "this exercise wants an answer: the password",
                hint=f"tlslab exercise check {self.id} --answer PASSWORD",
            )
        right = is_right(folder, "password", answer)
        return [Check("this is the password", right, "right" if right else "wrong")]
