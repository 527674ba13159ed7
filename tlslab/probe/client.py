"""Running somebody's client: placeholders filled in, the CA made known, a limit of time.

What the client prints is kept for people; nothing is concluded from it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from tlslab.errors import UsageError

PLACEHOLDERS = ("url", "host", "port", "ca", "hosts")

CA_VARIABLES = (
    "SSL_CERT_FILE",  # OpenSSL, Python's ssl, Go, Ruby, wget with OpenSSL
    "CURL_CA_BUNDLE",  # curl
    "REQUESTS_CA_BUNDLE",  # Python's requests
    "NODE_EXTRA_CA_CERTS",  # Node
    "AWS_CA_BUNDLE",  # aws CLI, boto3
    "GIT_SSL_CAINFO",  # git
    "PGSSLROOTCERT",  # libpq
    "CARGO_HTTP_CAINFO",  # cargo
    "DENO_CERT",  # Deno
)
"""Variables by which common clients are told of a CA file."""

OUTPUT_BYTES = 64 * 1024
"""What is kept of a client's output."""


@dataclass(frozen=True)
class Ran:
    """How a run of the client ended: `exit_code` None where it had to be ended at the limit."""

    exit_code: int | None
    said: str


def check_command(command: Sequence[str]) -> None:
    """Raises UsageError where a command cannot be run, or would not go to the probe's servers."""
    if shutil.which(command[0]) is None:
        raise UsageError(
            f"there is no command {command[0]!r}", hint="is it installed and on the PATH?"
        )
    text = " ".join(command)
    if "{url}" not in text and "{port}" not in text:
        raise UsageError(
            "the command does not say where the address goes",
            hint="put {url}, or {host} and {port}, where it belongs, as in: curl -sS {url}",
        )


def filled_in(command: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The command with its placeholders replaced; other braces stay as they are."""
    words = []
    for word in command:
        for name in PLACEHOLDERS:
            word = word.replace("{" + name + "}", values[name])  # noqa: PLW2901
        words.append(word)
    return words


def environment(ca: Path, proxy: str | None) -> dict[str, str]:
    """The user's environment with the lab's CA in it, and with the proxy or with none."""
    kept = {name: value for name, value in os.environ.items() if not _is_proxy(name)}
    kept |= dict.fromkeys(CA_VARIABLES, str(ca))
    if proxy is not None:
        kept |= dict.fromkeys(("https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), proxy)
    return kept


def _is_proxy(name: str) -> bool:
    return name.lower() in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


async def _end(process: trio.Process) -> None:
    """End a client and whatever it has started: they share a session that was made for them."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def run_client(
    command: Sequence[str], variables: Mapping[str, str], *, stdin: bytes, limit: float
) -> Ran:
    """Run the command with `stdin` as its standard input, for at most `limit` seconds."""
    with trio.move_on_after(limit):
        try:
            done = await trio.run_process(
                list(command),
                stdin=stdin,
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
                env=dict(variables),
                start_new_session=True,
                deliver_cancel=_end,
            )
        except OSError as error:
            raise UsageError(
                f"{command[0]} cannot be run: {(error.strerror or str(error)).lower()}",
                hint="try the command by hand",
            ) from error
        text = done.stdout[-OUTPUT_BYTES:].decode(errors="replace").strip()
        return Ran(done.returncode, text.splitlines()[-1] if text else "")
    return Ran(None, f"it took longer than {limit:g} s")
