"""Encrypt, Decrypt, ReEncrypt, GenerateDataKey and its kin, GenerateRandom.

Source: AWS KMS API Reference, the operations of these names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tlslab.kms import material
from tlslab.kms.blob import Blob, invalid_ciphertext, parse_blob, seal_blob
from tlslab.kms.call import Call, random_bytes
from tlslab.kms.errors import KMSError, invalid, unsupported
from tlslab.kms.model import SYMMETRIC, USABLE, Key
from tlslab.kms.naming import Found

_ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
_DATA_KEY_BYTES = {"AES_256": 32, "AES_128": 16}


@dataclass(frozen=True)
class Opened:
    """A decrypted ciphertext and what it was decrypted with."""

    key: Key
    material_id: str
    plaintext: bytes = field(repr=False)


def encrypt(call: Call) -> dict[str, Any]:
    """Encrypt up to 4096 bytes."""
    key = call.key
    algorithm = call.parameters.get("EncryptionAlgorithm", SYMMETRIC)
    _check_algorithm(key, algorithm)
    _, blob = _seal(call, key, call.parameters["Plaintext"], call.encryption_context, algorithm)
    return {"CiphertextBlob": blob, "KeyId": key.arn, "EncryptionAlgorithm": algorithm}


def decrypt(call: Call) -> dict[str, Any]:
    """Decrypt what Encrypt, GenerateDataKey or ReEncrypt made."""
    _refuse_recipient(call)
    algorithm = call.parameters.get("EncryptionAlgorithm", SYMMETRIC)
    opened = _open(
        call, "Decrypt", call.parameters.get("KeyId"), call.encryption_context, algorithm
    )
    answer = {
        "KeyId": opened.key.arn,
        "Plaintext": opened.plaintext,
        "EncryptionAlgorithm": algorithm,
    }
    return answer | _material_id(opened.key, opened.material_id)


def re_encrypt(call: Call) -> dict[str, Any]:
    """Decrypt and encrypt again under another key or context; the plaintext stays in here."""
    old_context = call.parameters.get("SourceEncryptionContext", {})
    new_context = call.parameters.get("DestinationEncryptionContext", {})
    old_algorithm = call.parameters.get("SourceEncryptionAlgorithm", SYMMETRIC)
    new_algorithm = call.parameters.get("DestinationEncryptionAlgorithm", SYMMETRIC)
    source = _source(call, call.parameters.get("SourceKeyId"), old_algorithm)
    destination = call.find(call.parameters["DestinationKeyId"])
    same = "true" if source.found.key.arn == destination.key.arn else "false"
    extra = {"kms:ReEncryptOnSameKey": same, "kms:EncryptionAlgorithm": old_algorithm}
    _authorise_source(call, source, "ReEncryptFrom", old_context, extra)
    extra["kms:EncryptionAlgorithm"] = new_algorithm
    call.authorise(destination, "ReEncryptTo", encryption_context=new_context, extra=dict(extra))
    for found in (source.found, destination):
        found.key.require(USABLE)
        call.require_usage(found.key, _ENCRYPT_DECRYPT)
    _check_algorithm(destination.key, new_algorithm)
    opened = _opened(call, source, old_context, old_algorithm, "ReEncryptFrom")
    material_id, blob = _seal(call, destination.key, opened.plaintext, new_context, new_algorithm)
    answer = {
        "CiphertextBlob": blob,
        "SourceKeyId": opened.key.arn,
        "KeyId": destination.key.arn,
        "SourceEncryptionAlgorithm": old_algorithm,
        "DestinationEncryptionAlgorithm": new_algorithm,
    }
    answer |= _material_id(opened.key, opened.material_id, "SourceKeyMaterialId")
    return answer | _material_id(destination.key, material_id, "DestinationKeyMaterialId")


def generate_data_key(call: Call) -> dict[str, Any]:
    """A fresh data key, in plain and encrypted."""
    _refuse_recipient(call)
    plaintext = random_bytes(_data_key_bytes(call))
    return _wrapped(call, plaintext) | {"Plaintext": plaintext}


def generate_data_key_without_plaintext(call: Call) -> dict[str, Any]:
    """A fresh data key, encrypted."""
    return _wrapped(call, random_bytes(_data_key_bytes(call)))


def generate_data_key_pair(call: Call) -> dict[str, Any]:
    """A fresh key pair, its private half in plain and encrypted."""
    _refuse_recipient(call)
    pair, answer = _data_key_pair(call)
    return answer | {"PrivateKeyPlaintext": pair.private}


def generate_data_key_pair_without_plaintext(call: Call) -> dict[str, Any]:
    """A fresh key pair, its private half encrypted."""
    return _data_key_pair(call)[1]


def generate_random(call: Call) -> dict[str, Any]:
    """Random bytes."""
    _refuse_recipient(call)
    if "CustomKeyStoreId" in call.parameters:
        raise unsupported("Custom key stores are not supported.")
    if "NumberOfBytes" not in call.parameters:
        raise invalid("NumberOfBytes is required.")
    call.authorise_identity("GenerateRandom")
    return {"Plaintext": random_bytes(call.parameters["NumberOfBytes"])}


# Inside


@dataclass(frozen=True)
class _Source:
    """A key that is to decrypt, and the ciphertext where it names its key."""

    found: Found
    blob: Blob | None


def _source(call: Call, key_id: str | None, algorithm: str) -> _Source:
    """What is to decrypt the request's ciphertext.

    A symmetric ciphertext names its key; a KeyId that means another one is refused.
    """
    ciphertext = call.parameters.get("CiphertextBlob")
    if ciphertext is None:
        return _Source(call.find(_without_ciphertext(call, key_id)), None)
    if algorithm != SYMMETRIC:
        if key_id is None:
            raise invalid("KeyId is required for asymmetric keys.")
        return _Source(call.find(key_id), None)
    given = None if key_id is None else call.find(key_id)
    if given is not None and not given.key.symmetric:
        raise _incorrect_key()
    blob = parse_blob(call.services.blob_key, ciphertext)
    if given is not None:
        if given.key.id != blob.key_id:
            raise _incorrect_key()
        return _Source(given, blob)
    key = call.keyring.find(call.connection, call.region, blob.key_id)
    if key is None:
        raise _no_such_key()
    call.touched[key.arn] = key
    return _Source(Found(key), blob)


def _authorise_source(
    call: Call, source: _Source, action: str, context: Mapping[str, str], extra: Mapping[str, str]
) -> None:
    """Authorise a use of the source. Of another account's key no more is told than of none."""
    try:
        call.authorise(source.found, action, encryption_context=context, extra=extra)
    except KMSError:
        if source.blob is not None and source.found.key.account != call.account:
            raise _no_such_key() from None
        raise


def _without_ciphertext(call: Call, key_id: str | None) -> str:
    """The key id of a dry run that asks for permission alone. Raises KMSError for all else."""
    ignored = "IGNORE_CIPHERTEXT" in call.parameters.get("DryRunModifiers", ())
    if not (ignored and call.parameters.get("DryRun") and key_id is not None):
        raise invalid(
            "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy "
            "constraint: Member must not be null"
        )
    return key_id


def _open(
    call: Call, action: str, key_id: str | None, context: Mapping[str, str], algorithm: str
) -> Opened:
    """Authorise and decrypt."""
    source = _source(call, key_id, algorithm)
    extra = {"kms:EncryptionAlgorithm": algorithm}
    _authorise_source(call, source, action, context, extra)
    source.found.key.require(USABLE)
    call.require_usage(source.found.key, _ENCRYPT_DECRYPT)
    return _opened(call, source, context, algorithm, action)


def _opened(
    call: Call, source: _Source, context: Mapping[str, str], algorithm: str, operation: str
) -> Opened:
    """Decrypt; everything else has been checked. A dry run ends here."""
    key = source.found.key
    if source.blob is None and call.parameters.get("CiphertextBlob") is None:
        call.dry_run()
    if source.blob is None:
        current, secret = call.keyring.current_secret(call.connection, key)
        ciphertext = call.parameters["CiphertextBlob"]
        plaintext = material.decrypt(key.spec, secret, algorithm, ciphertext)
        material_id = current.id
    else:
        material_id = source.blob.material_id
        found = key.material(material_id)
        if found is None:
            raise invalid_ciphertext()
        secret = call.keyring.secret(call.connection, key, found)
        plaintext = source.blob.open(secret, context)
    call.dry_run()
    call.note_use(key, material_id, operation)
    return Opened(key, material_id, plaintext)


def _seal(
    call: Call, key: Key, plaintext: bytes, context: Mapping[str, str], algorithm: str
) -> tuple[str, bytes]:
    """The id of the material that encrypted, and the ciphertext."""
    current, secret = call.keyring.current_secret(call.connection, key)
    if key.symmetric:
        blob = seal_blob(call.services.blob_key, key.id, current.id, secret, plaintext, context)
    else:
        if context:
            raise invalid("EncryptionContext is not supported with asymmetric keys.")
        blob = material.encrypt(key.spec, secret, algorithm, plaintext)
    operation = "ReEncryptTo" if call.operation.name == "ReEncrypt" else ""
    call.note_use(key, current.id, operation)
    return current.id, blob


def _check_algorithm(key: Key, algorithm: str) -> None:
    material.check_algorithm(key.spec, _ENCRYPT_DECRYPT, algorithm)


def _data_key_bytes(call: Call) -> int:
    size, spec = call.parameters.get("NumberOfBytes"), call.parameters.get("KeySpec")
    if (size is None) == (spec is None):
        raise invalid("Please specify either number of bytes or key spec.")
    return _DATA_KEY_BYTES[spec] if spec is not None else int(size or 0)


def _wrapped(call: Call, plaintext: bytes) -> dict[str, Any]:
    key = call.key
    _require_symmetric(call, key)
    material_id, blob = _seal(call, key, plaintext, call.encryption_context, SYMMETRIC)
    return {"CiphertextBlob": blob, "KeyId": key.arn} | _material_id(key, material_id)


def _data_key_pair(call: Call) -> tuple[material.KeyPair, dict[str, Any]]:
    key, spec = call.key, call.parameters["KeyPairSpec"]
    _require_symmetric(call, key)
    if spec not in material.DATA_KEY_PAIR_SPECS:
        raise unsupported(material.UNSUPPORTED_SPECS.get(spec, ""))
    pair = call.slow("pair", lambda: material.generate_key_pair(spec))
    material_id, blob = _seal(call, key, pair.private, call.encryption_context, SYMMETRIC)
    answer = {
        "PrivateKeyCiphertextBlob": blob,
        "PublicKey": pair.public,
        "KeyId": key.arn,
        "KeyPairSpec": spec,
    }
    return pair, answer | _material_id(key, material_id)


def _require_symmetric(call: Call, key: Key) -> None:
    if not key.symmetric:
        raise KMSError(
            "InvalidKeyUsageException",
            f"{key.arn} key spec is {key.spec} which is not valid for {call.operation.name}.",
        )


def _material_id(key: Key, material_id: str, member: str = "KeyMaterialId") -> dict[str, str]:
    """The member that names the key material; only symmetric keys have it."""
    return {member: material_id} if key.symmetric else {}


def _refuse_recipient(call: Call) -> None:
    if "Recipient" in call.parameters:
        raise unsupported("Attested recipients (Nitro enclaves, NitroTPM) are not supported.")


def _no_such_key() -> KMSError:
    return KMSError(
        "AccessDeniedException",
        "The ciphertext refers to a customer master key that does not exist, does not exist "
        "in this region, or you are not allowed to access.",
    )


def _incorrect_key() -> KMSError:
    return KMSError(
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
    )
