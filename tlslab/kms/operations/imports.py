"""GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial.

An import token is the private wrapping key, sealed together with what it may be used for: nothing
is kept here between the two requests.

A key's material is bound to it: what was imported once can be deleted, can expire and can come
back, but the same key never decrypts with other bytes. New material for a symmetric key is a
rotation that waits until it is asked for.

Source: AWS KMS Developer Guide, "Importing key material for AWS KMS keys"; AWS KMS API Reference,
ImportKeyMaterial.
"""

from __future__ import annotations

import base64
import datetime
import json
from typing import Any

from tlslab.errors import IntegrityError
from tlslab.kms import material
from tlslab.kms.call import Call
from tlslab.kms.errors import KMSError, invalid, unsupported
from tlslab.kms.model import DAY, Key, Material, micros, moment
from tlslab.kms.operations.rotation import PENDING

EXPIRES, STAYS = "KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"
EXPIRATION_MODELS = (EXPIRES, STAYS)

PENDING_REGIONS = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
TOKEN_VALID = DAY
"""An import token is good for 24 hours."""

MAX_VALID = datetime.timedelta(days=365)
_PURPOSE = "kms import token"


def get_parameters_for_import(call: Call) -> dict[str, Any]:
    """A public key to wrap key material with, and the token that must come with it."""
    key, algorithm = call.key, call.parameters["WrappingAlgorithm"]
    call.require_origin(key, "EXTERNAL")
    spec = call.parameters["WrappingKeySpec"]
    material.check_wrapping(key.spec, spec, algorithm)
    private = call.slow("wrapping key", lambda: material.generate(spec))
    valid_to = call.now + TOKEN_VALID
    content = {
        "algorithm": algorithm,
        "valid_to": valid_to,
        "private": base64.b64encode(private).decode(),
    }
    token = call.services.wrap(
        json.dumps(content).encode(), purpose=_PURPOSE, context={"key": key.arn}
    )
    return {
        "KeyId": key.arn,
        "ImportToken": token,
        "PublicKey": material.public_key_der(private),
        "ParametersValidTo": moment(valid_to),
    }


def import_key_material(call: Call) -> dict[str, Any]:
    """Bring a key its material."""
    key = call.key
    call.require_origin(key, "EXTERNAL")
    expires = _expiry(call)
    secret = _unwrapped(call)
    material_id = call.keyring.material_id(key.id, secret)
    wanted = call.parameters.get("KeyMaterialId", material_id)
    if wanted != material_id:
        raise _incorrect()
    new = call.parameters.get("ImportType") == "NEW_KEY_MATERIAL" or (
        "ImportType" not in call.parameters and not key.materials
    )
    if new and "KeyMaterialId" in call.parameters:
        raise invalid("KeyMaterialId cannot be specified with ImportType NEW_KEY_MATERIAL.")
    changes: dict[str, Any] = {"expires": expires}
    if "KeyMaterialDescription" in call.parameters:
        changes["description"] = call.parameters["KeyMaterialDescription"]
    known = key.material(material_id)
    if known is not None:
        call.keyring.restore_material(call.connection, key, secret, **changes)
    elif new:
        _add_new(call, secret, material_id, changes)
    else:
        _add_to_replica(call, secret, material_id, changes)
    _complete_regions(call, material_id)
    answer = {"KeyId": key.arn}
    return answer | {"KeyMaterialId": material_id} if key.symmetric else answer


def delete_imported_key_material(call: Call) -> dict[str, Any]:
    """Erase imported key material; the key waits until the same is imported again."""
    key = call.key
    call.require_origin(key, "EXTERNAL")
    material_id = call.parameters.get("KeyMaterialId")
    found = key.current if material_id is None else key.material(material_id)
    if found is None and material_id is not None:
        raise KMSError("NotFoundException", f"Key material '{material_id}' does not exist")
    if found is None:
        return {"KeyId": key.arn}
    call.keyring.update_material(call.connection, key, found.id, sealed=None)
    answer = {"KeyId": key.arn}
    return answer | {"KeyMaterialId": found.id} if key.symmetric else answer


def _expiry(call: Call) -> int | None:
    """When the material expires, None for never. Raises KMSError."""
    model = call.parameters.get("ExpirationModel", EXPIRES)
    valid_to = call.parameters.get("ValidTo")
    if model == STAYS:
        if valid_to is not None:
            raise invalid(f"A validTo date must not be set if the ExpirationModel is {STAYS}")
        return None
    if valid_to is None:
        raise invalid(f"A validTo date must be set if the ExpirationModel is {EXPIRES}")
    if not call.time < valid_to <= call.time + MAX_VALID:
        raise invalid("The validTo date must be in the future, and within 365 days.")
    return micros(valid_to)


def _unwrapped(call: Call) -> bytes:
    """The key material of the request. Raises KMSError."""
    key = call.key
    try:
        content = json.loads(
            call.services.unwrap(
                call.parameters["ImportToken"], purpose=_PURPOSE, context={"key": key.arn}
            )
        )
    except IntegrityError:
        raise KMSError("InvalidImportTokenException") from None
    if content["valid_to"] < call.now:
        raise KMSError("ExpiredImportTokenException")
    private = base64.b64decode(content["private"])
    encrypted = call.parameters["EncryptedKeyMaterial"]
    return call.slow(
        "material", lambda: material.unwrap(key.spec, private, content["algorithm"], encrypted)
    )


def _add_new(call: Call, secret: bytes, material_id: str, changes: dict[str, Any]) -> None:
    """Add the key's first material, or its next, which waits for RotateKeyOnDemand."""
    key = call.key
    if not key.materials:
        call.keyring.add_material(call.connection, key, secret, state="CURRENT", **changes)
        return
    if not key.symmetric:
        raise _incorrect()
    if key.multi_region_type == "REPLICA":
        raise unsupported(f"{key.arn} is not a multi-region primary key.")
    waiting = _waiting(key)
    if waiting is not None:
        raise KMSError(
            "KMSInvalidStateException",
            f"New key material (id: {material_id}) cannot be imported into KMS key {key.id}, "
            f"because another key material (id: {waiting.id}) is pending rotation.",
        )
    alone = len(call.keyring.related(call.connection, key)) == 1
    state = PENDING if alone else PENDING_REGIONS
    call.keyring.add_material(call.connection, key, secret, state=state, **changes)


def _add_to_replica(call: Call, secret: bytes, material_id: str, changes: dict[str, Any]) -> None:
    """Bring a replica the material that its primary already has."""
    for other in call.keyring.related(call.connection, call.key):
        found = other.material(material_id)
        if found is not None:
            call.keyring.add_material(
                call.connection, call.key, secret, state=found.state, **changes
            )
            return
    raise _incorrect()


def _complete_regions(call: Call, material_id: str) -> None:
    """Let material that all regions have now be rotated to."""
    related = call.keyring.related(call.connection, call.key)
    found = [each.material(material_id) for each in related]
    if all(each is not None and each.sealed is not None for each in found):
        for key, each in zip(related, found, strict=True):
            if each is not None and each.state == PENDING_REGIONS:
                call.keyring.update_material(call.connection, key, material_id, state=PENDING)


def _waiting(key: Key) -> Material | None:
    return next((each for each in key.materials if each.state in {PENDING, PENDING_REGIONS}), None)


def _incorrect() -> KMSError:
    return KMSError(
        "IncorrectKeyMaterialException",
        "The key material is not the one that was imported into this KMS key before.",
    )
