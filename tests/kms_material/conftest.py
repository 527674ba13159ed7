"""One key of each spec for the whole folder: RSA keys take long to make."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from tlslab.kms import material

KeyOf = Callable[[str], bytes]


@pytest.fixture(scope="session")
def key_of() -> KeyOf:
    return functools.cache(material.generate)
