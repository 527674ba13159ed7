"""Key material: the cryptography of KMS keys, and nothing else.

    specs.py        the table: KeySpec -> usages -> algorithms; which key pairs and wrappings exist
    keys.py         generate(spec) -> material; checked(spec, bytes); public_key_der(material)
    encryption.py   RSA-OAEP: encrypt, decrypt
    signing.py      sign, verify; message types RAW, DIGEST, EXTERNAL_MU
    mac.py          generate_mac, verify_mac
    agreement.py    derive_shared_secret (ECDH); encapsulate, decapsulate (ML-KEM)
    importing.py    check_wrapping, unwrap: material that the customer brings
    errors.py       MaterialError; each has `code`, KMS's exception, and AWS's message

Material is bytes that the caller keeps sealed; functions take the spec's name and the material, do
no I/O and know no keys' ids, states, policies or callers. The caller has checked that enumerated
parameters have values of the API's model, that sizes are within the model's limits, and that the
key's own KeyUsage fits the operation. Symmetric encryption is not here: a ciphertext names its key
and binds an encryption context, which takes more than material; `generate("SYMMETRIC_DEFAULT")`
gives its 32 bytes.

Everything is CPU work: `generate` of RSA takes 50 ms to seconds, an import of RSA up to 200 ms, any
other operation at most a few milliseconds.
"""

from tlslab.kms.material.agreement import decapsulate, derive_shared_secret, encapsulate
from tlslab.kms.material.encryption import decrypt, encrypt, max_plaintext
from tlslab.kms.material.errors import (
    IncorrectKeyMaterial,
    InvalidCiphertext,
    InvalidKeyUsage,
    InvalidMac,
    InvalidParameter,
    InvalidSignature,
    MaterialError,
    Unsupported,
)
from tlslab.kms.material.importing import check_wrapping, unwrap
from tlslab.kms.material.keys import KeyPair, checked, generate, generate_key_pair, public_key_der
from tlslab.kms.material.mac import generate_mac, verify_mac
from tlslab.kms.material.signing import sign, verify
from tlslab.kms.material.specs import (
    ALGORITHMS_MEMBER,
    DATA_KEY_PAIR_SPECS,
    ENCAPSULATE_DECAPSULATE,
    ENCRYPT_DECRYPT,
    GENERATE_VERIFY_MAC,
    KEY_AGREEMENT,
    SIGN_VERIFY,
    SPECS,
    UNSUPPORTED_ALGORITHMS,
    UNSUPPORTED_SPECS,
    WRAPPING_ALGORITHMS,
    WRAPPING_SPECS,
    KeySpec,
    check_algorithm,
    find_spec,
)

__all__ = [
    "ALGORITHMS_MEMBER",
    "DATA_KEY_PAIR_SPECS",
    "ENCAPSULATE_DECAPSULATE",
    "ENCRYPT_DECRYPT",
    "GENERATE_VERIFY_MAC",
    "KEY_AGREEMENT",
    "SIGN_VERIFY",
    "SPECS",
    "UNSUPPORTED_ALGORITHMS",
    "UNSUPPORTED_SPECS",
    "WRAPPING_ALGORITHMS",
    "WRAPPING_SPECS",
    "IncorrectKeyMaterial",
    "InvalidCiphertext",
    "InvalidKeyUsage",
    "InvalidMac",
    "InvalidParameter",
    "InvalidSignature",
    "KeyPair",
    "KeySpec",
    "MaterialError",
    "Unsupported",
    "check_algorithm",
    "check_wrapping",
    "checked",
    "decapsulate",
    "decrypt",
    "derive_shared_secret",
    "encapsulate",
    "encrypt",
    "find_spec",
    "generate",
    "generate_key_pair",
    "generate_mac",
    "max_plaintext",
    "public_key_der",
    "sign",
    "unwrap",
    "verify",
    "verify_mac",
]
