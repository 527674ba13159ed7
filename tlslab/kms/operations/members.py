"""The types of members that operations share, with the limits of the API's model.

Source: AWS KMS API Reference (2014-11-01), "Data types" and the operations' request parameters.
"""

from __future__ import annotations

from tlslab.kms.grants import OPERATIONS as GRANT_OPERATIONS
from tlslab.kms.material import SPECS, UNSUPPORTED_ALGORITHMS, UNSUPPORTED_SPECS
from tlslab.kms.shapes import Blob, Choice, Flag, Items, Members, Number, Pairs, Shape, Text, Time


def _algorithms(usage: str, *unsupported: str) -> Choice:
    """All algorithms of a usage; `unsupported` begin the names of those we know but have not."""
    found = [each for spec in SPECS.values() for each in spec.algorithms.get(usage, ())]
    found += [each for each in UNSUPPORTED_ALGORITHMS if each.startswith(unsupported)]
    return Choice(tuple(dict.fromkeys(found)))


KEY_ID = Text(1, 2048)
CIPHERTEXT = Blob(1, 6144)
MESSAGE = Blob(1, 4096)
FLAG = Flag()
TIME = Time()
CONTEXT = Pairs(8192)
"""EncryptionContext: 8,192 characters in all (AWS KMS Developer Guide, "Quotas")."""

GRANT_TOKENS = Items(Text(1, 8192), 0, 10)
LIMIT = Number(1, 1000)
MARKER = Text(1, 1024, "[\u0020-\u00ff]*")
ALIAS = Text(1, 256, "[a-zA-Z0-9:/_-]+")
POLICY = Text(1, 131072, "[\t\n\r\u0020-\u00ff]+")
POLICY_NAME = Text(1, 128, r"[\w]+")
DESCRIPTION = Text(0, 8192)
REGION = Text(1, 32, r"([a-z]+-){2,3}\d+")
TAG_KEY = Text(1, 128)
TAGS = Items(
    Members({"TagKey": TAG_KEY, "TagValue": Text(0, 256)}, frozenset({"TagKey", "TagValue"}))
)
NUMBER_OF_BYTES = Number(1, 1024)
CUSTOM_KEY_STORE = Text(1, 64)
MATERIAL_ID = Text(64, 64, "[a-f0-9]+")
PRINCIPAL = Text(1, 256, r"[\w+=,.@:/-]+")
SERVICE_PRINCIPAL = Text(1, 128, r"([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+")
GRANT_ID = Text(1, 128)
GRANT_OPERATION = Choice(GRANT_OPERATIONS)
CONSTRAINTS = Members(
    {
        "EncryptionContextSubset": CONTEXT,
        "EncryptionContextEquals": CONTEXT,
        "SourceArn": Text(20, 512, r"arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+"),
    }
)
RECIPIENT: Shape = Members(
    {
        "KeyEncryptionAlgorithm": Choice(("RSAES_OAEP_SHA_256",)),
        "AttestationDocument": Blob(1, 262144),
    }
)

KEY_SPEC = Choice((*SPECS, *UNSUPPORTED_SPECS))
OLD_KEY_SPEC = Choice(
    tuple(each for each in KEY_SPEC.values if not each.startswith(("ML_", "ECC_NIST_ED")))
)
"""CustomerMasterKeySpec: deprecated, so it has not grown."""

KEY_USAGE = Choice(tuple(dict.fromkeys(use for spec in SPECS.values() for use in spec.usages)))
ORIGIN = Choice(("AWS_KMS", "EXTERNAL", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"))
DATA_KEY_SPEC = Choice(("AES_256", "AES_128"))
KEY_PAIR_SPEC = Choice(
    (
        "RSA_2048", "RSA_3072", "RSA_4096", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521",
        "ECC_SECG_P256K1", "SM2", "ECC_NIST_EDWARDS25519", "ML_KEM_512", "ML_KEM_768",
        "ML_KEM_1024",
    )
)  # fmt: skip
ENCRYPTION_ALGORITHM = _algorithms("ENCRYPT_DECRYPT", "SM2PKE")
SIGNING_ALGORITHM = _algorithms("SIGN_VERIFY", "SM2DSA", "ED25519")
MAC_ALGORITHM = _algorithms("GENERATE_VERIFY_MAC")
AGREEMENT_ALGORITHM = _algorithms("KEY_AGREEMENT")
ENCAPSULATION_ALGORITHM = _algorithms("ENCAPSULATE_DECAPSULATE")
MESSAGE_TYPE = Choice(("RAW", "DIGEST", "EXTERNAL_MU"))
WRAPPING_ALGORITHM = Choice(
    (
        "RSAES_PKCS1_V1_5", "RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1",
        "RSA_AES_KEY_WRAP_SHA_256", "SM2PKE",
    )
)  # fmt: skip
WRAPPING_SPEC = Choice(("RSA_2048", "RSA_3072", "RSA_4096", "SM2"))
DRY_RUN_MODIFIERS = Items(Choice(("IGNORE_CIPHERTEXT",)))
