"""AWS's own encryption clients read what is written here, and the other way round.

They stand in a virtual environment of their own, for they want an older cryptography:
`make clients` makes it, TLSLAB_CLIENTS_VENV names another.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from tlslab.clientside import (
    ApplicationKey,
    ApplicationKeyring,
    Format,
    Keyring,
    decrypt_stream,
    encrypt_stream,
)
from tlslab.clientside.metadata import parse_instruction_file
from tlslab.clientside.objects import OVERHEAD_BYTES
from tlslab.clientside.remote import KMSClient, S3Client, ServiceError
from tlslab.errors import IntegrityError

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).parent / "peer_clients.py"

BUCKET = "letters"
TEXT = b"dear bob, " * 1000


@pytest.fixture(scope="session")
def interpreter() -> Path:
    """The Python that has AWS's clients."""
    folder = Path(os.environ.get("TLSLAB_CLIENTS_VENV", ROOT / ".venv" / "clients"))
    if not (folder / "bin" / "python").exists():
        pytest.skip("the AWS encryption clients are not installed: make clients")
    return folder / "bin" / "python"


class Peers:
    """AWS's clients, in one process for each batch of requests."""

    def __init__(self, interpreter: Path, environ: Mapping[str, str]) -> None:
        self._interpreter = interpreter
        self._environ = dict(environ)

    async def ask(self, *requests: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What they answer to each request."""
        lines = "".join(json.dumps(one) + "\n" for one in requests)
        done = await trio.run_process(
            [str(self._interpreter), str(PEERS)],
            stdin=lines.encode(),
            capture_stdout=True,
            env={**os.environ, **self._environ},
            stderr=subprocess.DEVNULL,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    async def result(self, **request: Any) -> Any:
        """What they answer to one request that they can do."""
        (answer,) = await self.ask(request)
        assert "error" not in answer, answer
        return answer["result"]


@pytest.fixture
def peers(interpreter: Path, services: Any) -> Peers:
    return Peers(interpreter, services.environ)


def text64(data: bytes = TEXT) -> str:
    return base64.b64encode(data).decode()


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 4096):
        yield data[start : start + 4096]


async def put(
    services: Any, key: str, keyring: Keyring, write: Format, context: Mapping[str, str]
) -> None:
    done = await encrypt_stream(pieces(TEXT), keyring, context=context, write=write)
    await S3Client(services.settings).put(
        BUCKET, key, done.body, len(TEXT) + OVERHEAD_BYTES, metadata=done.metadata
    )


async def get(
    services: Any, key: str, keyring: Keyring, write: Format, context: Mapping[str, str]
) -> bytes:
    async with S3Client(services.settings).get(BUCKET, key) as found:
        stream = decrypt_stream(
            found.metadata, found.body, keyring, context=context, accept=(write,)
        )
        return b"".join([part async for part in stream])


both = pytest.mark.parametrize("write", list(Format), ids=lambda one: one.value)


@both
@pytest.mark.parametrize("context", [{}, {"object": "s3://letters/bob", "note": '"{}"'}])
async def test_they_read_ours_and_we_read_theirs(
    services: Any, peers: Peers, write: Format, context: dict[str, str]
) -> None:
    keyring = KMSClient(services.settings, services.kms_key).keyring
    named = {"bucket": BUCKET, "kms_key": services.kms_key, "format": write.value}
    await put(services, "ours", keyring, write, context)
    read, wrong, written = await peers.ask(
        {"do": "get", **named, "key": "ours", "context": context},
        {"do": "get", **named, "key": "ours", "context": {"object": "another"}},
        {"do": "put", **named, "key": "theirs", "context": context, "body": text64()},
    )
    assert read == {"result": text64()}
    assert "error" in wrong
    assert written == {"result": None}
    assert await get(services, "theirs", keyring, write, context) == TEXT
    with pytest.raises(IntegrityError):
        await get(services, "theirs", keyring, write, {"object": "another"})


@both
async def test_a_context_in_any_script_comes_back_from_the_store(
    services: Any, write: Format
) -> None:
    """AWS's client refuses it, for what S3 makes of metadata that is not ASCII; ours is ASCII."""
    keyring, context = KMSClient(services.settings, services.kms_key).keyring, {"für": "Łukasz 🔑"}
    await put(services, "script", keyring, write, context)
    assert await get(services, "script", keyring, write, context) == TEXT


@both
async def test_they_read_what_an_application_key_wrapped(
    services: Any, peers: Peers, write: Format
) -> None:
    """Unwrapped by AES-GCM as specified; the content and its commitment by their client."""
    key = ApplicationKey.generate()
    context = {"object": "s3://letters/own"}
    await put(services, "own", ApplicationKeyring(key), write, {})
    await put(services, "bound", ApplicationKeyring(key), write, context)
    asked = {"do": "get", "bucket": BUCKET, "format": write.value}
    keys = {"own": key, "bound": key.bound_to(context)}
    answers = await peers.ask(
        *[{**asked, "key": name, "aes_key": text64(one.secret)} for name, one in keys.items()],
        {**asked, "key": "own", "aes_key": text64(ApplicationKey.generate().secret)},
    )
    assert answers[:2] == [{"result": text64()}] * 2
    assert "error" in answers[2]


async def test_we_read_what_they_uploaded_in_parts(services: Any, peers: Peers) -> None:
    keyring = KMSClient(services.settings, services.kms_key).keyring
    await peers.result(
        do="put_parts",
        bucket=BUCKET,
        key="parts",
        kms_key=services.kms_key,
        format="v3",
        body=text64(TEXT * 1100),
    )
    assert await get(services, "parts", keyring, Format.V3, {}) == TEXT * 1100


async def test_they_read_ours_with_an_instruction_file(services: Any, peers: Peers) -> None:
    """Moved there by hand, as a client that may only rewrap would; we read it too."""
    keyring = KMSClient(services.settings, services.kms_key).keyring
    client = S3Client(services.settings)
    done = await encrypt_stream(pieces(TEXT), keyring)
    own = {name: done.metadata[name] for name in ("x-amz-c", "x-amz-d", "x-amz-i")}
    rest = {name: done.metadata[name] for name in done.metadata if name not in own}
    size = len(TEXT) + OVERHEAD_BYTES
    await client.put(BUCKET, "split", done.body, size, metadata=own)
    text = json.dumps(rest).encode()
    marker = {"x-amz-crypto-instr-file": ""}
    await client.put(BUCKET, "split.instruction", pieces(text), len(text), metadata=marker)
    read = await peers.result(
        do="get", bucket=BUCKET, key="split", kms_key=services.kms_key, format="v3"
    )
    assert read == text64()
    async with (
        client.get(BUCKET, "split") as found,
        client.get(BUCKET, "split.instruction") as file,
    ):
        data = b"".join([part async for part in file.body])
        stream = decrypt_stream(
            found.metadata, found.body, keyring, instruction=parse_instruction_file(data)
        )
        assert b"".join([part async for part in stream]) == TEXT


async def test_the_encryption_sdk_works_with_a_kms_key(services: Any, peers: Peers) -> None:
    context = {"purpose": "interop"}
    sealed = await peers.result(
        do="sdk_encrypt", kms_key=services.kms_key, body=text64(), context=context
    )
    assert TEXT[:16] not in base64.b64decode(sealed)
    changed = bytearray(base64.b64decode(sealed))
    changed[len(changed) // 2] ^= 1
    read, refused = await peers.ask(
        {"do": "sdk_decrypt", "kms_key": services.kms_key, "body": sealed},
        {"do": "sdk_decrypt", "kms_key": services.kms_key, "body": text64(bytes(changed))},
    )
    assert read == {"result": text64()}
    assert "error" in refused


async def test_a_disabled_kms_key_stops_everyone_and_an_enabled_one_nobody(
    services: Any, peers: Peers
) -> None:
    keyring = KMSClient(services.settings, services.kms_key).keyring
    await put(services, "held", keyring, Format.V3, {})
    asked = {"bucket": BUCKET, "key": "held", "kms_key": services.kms_key, "format": "v3"}
    await services.disable()
    try:
        (answer,) = await peers.ask({"do": "get", **asked})
        assert "DisabledException" in answer["error"]
        with pytest.raises(ServiceError) as caught:
            await get(services, "held", keyring, Format.V3, {})
        assert caught.value.code == "DisabledException"
    finally:
        await services.enable()
    (answer,) = await peers.ask({"do": "get", **asked})
    assert answer == {"result": text64()}
    assert await get(services, "held", keyring, Format.V3, {}) == TEXT
