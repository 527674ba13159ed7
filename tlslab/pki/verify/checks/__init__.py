"""The checks beyond those of the verifiers, as a table: one row each, with its rule.

    base.py         what a row is
    shape.py        version, serial number, identifiers, lifetime
    keys.py         algorithms and sizes
    authority.py    CAs
    leaf.py         the leaf's purpose
    names.py        the leaf's names

A row looks at one certificate in its place on a path, and never at the network.
"""

from __future__ import annotations

from typing import Final

from tlslab.pki.verify.checks import authority, keys, leaf, names, shape

STRENGTH_CHECKS: Final = (keys.weak_key, keys.weak_signature)

STRICT_CHECKS: Final = (
    *STRENGTH_CHECKS,
    keys.odd_key,
    shape.version,
    shape.serial,
    shape.issuer,
    shape.subject,
    shape.criticality,
    shape.authority_key,
    shape.subject_key,
    authority.basic_constraints,
    authority.key_usage,
    authority.root_purpose,
    authority.constraints_form,
    leaf.is_ca,
    leaf.constrains,
    leaf.key_usage,
    leaf.extended_key_usage,
    names.missing,
    names.criticality,
    names.form,
    names.common_name_spelling,
    names.wildcard_constraint,
)

PUBLIC_CHECKS: Final = (*STRICT_CHECKS, names.common_name, shape.lifetime)
