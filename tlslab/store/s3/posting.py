"""PostObject: an object from an HTML form, permitted by the policy that the form carries."""

from __future__ import annotations

from tlslab.http import Response
from tlslab.store.refusals import Refused
from tlslab.store.s3.call import Call


async def post_object(call: Call) -> Response:
    """PostObject."""
    raise Refused("NotImplemented")
