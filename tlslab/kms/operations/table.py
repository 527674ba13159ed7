"""All operations of the API, as a table: members, the key they need, its states, who does it.

The `free` ones have no key, or find their keys themselves: Decrypt and ReEncrypt by the ciphertext,
the aliases' and some grants' by other means.

Source: AWS KMS API Reference (2014-11-01); AWS KMS Developer Guide, "Permissions reference" (cross
account use) and "Key states" (which states allow what).
"""

from __future__ import annotations

from collections.abc import Mapping

from tlslab.kms.model import (
    ANY_STATE,
    BEING_DELETED,
    NOT_BEING_DELETED,
    PRESENT,
    USABLE,
)
from tlslab.kms.operations import (
    aliases,
    encryption,
    granting,
    imports,
    lifecycle,
    policies,
    regions,
    rotation,
    signing,
    tags,
)
from tlslab.kms.operations import members as m
from tlslab.kms.operations.operation import Operation, changing, free, reading, using
from tlslab.kms.shapes import Blob, Choice, Items, Number, Shape, Text

_CONTEXT: dict[str, Shape] = {"EncryptionContext": m.CONTEXT}
_DATA_KEY: dict[str, Shape] = _CONTEXT | {
    "KeySpec": m.DATA_KEY_SPEC,
    "NumberOfBytes": m.NUMBER_OF_BYTES,
}
_RECIPIENT: dict[str, Shape] = {"Recipient": m.RECIPIENT}
_PAGE: dict[str, Shape] = {"Limit": m.LIMIT, "Marker": m.MARKER}
_SAFETY: dict[str, Shape] = {"BypassPolicyLockoutSafetyCheck": m.FLAG}
_SIGNING: dict[str, Shape] = {"Message": m.MESSAGE, "SigningAlgorithm": m.SIGNING_ALGORITHM}
_MAC: dict[str, Shape] = {"Message": m.MESSAGE, "MacAlgorithm": m.MAC_ALGORITHM}
_DRY: dict[str, Shape] = {
    "GrantTokens": m.GRANT_TOKENS,
    "DryRun": m.FLAG,
    "DryRunModifiers": m.DRY_RUN_MODIFIERS,
}
_STORE: dict[str, Shape] = {"CustomKeyStoreId": m.CUSTOM_KEY_STORE}

_E, _S, _M = "ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC"
_A, _C = "KEY_AGREEMENT", "ENCAPSULATE_DECAPSULATE"

OPERATIONS: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        # encryption
        using(
            "Encrypt",
            encryption.encrypt,
            _E,
            {"Plaintext": m.MESSAGE},
            _CONTEXT | {"EncryptionAlgorithm": m.ENCRYPTION_ALGORITHM},
        ),
        free(
            "Decrypt",
            encryption.decrypt,
            {},
            {
                "CiphertextBlob": m.CIPHERTEXT,
                "KeyId": m.KEY_ID,
                "EncryptionAlgorithm": m.ENCRYPTION_ALGORITHM,
                **_CONTEXT,
                **_RECIPIENT,
                **_DRY,
            },
            cross_account=True,
        ),
        free(
            "ReEncrypt",
            encryption.re_encrypt,
            {"DestinationKeyId": m.KEY_ID},
            {
                "CiphertextBlob": m.CIPHERTEXT,
                "SourceEncryptionContext": m.CONTEXT,
                "SourceKeyId": m.KEY_ID,
                "DestinationEncryptionContext": m.CONTEXT,
                "SourceEncryptionAlgorithm": m.ENCRYPTION_ALGORITHM,
                "DestinationEncryptionAlgorithm": m.ENCRYPTION_ALGORITHM,
                **_DRY,
            },
            cross_account=True,
        ),
        using("GenerateDataKey", encryption.generate_data_key, _E, {}, _DATA_KEY | _RECIPIENT),
        using(
            "GenerateDataKeyWithoutPlaintext",
            encryption.generate_data_key_without_plaintext,
            _E,
            {},
            _DATA_KEY,
        ),
        using(
            "GenerateDataKeyPair",
            encryption.generate_data_key_pair,
            _E,
            {"KeyPairSpec": m.KEY_PAIR_SPEC},
            _CONTEXT | _RECIPIENT,
        ),
        using(
            "GenerateDataKeyPairWithoutPlaintext",
            encryption.generate_data_key_pair_without_plaintext,
            _E,
            {"KeyPairSpec": m.KEY_PAIR_SPEC},
            _CONTEXT,
        ),
        free(
            "GenerateRandom",
            encryption.generate_random,
            {},
            {"NumberOfBytes": m.NUMBER_OF_BYTES, **_STORE, **_RECIPIENT},
        ),
        # signatures, MACs, agreement
        using("Sign", signing.sign, _S, _SIGNING, {"MessageType": m.MESSAGE_TYPE}),
        using(
            "Verify",
            signing.verify,
            _S,
            _SIGNING | {"Signature": m.CIPHERTEXT},
            {"MessageType": m.MESSAGE_TYPE},
        ),
        using("GenerateMac", signing.generate_mac, _M, _MAC),
        using("VerifyMac", signing.verify_mac, _M, _MAC | {"Mac": m.CIPHERTEXT}),
        using(
            "DeriveSharedSecret",
            signing.derive_shared_secret,
            _A,
            {"KeyAgreementAlgorithm": m.AGREEMENT_ALGORITHM, "PublicKey": Blob(1, 8192)},
            _RECIPIENT,
        ),
        using(
            "Encapsulate",
            signing.encapsulate,
            _C,
            {"EncapsulationAlgorithm": m.ENCAPSULATION_ALGORITHM},
        ),
        using(
            "Decapsulate",
            signing.decapsulate,
            _C,
            {
                "EncapsulationAlgorithm": m.ENCAPSULATION_ALGORITHM,
                "SharedSecretCiphertextBlob": m.CIPHERTEXT,
            },
        ),
        reading(
            "GetPublicKey",
            signing.get_public_key,
            {"GrantTokens": m.GRANT_TOKENS},
            states=USABLE,
            cross_account=True,
            alias=True,
        ),
        # keys
        free(
            "CreateKey",
            lifecycle.create_key,
            {},
            {
                "Policy": m.POLICY,
                "Description": m.DESCRIPTION,
                "KeyUsage": m.KEY_USAGE,
                "CustomerMasterKeySpec": m.OLD_KEY_SPEC,
                "KeySpec": m.KEY_SPEC,
                "Origin": m.ORIGIN,
                "Tags": m.TAGS,
                "MultiRegion": m.FLAG,
                "XksKeyId": Text(1, 128, r"[a-zA-Z0-9-_.]+"),
                **_STORE,
                **_SAFETY,
            },
            read_only=False,
        ),
        reading(
            "DescribeKey",
            lifecycle.describe_key,
            {"GrantTokens": m.GRANT_TOKENS},
            cross_account=True,
            alias=True,
        ),
        free(
            "ListKeys",
            lifecycle.list_keys,
            {},
            {
                **_PAGE,
                "ResourceOwners": Items(Choice(("SELF", "OTHER_ACCOUNTS_VIA_RAM")), 1, 2),
            },
        ),
        changing("EnableKey", lifecycle.enable_key, PRESENT),
        changing("DisableKey", lifecycle.disable_key, PRESENT),
        changing(
            "ScheduleKeyDeletion",
            lifecycle.schedule_key_deletion,
            NOT_BEING_DELETED,
            {},
            {"PendingWindowInDays": Number(1, 365)},
        ),
        changing("CancelKeyDeletion", lifecycle.cancel_key_deletion, BEING_DELETED),
        changing(
            "UpdateKeyDescription",
            lifecycle.update_key_description,
            NOT_BEING_DELETED,
            {"Description": m.DESCRIPTION},
        ),
        reading("GetKeyLastUsage", lifecycle.get_key_last_usage),
        # policies
        reading("GetKeyPolicy", policies.get_key_policy, {"PolicyName": m.POLICY_NAME}),
        changing(
            "PutKeyPolicy",
            policies.put_key_policy,
            ANY_STATE,
            {"Policy": m.POLICY},
            {"PolicyName": m.POLICY_NAME, **_SAFETY},
        ),
        reading("ListKeyPolicies", policies.list_key_policies, _PAGE),
        # tags
        changing("TagResource", tags.tag_resource, NOT_BEING_DELETED, {"Tags": m.TAGS}),
        changing(
            "UntagResource", tags.untag_resource, NOT_BEING_DELETED, {"TagKeys": Items(m.TAG_KEY)}
        ),
        reading("ListResourceTags", tags.list_resource_tags, _PAGE),
        # aliases
        free(
            "CreateAlias",
            aliases.create_alias,
            {"AliasName": m.ALIAS, "TargetKeyId": m.KEY_ID},
            read_only=False,
        ),
        free(
            "UpdateAlias",
            aliases.update_alias,
            {"AliasName": m.ALIAS, "TargetKeyId": m.KEY_ID},
            read_only=False,
        ),
        free("DeleteAlias", aliases.delete_alias, {"AliasName": m.ALIAS}, read_only=False),
        free("ListAliases", aliases.list_aliases, {}, {"KeyId": m.KEY_ID, **_PAGE}),
        # grants
        changing(
            "CreateGrant",
            granting.create_grant,
            USABLE,
            {"Operations": Items(m.GRANT_OPERATION)},
            {
                "GranteePrincipal": m.PRINCIPAL,
                "RetiringPrincipal": m.PRINCIPAL,
                "GranteeServicePrincipal": m.SERVICE_PRINCIPAL,
                "RetiringServicePrincipal": m.SERVICE_PRINCIPAL,
                "Constraints": m.CONSTRAINTS,
                "Name": m.ALIAS,
                "GrantTokens": m.GRANT_TOKENS,
                "DryRun": m.FLAG,
            },
            cross_account=True,
        ),
        reading(
            "ListGrants",
            granting.list_grants,
            {
                **_PAGE,
                "GrantId": m.GRANT_ID,
                "GranteePrincipal": m.PRINCIPAL,
                "GranteeServicePrincipal": m.SERVICE_PRINCIPAL,
            },
            cross_account=True,
        ),
        free(
            "ListRetirableGrants",
            granting.list_retirable_grants,
            {},
            {
                **_PAGE,
                "RetiringPrincipal": m.PRINCIPAL,
                "RetiringServicePrincipal": m.SERVICE_PRINCIPAL,
            },
        ),
        free(
            "RetireGrant",
            granting.retire_grant,
            {},
            {
                "GrantToken": Text(1, 8192),
                "KeyId": m.KEY_ID,
                "GrantId": m.GRANT_ID,
                "DryRun": m.FLAG,
            },
            read_only=False,
            cross_account=True,
        ),
        changing(
            "RevokeGrant",
            granting.revoke_grant,
            ANY_STATE,
            {"GrantId": m.GRANT_ID},
            {"DryRun": m.FLAG},
            cross_account=True,
        ),
        # rotation
        changing(
            "EnableKeyRotation",
            rotation.enable_key_rotation,
            USABLE,
            {},
            {"RotationPeriodInDays": Number(90, 2560)},
        ),
        changing("DisableKeyRotation", rotation.disable_key_rotation, USABLE),
        reading("GetKeyRotationStatus", rotation.get_key_rotation_status, cross_account=True),
        changing("RotateKeyOnDemand", rotation.rotate_key_on_demand, USABLE),
        reading(
            "ListKeyRotations",
            rotation.list_key_rotations,
            {**_PAGE, "IncludeKeyMaterial": Choice(("ALL_KEY_MATERIAL", "ROTATIONS_ONLY"))},
        ),
        # imported key material
        reading(
            "GetParametersForImport",
            imports.get_parameters_for_import,
            required={
                "WrappingAlgorithm": m.WRAPPING_ALGORITHM,
                "WrappingKeySpec": m.WRAPPING_SPEC,
            },
            states=NOT_BEING_DELETED,
        ),
        changing(
            "ImportKeyMaterial",
            imports.import_key_material,
            NOT_BEING_DELETED,
            {"ImportToken": m.CIPHERTEXT, "EncryptedKeyMaterial": m.CIPHERTEXT},
            {
                "ValidTo": m.TIME,
                "ExpirationModel": Choice(imports.EXPIRATION_MODELS),
                "ImportType": Choice(("NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL")),
                "KeyMaterialDescription": Text(0, 256, r"[a-zA-Z0-9:/_\s.-]+"),
                "KeyMaterialId": m.MATERIAL_ID,
            },
        ),
        changing(
            "DeleteImportedKeyMaterial",
            imports.delete_imported_key_material,
            ANY_STATE,
            {},
            {"KeyMaterialId": m.MATERIAL_ID},
        ),
        # regions
        changing(
            "ReplicateKey",
            regions.replicate_key,
            USABLE,
            {"ReplicaRegion": m.REGION},
            {"Policy": m.POLICY, "Description": m.DESCRIPTION, "Tags": m.TAGS, **_SAFETY},
        ),
        changing(
            "UpdatePrimaryRegion",
            regions.update_primary_region,
            USABLE,
            {"PrimaryRegion": m.REGION},
        ),
        # custom key stores
        *(
            free(name, lifecycle.refuse_custom_key_stores, {}, read_only=False)
            for name in (
                "ConnectCustomKeyStore",
                "CreateCustomKeyStore",
                "DeleteCustomKeyStore",
                "DescribeCustomKeyStores",
                "DisconnectCustomKeyStore",
                "UpdateCustomKeyStore",
            )
        ),
    )
}
"""By name on the wire."""
