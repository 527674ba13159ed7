"""tlslab: a network lab that shows, with evidence, who can read what.

    errors.py     the tree of errors
    shipped.py    where profiles and scenarios lie, in a checkout and in a wheel
    pki/          who can prove what: profiles, authority, trust, keys on disk, X509 errors
    tls/          TLS over any trio stream, policies, keylog, alerts; TLS bytes read without keys
    http/         HTTP/1.1 and WebSocket over any trio stream
    net/          the lab's network: hosts, names, paths, taps, interceptors; on loopback
    capture/      pcapng in and out, flows, what an eavesdropper learns, canary search, comparison
    proxy/        proxies as tools of their own: terminate, intercept, relay
    store/        objects encrypted at rest, and their HTTP face
    clientside/   encryption before upload
    lab/          puts parties and adversaries on a network; scenarios, evidence, verdicts
    exercise/     objectives, hints, checks, progress
    report/       evidence as terminal tables, HTML, JSON, JUnit
    cli/          one file per subcommand; nothing imports it

Data flows one way: lower layers know nothing of higher ones. A test walks the imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["Canary", "Lab", "Outcome", "TlslabError", "__version__", "scenario"]

if TYPE_CHECKING:
    from tlslab.errors import TlslabError
    from tlslab.lab import Canary, Lab, Outcome, scenario


def __getattr__(name: str) -> object:
    """Load the public names on first use, so that `tlslab --version` stays quick."""
    if name == "TlslabError":
        from tlslab.errors import TlslabError

        return TlslabError
    if name in __all__:
        import tlslab.lab

        return getattr(tlslab.lab, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
