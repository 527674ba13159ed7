"""The error of a document that is no policy."""

from __future__ import annotations

from tlslab.errors import TlslabError


class MalformedPolicy(TlslabError):
    """A document that is not a policy, or not one that is accepted here.

    The message is worded as Amazon S3 words it where it has a text for the case: it is what the
    faces of the services answer with.
    """
