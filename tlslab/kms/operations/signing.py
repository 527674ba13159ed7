"""Sign, Verify, GenerateMac, VerifyMac, DeriveSharedSecret, Encapsulate, Decapsulate, GetPublicKey.

The mathematics is in `tlslab.kms.material`; here keys are fetched, and answers put together.

Source: AWS KMS API Reference, the operations of these names.
"""

from __future__ import annotations

from typing import Any

from tlslab.kms import material
from tlslab.kms.call import Call
from tlslab.kms.errors import unsupported


def sign(call: Call) -> dict[str, Any]:
    """A signature over a message or a digest."""
    algorithm = call.parameters["SigningAlgorithm"]
    signature = material.sign(
        call.key.spec,
        _secret(call),
        algorithm,
        call.parameters["Message"],
        call.parameters.get("MessageType", "RAW"),
    )
    return {"KeyId": call.key.arn, "Signature": signature, "SigningAlgorithm": algorithm}


def verify(call: Call) -> dict[str, Any]:
    """Whether a signature is the key's; one that is not is an error."""
    algorithm = call.parameters["SigningAlgorithm"]
    material.verify(
        call.key.spec,
        _secret(call),
        algorithm,
        call.parameters["Message"],
        call.parameters["Signature"],
        call.parameters.get("MessageType", "RAW"),
    )
    return {"KeyId": call.key.arn, "SignatureValid": True, "SigningAlgorithm": algorithm}


def generate_mac(call: Call) -> dict[str, Any]:
    """An HMAC of a message."""
    algorithm = call.parameters["MacAlgorithm"]
    message = call.parameters["Message"]
    mac = material.generate_mac(call.key.spec, _secret(call), algorithm, message)
    return {"Mac": mac, "MacAlgorithm": algorithm, "KeyId": call.key.arn}


def verify_mac(call: Call) -> dict[str, Any]:
    """Whether an HMAC is the key's; one that is not is an error."""
    algorithm = call.parameters["MacAlgorithm"]
    message, mac = call.parameters["Message"], call.parameters["Mac"]
    material.verify_mac(call.key.spec, _secret(call), algorithm, message, mac)
    return {"KeyId": call.key.arn, "MacValid": True, "MacAlgorithm": algorithm}


def derive_shared_secret(call: Call) -> dict[str, Any]:
    """ECDH with somebody's public key."""
    if "Recipient" in call.parameters:
        raise unsupported("Attested recipients (Nitro enclaves, NitroTPM) are not supported.")
    algorithm = call.parameters["KeyAgreementAlgorithm"]
    public_key = call.parameters["PublicKey"]
    shared = material.derive_shared_secret(call.key.spec, _secret(call), algorithm, public_key)
    return {
        "KeyId": call.key.arn,
        "SharedSecret": shared,
        "KeyAgreementAlgorithm": algorithm,
        "KeyOrigin": call.key.origin,
    }


def encapsulate(call: Call) -> dict[str, Any]:
    """A fresh shared secret, and what the key's owner needs to get it too."""
    algorithm = call.parameters["EncapsulationAlgorithm"]
    shared, ciphertext = material.encapsulate(call.key.spec, _secret(call), algorithm)
    return {
        "KeyId": call.key.arn,
        "SharedSecret": shared,
        "SharedSecretCiphertextBlob": ciphertext,
        "EncapsulationAlgorithm": algorithm,
    }


def decapsulate(call: Call) -> dict[str, Any]:
    """The shared secret that somebody encapsulated."""
    algorithm = call.parameters["EncapsulationAlgorithm"]
    ciphertext = call.parameters["SharedSecretCiphertextBlob"]
    shared = material.decapsulate(call.key.spec, _secret(call), algorithm, ciphertext)
    return {"KeyId": call.key.arn, "SharedSecret": shared, "EncapsulationAlgorithm": algorithm}


def get_public_key(call: Call) -> dict[str, Any]:
    """The public half of an asymmetric key."""
    key = call.key
    if not key.details.asymmetric:
        raise unsupported(f"{key.arn} key spec is {key.spec} which has no public key.")
    _, secret = call.keyring.current_secret(call.connection, key)
    return {
        "KeyId": key.arn,
        "PublicKey": material.public_key_der(secret),
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        "KeyUsage": key.usage,
        material.ALGORITHMS_MEMBER[key.usage]: list(key.details.algorithms[key.usage]),
    }


def _secret(call: Call) -> bytes:
    """The key's material, and the note that it is used."""
    current, secret = call.keyring.current_secret(call.connection, call.key)
    call.note_use(call.key, current.id)
    return secret
