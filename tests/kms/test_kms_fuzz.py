"""Whatever is sent to the KMS, it answers: with an error of its own, never with a failure."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlslab.http import Request
from tlslab.kms.face import handle
from tlslab.kms.operations.table import OPERATIONS
from tlslab.kms.shapes import Choice, Number, Shape

World: TypeAlias = Any

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
names = st.sampled_from(
    ["alias/a", "alias/aws/s3", "alias/", "arn:aws:kms:eu-west-2:111122223333:key/x", "arn:", "x",
     "134f2428-cec1-4b25-a1ae-9048164dba47", "aGVsbG8="]
)  # fmt: skip


def plausible(shape: Shape) -> st.SearchStrategy[Any]:
    """Values that get a request further than anything would."""
    if isinstance(shape, Choice):
        return st.sampled_from(list(shape.values))
    if isinstance(shape, Number):
        return st.integers(shape.least - 1, shape.most + 1)
    return names


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, bytes]:
    operation = draw(st.sampled_from(sorted(OPERATIONS)))
    parameters = {
        name: draw(plausible(shape) | anything)
        for name, shape in OPERATIONS[operation].members.shapes.items()
        if draw(st.booleans()) or name in OPERATIONS[operation].members.required
    }
    return operation, json.dumps(parameters).encode()


@given(requests() | st.tuples(st.sampled_from(sorted(OPERATIONS)), st.binary(max_size=50)))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_request_is_answered(world: World, request_: tuple[str, bytes]) -> None:
    operation, body = request_

    async def sent() -> AsyncIterator[bytes]:
        yield body

    async def ask() -> tuple[int, Any]:
        request = Request("POST", "/", [], sent())
        target = f"TrentService.{operation}"
        response = await handle(world.kms, world.root, request, target, world.region)
        assert isinstance(response.body, bytes)
        return response.status, json.loads(response.body)

    status, answer = trio.run(ask)
    assert status == 200 or (status, "__type" in answer) == (400, True)
