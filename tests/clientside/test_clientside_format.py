"""The format of the S3 Encryption Client: every bit counts, and only key and context open it."""

from __future__ import annotations

import base64
import hmac
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import trio
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from tlslab.clientside import ApplicationKey, content
from tlslab.clientside import metadata as metadata_module
from tlslab.clientside.content import (
    MAX_CONTENT_BYTES,
    ContentSealer,
    Suite,
    check_size,
    commitment_of,
)
from tlslab.clientside.keyrings import ApplicationKeyring, Keyring, KMSKeyring
from tlslab.clientside.metadata import (
    MAX_METADATA_BYTES,
    Envelope,
    Format,
    Wrap,
    check_metadata_size,
    decode_metadata,
    encode_metadata,
    parse_instruction_file,
    wants_instruction_file,
)
from tlslab.clientside.objects import (
    OVERHEAD_BYTES,
    decrypt_stream,
    encrypt_stream,
    open_envelope,
    unverified,
)
from tlslab.envelope import encode_context, new_key, open_box, seal_box
from tlslab.errors import IntegrityError, UsageError

BOTH = (Format.V3, Format.V2)
CONTEXT = {"object": "s3://letters/to/alice"}


def kms() -> KMSKeyring:
    """A key service in this process: one key, which authenticates the context."""
    key = new_key()

    async def generate(context: Mapping[str, str]) -> tuple[bytes, bytes]:
        data_key = new_key()
        bound = encode_context(context)
        return data_key, seal_box(key, data_key, purpose="kms", context=bound)

    async def decrypt(ciphertext: bytes, context: Mapping[str, str]) -> bytes:
        return open_box(key, ciphertext, purpose="kms", context=encode_context(context))

    return KMSKeyring(generate, decrypt)


def application_key() -> ApplicationKeyring:
    return ApplicationKeyring(ApplicationKey.generate())


KEYRINGS: tuple[Callable[[], Keyring], ...] = (application_key, kms)

every_kind = pytest.mark.parametrize("write", BOTH)
every_keyring = pytest.mark.parametrize("make", KEYRINGS)


async def pieces(data: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def sealed(
    data: bytes,
    keyring: Keyring,
    write: Format = Format.V3,
    context: Mapping[str, str] | None = None,
    size: int = 65_536,
) -> tuple[dict[str, str], bytes]:
    done = await encrypt_stream(pieces(data, size), keyring, context=context, write=write)
    return dict(done.metadata), b"".join([part async for part in done.body])


async def opened(
    metadata: Mapping[str, str],
    body: bytes,
    keyring: Keyring,
    *,
    context: Mapping[str, str] | None = None,
    instruction: Mapping[str, str] | None = None,
    size: int = 65_536,
) -> bytes:
    stream = decrypt_stream(
        metadata,
        pieces(body, size),
        keyring,
        context=context,
        instruction=instruction,
        accept=BOTH,
    )
    return b"".join([part async for part in stream])


@every_kind
@every_keyring
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 65_535, 65_536, 65_537, 1_048_577])
async def test_every_edge_comes_back(make: Callable[[], Keyring], write: Format, size: int) -> None:
    keyring, data = make(), (bytes(range(251)) * (size // 251 + 1))[:size]
    metadata, body = await sealed(data, keyring, write, CONTEXT)
    assert len(body) == size + OVERHEAD_BYTES
    assert await opened(metadata, body, keyring, context=CONTEXT) == data


@settings(deadline=None, max_examples=40)
@given(
    data=st.binary(max_size=300),
    write=st.sampled_from(BOTH),
    cut=st.integers(1, 40),
    glue=st.integers(1, 40),
    context=st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3),
)
def test_however_it_is_cut_it_comes_back(
    data: bytes, write: Format, cut: int, glue: int, context: dict[str, str]
) -> None:
    async def there_and_back(keyring: Keyring) -> None:
        metadata, body = await sealed(data, keyring, write, context, cut)
        assert await opened(metadata, body, keyring, context=context, size=glue) == data
        assert "".join([*metadata, *metadata.values()]).isascii()

    for make in KEYRINGS:
        trio.run(there_and_back, make())


async def test_the_bytes_are_those_of_the_specification() -> None:
    """Taken apart by hand with the application's key: HMAC, AES-GCM and nothing of tlslab's."""
    key = ApplicationKey.generate()
    metadata, body = await sealed(b"attack at dawn", ApplicationKeyring(key))
    assert metadata.keys() == {"x-amz-c", "x-amz-d", "x-amz-i", "x-amz-3", "x-amz-w"}
    assert (metadata["x-amz-c"], metadata["x-amz-w"]) == ("115", "02")
    wrapped, message_id, commitment = (
        base64.b64decode(metadata[name]) for name in ("x-amz-3", "x-amz-i", "x-amz-d")
    )
    data_key = AESGCM(key.secret).decrypt(wrapped[:12], wrapped[12:], b"115")
    extracted = hmac.digest(message_id, data_key, "sha512")
    assert commitment == hmac.digest(extracted, b"\0\x73COMMITKEY\x01", "sha512")[:28]
    content_key = hmac.digest(extracted, b"\0\x73DERIVEKEY\x01", "sha512")[:32]
    assert AESGCM(content_key).decrypt(b"\x01" * 12, body, b"\0\x73") == b"attack at dawn"


async def test_the_bytes_of_v2_are_those_of_the_specification() -> None:
    key = ApplicationKey.generate()
    metadata, body = await sealed(b"attack at dawn", ApplicationKeyring(key), Format.V2)
    assert metadata["x-amz-wrap-alg"] == "AES/GCM"
    assert metadata["x-amz-cek-alg"] == "AES/GCM/NoPadding"
    assert (metadata["x-amz-matdesc"], metadata["x-amz-tag-len"]) == ("{}", "128")
    wrapped, iv = (base64.b64decode(metadata[name]) for name in ("x-amz-key-v2", "x-amz-iv"))
    data_key = AESGCM(key.secret).decrypt(wrapped[:12], wrapped[12:], b"AES/GCM/NoPadding")
    assert AESGCM(data_key).decrypt(iv, body, None) == b"attack at dawn"


async def test_a_kms_is_told_the_suite_and_the_context() -> None:
    metadata, _ = await sealed(b"", kms(), Format.V3, CONTEXT)
    assert metadata["x-amz-w"] == "12"
    assert json.loads(metadata["x-amz-t"]) == {**CONTEXT, "aws:x-amz-cek-alg": "115"}
    metadata, _ = await sealed(b"", kms(), Format.V2, CONTEXT)
    stored = json.loads(metadata["x-amz-matdesc"])
    assert stored == {**CONTEXT, "aws:x-amz-cek-alg": "AES/GCM/NoPadding"}


def bit_flips(data: bytes) -> list[bytes]:
    flips = []
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        flips.append(bytes(changed))
    return flips


@every_kind
@every_keyring
async def test_every_bit_of_body_and_metadata_counts(
    make: Callable[[], Keyring], write: Format
) -> None:
    keyring = make()
    metadata, body = await sealed(b"canary", keyring, write, {"place": "a"})
    assert await opened(metadata, body, keyring, context={"place": "a"}) == b"canary"
    for changed in bit_flips(body):
        with pytest.raises(IntegrityError):
            await opened(metadata, changed, keyring, context={"place": "a"})
    for name, value in metadata.items():
        for text in bit_flips(value.encode()):
            changed_metadata = {**metadata, name: text.decode("latin-1")}
            with pytest.raises(IntegrityError):
                await opened(changed_metadata, body, keyring, context={"place": "a"})
        without = {other: metadata[other] for other in metadata if other != name}
        for text in bit_flips(name.encode()):
            if text.decode("latin-1").lower() == name:
                continue  # names are the same in any case (RFC 9110 section 5.1)
            renamed = {**without, text.decode("latin-1"): value}
            with pytest.raises(IntegrityError):
                await opened(renamed, body, keyring, context={"place": "a"})


@every_kind
@every_keyring
async def test_nothing_cut_added_or_from_another_object(
    make: Callable[[], Keyring], write: Format
) -> None:
    keyring = make()
    (one, body_one), (two, body_two) = [
        await sealed(text, keyring, write) for text in (b"one", b"two")
    ]
    for body in (b"", body_one[:-1], body_one[1:], body_one + b"\0", body_one * 2):
        with pytest.raises(IntegrityError):
            await opened(one, body, keyring)
    for metadata, body in ((one, body_two), (two, body_one)):
        with pytest.raises(IntegrityError):
            await opened(metadata, body, keyring)
    for name in one:
        if one[name] != two[name]:
            with pytest.raises(IntegrityError):
                await opened({**one, name: two[name]}, body_one, keyring)


@every_kind
@every_keyring
async def test_another_key_does_not_open(make: Callable[[], Keyring], write: Format) -> None:
    keyring = make()
    metadata, body = await sealed(b"canary", keyring, write)
    for stranger in (application_key(), kms()):
        with pytest.raises(IntegrityError):
            await opened(metadata, body, stranger)
    assert await opened(metadata, body, keyring) == b"canary"


@every_kind
@every_keyring
async def test_objects_cannot_change_places_if_bound_and_can_if_not(
    make: Callable[[], Keyring], write: Format
) -> None:
    """The store hands out the letter to Bob where the one to Alice is asked for."""
    keyring = make()
    alice, bob = {"object": "to/alice"}, {"object": "to/bob"}
    metadata, body = await sealed(b"dear bob", keyring, write, bob)
    with pytest.raises(IntegrityError):
        await opened(metadata, body, keyring, context=alice)
    for other in ({}, {**bob, "more": ""}, {"object": ""}):
        with pytest.raises(IntegrityError):
            await opened(metadata, body, keyring, context=other)
    metadata, body = await sealed(b"dear bob", keyring, write)
    assert await opened(metadata, body, keyring) == b"dear bob"


async def test_an_application_key_of_a_context_is_another_key_that_others_can_use() -> None:
    """A client that knows no contexts reads it with the derived key, and not with its parent."""
    key = ApplicationKey.generate()
    metadata, body = await sealed(b"canary", ApplicationKeyring(key), Format.V3, CONTEXT)
    assert await opened(metadata, body, ApplicationKeyring(key.bound_to(CONTEXT))) == b"canary"
    with pytest.raises(IntegrityError):
        await opened(metadata, body, ApplicationKeyring(key))


@given(
    st.dictionaries(st.text(), st.text(), max_size=3),
    st.dictionaries(st.text(), st.text(), max_size=3),
)
def test_every_context_has_its_own_key(one: dict[str, str], two: dict[str, str]) -> None:
    key = ApplicationKey(bytes(32))
    assert (key.bound_to(one) == key.bound_to(two)) == (one == two)
    assert key.bound_to(one) != key


def test_a_context_is_text() -> None:
    with pytest.raises(UsageError):
        ApplicationKey.generate().bound_to({"lone surrogate": "\ud800"})


async def test_a_kms_context_cannot_be_rewritten() -> None:
    """Even by one who rewrites what is stored to what the reader expects: the KMS compares."""
    keyring = kms()
    metadata, body = await sealed(b"dear bob", keyring, Format.V3, {"object": "to/bob"})
    stored = {**json.loads(metadata["x-amz-t"]), "object": "to/alice"}
    forged = {**metadata, "x-amz-t": json.dumps(stored)}
    with pytest.raises(IntegrityError):
        await opened(forged, body, keyring, context={"object": "to/alice"})


# --- nothing before the tag


async def test_no_byte_of_a_changed_object_is_handed_out_unless_asked_for() -> None:
    keyring, data = application_key(), bytes(300_000)
    metadata, body = await sealed(data, keyring)
    changed = body[:-1] + bytes([body[-1] ^ 1])

    async def handed_out(stream: AsyncIterator[bytes]) -> int:
        got = 0
        try:
            async for part in stream:
                got += len(part)
        except IntegrityError:
            return got
        raise AssertionError("a changed object was taken for genuine")

    assert await handed_out(decrypt_stream(metadata, pieces(changed), keyring)) == 0
    opener = await open_envelope(metadata, keyring)
    assert await handed_out(unverified(pieces(changed), opener)) > 200_000


async def test_memory_is_bounded_both_ways() -> None:
    async def zeros(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield bytes(65_536)

    async def counted(stream: AsyncIterator[bytes]) -> int:
        return sum([len(part) async for part in stream])

    keyring = application_key()
    done = await encrypt_stream(zeros(512), keyring)
    tracemalloc.start()
    try:
        size = await counted(decrypt_stream(done.metadata, done.body, keyring))
        assert size == 512 * 65_536
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()


# --- metadata


@pytest.mark.parametrize("refused", ["V1", "V2", "CBC", "kms", "suite", "wrap", "both", "plain"])
async def test_what_is_not_read_is_refused(refused: str) -> None:
    v3, _ = await sealed(b"x", kms())
    v2, _ = await sealed(b"x", kms(), Format.V2)
    metadata, accept = {
        "V1": ({"x-amz-key": "AAAA", "x-amz-iv": "AAAA", "x-amz-matdesc": "{}"}, BOTH),
        "V2": (v2, (Format.V3,)),
        "CBC": ({**v2, "x-amz-cek-alg": "AES/CBC/PKCS5Padding"}, BOTH),
        "kms": ({**v2, "x-amz-wrap-alg": "kms"}, BOTH),
        "suite": ({**v3, "x-amz-c": "112"}, BOTH),
        "wrap": ({**v3, "x-amz-w": "22"}, BOTH),
        "both": ({**v2, **v3}, BOTH),
        "plain": ({"author": "alice"}, BOTH),
    }[refused]
    with pytest.raises(IntegrityError):
        decode_metadata(metadata, accept=accept)
    assert decode_metadata(v3).format is Format.V3
    assert decode_metadata(v2, accept=BOTH).format is Format.V2


def test_other_metadata_is_left_alone() -> None:
    envelope = Envelope(Format.V3, Wrap.KMS, b"key", bytes(28), bytes(28), {"a": "b"})
    metadata = {"Author": "alice", "x-amz-other": "?", **encode_metadata(envelope)}
    assert decode_metadata(metadata) == envelope
    assert decode_metadata({name.title(): value for name, value in metadata.items()}) == envelope


envelopes = st.builds(
    lambda version, wrap, key, nonce, commitment, context: Envelope(
        version,
        wrap,
        key,
        nonce[: version.suite.nonce_bytes],
        commitment if version is Format.V3 else None,
        context,
    ),
    st.sampled_from(BOTH),
    st.sampled_from(list(Wrap)),
    st.binary(min_size=1, max_size=80),
    st.binary(min_size=28, max_size=28),
    st.binary(min_size=28, max_size=28),
    st.dictionaries(st.text(), st.text(), max_size=3),
)


@given(envelopes)
def test_decoding_undoes_encoding(envelope: Envelope) -> None:
    encoded = encode_metadata(envelope)
    assert decode_metadata(encoded, accept=BOTH) == envelope
    assert encode_metadata(decode_metadata(encoded, accept=BOTH)) == encoded


names = st.sampled_from([*sorted(metadata_module.ALL_NAMES), "x"])
values = st.sampled_from(["", "115", "02", "12", "128", "{}", "[]", "AAAA", "AES/GCM"]) | st.text()


@given(st.dictionaries(names, values), st.none() | st.dictionaries(names, values))
def test_nonsense_is_refused_and_nothing_else_happens(
    metadata: dict[str, str], instruction: dict[str, str] | None
) -> None:
    with pytest.raises(IntegrityError):
        decode_metadata(metadata, instruction=instruction, accept=BOTH)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"a"', '{"a": 1}', '{"a": null}', '{"a":"1","a":"2"}', "[" * 99_999]
)
async def test_a_context_is_an_object_of_strings(text: str) -> None:
    metadata, _ = await sealed(b"", kms())
    with pytest.raises(IntegrityError):
        decode_metadata({**metadata, "x-amz-t": text})


async def test_a_context_that_the_wrapping_does_not_use_is_refused() -> None:
    metadata, _ = await sealed(b"", kms())
    with pytest.raises(IntegrityError):
        decode_metadata({**metadata, "x-amz-m": "{}"})


@pytest.mark.parametrize("name", ["aws:x-amz-cek-alg", "kms_cmk_id"])
async def test_reserved_names_are_refused_in_a_context(name: str) -> None:
    with pytest.raises(UsageError):
        await encrypt_stream(pieces(b""), kms(), context={name: "115"})


async def test_a_data_key_of_another_suite_is_refused() -> None:
    """A KMS key is good for any context; that this suite was meant stands in the context."""
    keyring = kms()
    plaintext, wrapped = await keyring.generate({"aws:x-amz-cek-alg": "AES/GCM/NoPadding"})
    message_id = bytes(28)
    context = {"aws:x-amz-cek-alg": "AES/GCM/NoPadding"}
    sealer = ContentSealer(Suite.COMMITTING, plaintext, message_id)
    body = sealer.seal(b"canary") + sealer.finish()
    commitment = commitment_of(plaintext, message_id)
    forged = Envelope(Format.V3, Wrap.KMS, wrapped, message_id, commitment, context)
    with pytest.raises(IntegrityError):
        await opened(encode_metadata(forged), body, keyring)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
async def test_a_kms_that_gives_something_else_than_a_key_is_refused(length: int) -> None:
    async def generate(context: Mapping[str, str]) -> tuple[bytes, bytes]:
        return bytes(length), b"wrapped"

    async def decrypt(ciphertext: bytes, context: Mapping[str, str]) -> bytes:
        return bytes(length)

    with pytest.raises(IntegrityError):
        await sealed(b"", KMSKeyring(generate, decrypt))
    metadata, body = await sealed(b"", kms())
    with pytest.raises(IntegrityError):
        await opened(metadata, body, KMSKeyring(generate, decrypt))


# --- instruction files


@every_keyring
async def test_instruction_files_are_read(make: Callable[[], Keyring]) -> None:
    keyring = make()
    metadata, body = await sealed(b"canary", keyring, Format.V3)
    own = {name: metadata[name] for name in ("x-amz-c", "x-amz-d", "x-amz-i")}
    assert wants_instruction_file(own)
    assert not wants_instruction_file(metadata)
    rest = {name: metadata[name] for name in metadata if name not in own}
    instruction = parse_instruction_file(json.dumps(rest).encode())
    assert await opened(own, body, keyring, instruction=instruction) == b"canary"

    metadata, body = await sealed(b"canary", keyring, Format.V2)
    assert wants_instruction_file({"author": "alice"})
    instruction = parse_instruction_file(json.dumps(metadata).encode())
    assert await opened({"author": "alice"}, body, keyring, instruction=instruction) == b"canary"


async def test_an_instruction_file_cannot_say_what_the_object_says() -> None:
    """One who may write the instruction file, but not the object, must not replace its content's
    commitment, or turn it into the format that has none."""
    keyring = application_key()
    v3, body = await sealed(b"canary", keyring)
    v2, _ = await sealed(b"canary", keyring, Format.V2)
    own = {name: v3[name] for name in ("x-amz-c", "x-amz-d", "x-amz-i")}
    for instruction in (v3, v2, {**v2, "x-amz-3": v3["x-amz-3"], "x-amz-w": "02"}):
        with pytest.raises(IntegrityError):
            await opened(own, body, keyring, instruction=instruction)
    split = {name: v2[name] for name in ("x-amz-iv", "x-amz-cek-alg")}
    rest = {name: v2[name] for name in v2 if name not in split}
    with pytest.raises(IntegrityError):
        await opened(split, body, keyring, instruction=rest)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"author": "alice"}', b"\xff", b'{"x-amz-3":1}']
)
def test_an_instruction_file_is_nothing_else(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        parse_instruction_file(data)


# --- limits


def test_metadata_has_a_limit() -> None:
    check_metadata_size({"n": "v" * (MAX_METADATA_BYTES - 1)})
    with pytest.raises(UsageError):
        check_metadata_size({"n": "v" * MAX_METADATA_BYTES})


async def test_a_context_that_no_store_would_take_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(UsageError):
        await encrypt_stream(pieces(b""), kms(), context={"long": "x" * MAX_METADATA_BYTES})


async def test_content_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    check_size(MAX_CONTENT_BYTES)
    with pytest.raises(UsageError):
        check_size(MAX_CONTENT_BYTES + 1)
    keyring = application_key()
    metadata, body = await sealed(bytes(101), keyring)
    monkeypatch.setattr(content, "MAX_CONTENT_BYTES", 100)
    with pytest.raises(IntegrityError):
        await opened(metadata, body, keyring)
    with pytest.raises(UsageError):
        await sealed(bytes(101), keyring)
    metadata, body = await sealed(bytes(100), keyring)
    assert await opened(metadata, body, keyring) == bytes(100)


def test_representations_hide_keys() -> None:
    async def main() -> None:
        keyring = application_key()
        data_key = await keyring.new_data_key(Suite.COMMITTING, {})
        assert data_key.plaintext.hex() not in repr(data_key)
        assert str(data_key.plaintext) not in repr(data_key)
        assert str(keyring.key.secret) not in repr(keyring)

    trio.run(main)
