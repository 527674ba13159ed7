"""Faulty certificates as data, and how each is made, fresh whenever it is wanted.

    table.py        strict reading of TOML tables
    recipe.py       how to make a faulty server, as data
    fault.py        one fault: what is wrong, who minds, how to make it
    forge.py        signs what no careful library signs
    extensions.py   the extensions of a faulty certificate
    builder.py      from a fault and an authority to what a server needs
    coverage.py     what is not among the faults, and why

Each file imports only from those above it. The faults are in `certs/faults/`, one file each.
Nothing here speaks TLS: how verifiers judge is written in the data, and the tests measure it.
"""

from __future__ import annotations

from tlslab.pki.faults.builder import FaultyServer, build
from tlslab.pki.faults.fault import Expected, Fault, Verdict, shipped_faults
from tlslab.pki.faults.recipe import Recipe

__all__ = [
    "Expected",
    "Fault",
    "FaultyServer",
    "Recipe",
    "Verdict",
    "build",
    "shipped_faults",
]
