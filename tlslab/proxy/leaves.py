"""Leaf certificates made on demand, one for each name, kept for the next connection.

Each has a key pair of its own. Proxies are known that put the CA's key, or one key for all, into
the leaves they forge; who gets hold of one leaf's key then has them all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from tlslab.pki import Credential
from tlslab.tls import ServerPolicy

Disguise: TypeAlias = Callable[[ServerPolicy], ServerPolicy]
"""Changes the policy by which a leaf is shown: a staple with it, a weak cipher suite."""

Issue: TypeAlias = Callable[[str], Credential]
"""Makes a credential with a new key pair for a DNS name or IP address."""

KEPT_LEAVES = 256
"""Names remembered. A client can ask for names without end; the oldest are forgotten."""


class Leaves:
    """The credentials that `issue` made and the policies that show them.

    The most recently used ones are kept.
    """

    def __init__(
        self, issue: Issue, *, disguise: Disguise | None = None, kept: int = KEPT_LEAVES
    ) -> None:
        self._issue = issue
        self._disguise = disguise or (lambda policy: policy)
        self._kept = kept
        self._made: OrderedDict[str, Credential] = OrderedDict()
        self._policies: OrderedDict[tuple[str, tuple[str, ...]], ServerPolicy] = OrderedDict()

    def leaf(self, name: str) -> Credential:
        """The credential for `name` (in any case). Raises what `issue` raises."""
        name = name.lower()
        if name not in self._made:
            self._made[name] = self._issue(name)
            if len(self._made) > self._kept:
                self._made.popitem(last=False)
        self._made.move_to_end(name)
        return self._made[name]

    def policy(self, name: str, protocols: tuple[str, ...]) -> ServerPolicy:
        """The policy of a server called `name` that speaks one of `protocols` (ALPN).

        The same one each time, so that a client which comes back can resume its session, as it
        would with the real server. Raises what `issue` raises.
        """
        leaf, key = self.leaf(name), (name.lower(), protocols)
        policy = self._policies.get(key)
        if policy is None or policy.credential is not leaf:
            policy = self._disguise(ServerPolicy(leaf, alpn=protocols))
            self._policies[key] = policy
            if len(self._policies) > self._kept:
                self._policies.popitem(last=False)
        self._policies.move_to_end(key)
        return policy
