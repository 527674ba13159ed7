"""Every private name that we take from pyOpenSSL and cryptography is probed, and missed by name."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from OpenSSL import SSL
from OpenSSL._util import lib

import tlslab.tls
from tlslab.tls import bindings

SOURCE = Path(bindings.__file__).read_text()


def test_the_installed_libraries_have_all() -> None:
    context = SSL.Context(SSL.TLS_METHOD)
    bindings.probe(lib, SSL.Connection(context), context)


@pytest.mark.parametrize("name", bindings._FUNCTIONS)
def test_a_missing_function_is_named(name: str) -> None:
    context = SSL.Context(SSL.TLS_METHOD)
    rest = SimpleNamespace(**{other: 1 for other in bindings._FUNCTIONS if other != name})
    with pytest.raises(ImportError, match=f"OpenSSL's {name}"):
        bindings.probe(rest, SSL.Connection(context), context)


def test_missing_attributes_are_named() -> None:
    with pytest.raises(ImportError, match=r"Connection\._ssl.*Context\._context"):
        bindings.probe(lib, object(), object())


def test_every_function_in_use_is_probed() -> None:
    used = set(re.findall(r"_lib\.(\w+)\b", SOURCE))
    constants = {name for name in used if isinstance(getattr(lib, name), int)}
    assert used - constants == set(bindings._FUNCTIONS)


def test_no_other_module_uses_private_names() -> None:
    private = re.compile(r"OpenSSL\._|\.(_ssl|_lib|_context|_into_ssl|_from_ssl|_x509)\b|_util")
    for file in Path(tlslab.tls.__file__).parent.glob("*.py"):
        if file.name != "bindings.py":
            assert not private.search(ast.unparse(ast.parse(file.read_text()))), file.name


def test_unknown_groups_leave_no_error_behind() -> None:
    context = SSL.Context(SSL.TLS_METHOD)
    assert bindings.set_groups(context, ("X25519MLKEM768", "X25519"))
    assert not bindings.set_groups(context, ("nonsense",))
    assert bindings._reasons() == ()


def test_an_address_of_a_wrong_size() -> None:
    connection = SSL.Connection(SSL.Context(SSL.TLS_METHOD))
    with pytest.raises(bindings.OpenSSLError):
        bindings.expect_address(connection, b"\x7f\0\0")
