"""Where the files lie that ship with tlslab: certificate profiles and scenarios.

In a checkout they are the top-level folders `certs/` and `scenarios/`; in an installed wheel they
are copies inside the package. This module knows nothing of what is in them.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(folder: str) -> Path:
    """The path of the shipped folder `"certs"` or `"scenarios"`."""
    installed = _PACKAGE / "_shipped" / folder
    return installed if installed.is_dir() else _PACKAGE.parent / folder
