"""Leaf certificates made on demand, one for each name, kept for the next connection.

Each has a key pair of its own. Proxies are known that put the CA's key, or one key for all, into
the leaves they forge; who gets hold of one leaf's key then has them all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from tlslab.pki import Credential

Issue: TypeAlias = Callable[[str], Credential]
"""Makes a credential with a new key pair for a DNS name or IP address."""

KEPT_LEAVES = 256
"""Names remembered. A client can ask for names without end; the oldest are forgotten."""


class Leaves:
    """The credentials that `issue` made, the most recently used ones kept."""

    def __init__(self, issue: Issue, *, kept: int = KEPT_LEAVES) -> None:
        self._issue = issue
        self._kept = kept
        self._made: OrderedDict[str, Credential] = OrderedDict()

    def leaf(self, name: str) -> Credential:
        """The credential for `name` (in any case). Raises what `issue` raises."""
        name = name.lower()
        if name not in self._made:
            self._made[name] = self._issue(name)
            if len(self._made) > self._kept:
                self._made.popitem(last=False)
        self._made.move_to_end(name)
        return self._made[name]
