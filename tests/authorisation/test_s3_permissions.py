"""The table of permissions is complete, and its names are AWS's."""

from __future__ import annotations

import re

import pytest

from tlslab.store.s3 import permissions
from tlslab.store.s3.operations import OPERATIONS, Operation


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: str(operation.name))
def test_every_operation_takes_a_permission(operation: Operation) -> None:
    name = operation.name
    homes = [
        name == "ListBuckets",
        name in permissions.BUCKET_ACTIONS,
        name in permissions.OBJECT_ACTIONS,
        name in permissions.BY_KEY,
    ]
    assert homes.count(True) == 1
    if name in permissions.OBJECT_ACTIONS:
        assert operation.scope == "object"
    elif name != "ListBuckets":
        assert operation.scope == "bucket"
    if operation.copies:
        assert name in permissions.COPIES


def test_the_table_has_nothing_else() -> None:
    names = {operation.name for operation in OPERATIONS}
    named = set(permissions.BUCKET_ACTIONS) | set(permissions.OBJECT_ACTIONS) | permissions.BY_KEY
    assert named == names - {"ListBuckets"}
    assert names > permissions.POLICY_OPERATIONS
    assert names > permissions.COPIES


def test_operations_on_versions_take_other_actions() -> None:
    versioned = {
        operation.name
        for operation in OPERATIONS
        if operation.scope == "object" and "versionId" in operation.query
    }
    for name in versioned - {"UpdateObjectEncryption"}:  # S3 has one action for it
        for action in permissions.OBJECT_ACTIONS[name]:
            assert permissions.for_version(action, None) == action
            assert "Version" in permissions.for_version(action, "v1")


def test_names_are_well_formed() -> None:
    actions = [
        permissions.LIST_BUCKETS,
        *permissions.BUCKET_ACTIONS.values(),
        *(action for actions in permissions.OBJECT_ACTIONS.values() for action in actions),
        *permissions.ON_VERSIONS.values(),
    ]
    assert all(re.fullmatch(r"s3:[A-Z][A-Za-z]+", action) for action in actions)
