"""Exercise: make a careless client safe until the man in the middle is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import trio

from tlslab.errors import UsageError
from tlslab.exercise.exercise import Exercise
from tlslab.lab import Lab, open_lab
from tlslab.lab.evidence import Check

CLIENT = "client.py"
EVIDENCE = "evidence"
VARIABLE = "TLSLAB_SECRET"
LIMIT = 10.0
"""Seconds the learner's client may take for one request."""

CARELESS = '''\
"""Sends a secret to a server: python client.py URL CA_FILE. The secret is in $TLSLAB_SECRET."""

import os
import ssl
import sys
import urllib.request

url, ca_file = sys.argv[1:]

context = ssl.create_default_context(cafile=ca_file)
context.check_hostname = False  # "it did not work otherwise"
context.verify_mode = ssl.CERT_NONE

opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
)
with opener.open(url, data=os.environ["TLSLAB_SECRET"].encode(), timeout=5) as response:
    print(response.status)
'''


class CarelessClient(Exercise):
    """A client that verifies nothing has to learn to."""

    id = "careless-client"
    title = "Make a careless client safe"
    objective = (
        f"{CLIENT} sends a secret by HTTPS and verifies nothing. Change it until it still reaches "
        "the real server, but gives its secret to no man in the middle: neither to one with a CA "
        "of his own, nor to one with a genuine certificate for another name."
    )
    hints: ClassVar[tuple[str, ...]] = (
        "Two lines of the client switch off two different checks. Which?",
        "verify_mode decides whether the chain is checked, check_hostname whether the name is. "
        "ssl.create_default_context() switches both on.",
        "Delete the lines that set check_hostname and verify_mode. Nothing else is needed.",
    )

    async def start(self, folder: Path) -> None:
        """Write the careless client."""
        (folder / CLIENT).write_text(CARELESS)

    async def check(self, folder: Path, answer: str | None) -> list[Check]:
        """Run the client against the real server and two men in the middle."""
        if not (folder / CLIENT).is_file():
            raise UsageError(
                f"{folder / CLIENT} is gone",
                hint=f"`tlslab exercise reset {self.id}` brings it back",
            )
        shutil.rmtree(folder / EVIDENCE, ignore_errors=True)  # of the last try
        return [
            await self._reaches_the_server(folder),
            await self._refuses(folder, "a CA of its own", genuine=False),
            await self._refuses(folder, "a certificate for another name", genuine=True),
        ]

    async def _reaches_the_server(self, folder: Path) -> Check:
        async with open_lab(folder, f"{EVIDENCE}/control") as lab:
            shop = await lab.server("localhost")
            secret = lab.canary("secret")
            assert shop.address is not None
            said = await _run_client(lab, folder, shop.address[1], secret.text)
            got = any(secret.token in received for received in shop.received)
        measured = "the secret arrived" if got else f"the secret did not arrive ({said})"
        return Check("the real server gets the secret", got, measured)

    async def _refuses(self, folder: Path, how: str, *, genuine: bool) -> Check:
        name = "genuine-certificate" if genuine else "own-ca"
        async with open_lab(folder, f"{EVIDENCE}/{name}") as lab:
            shop = await lab.server("localhost")
            other = lab.ca.issue("mallory.test") if genuine else None
            mallory = await lab.interceptor(genuine=other, upstream=shop)
            secret = lab.canary("secret")
            assert mallory.address is not None
            await _run_client(lab, folder, mallory.address[1], secret.text)
        await lab.collect()
        sightings = mallory.taken.sightings
        refusals = [refusal for refusal in lab.journal.refusals if refusal.peer == mallory.name]
        measured = "the man in the middle was not called at all"
        if refusals:
            measured = f"it refused with alert {refusals[0].alert_name}"
        if sightings:
            measured = f"the secret was read: {sightings[0].where}"
        holds = bool(refusals) and not sightings
        return Check(f"a man in the middle with {how} is refused", holds, measured)


async def _run_client(lab: Lab, folder: Path, port: int, secret: str) -> str:
    """Run the learner's client; what it said at last. The secret is not on its command line."""
    ca_file = lab.folder / "ca.pem"
    ca_file.write_bytes(lab.ca.root_pem)
    command = [sys.executable, str(folder / CLIENT), f"https://localhost:{port}/", str(ca_file)]
    with trio.move_on_after(LIMIT):
        done = await trio.run_process(
            command,
            check=False,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            env={**os.environ, VARIABLE: secret},
        )
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {done.returncode}"
    return f"it took longer than {LIMIT:g} s"
