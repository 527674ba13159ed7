"""The table of X509 errors against the OpenSSL that we run on."""

from __future__ import annotations

import pytest
from OpenSSL._util import ffi, lib

from tlslab.pki import explain_x509
from tlslab.pki.x509_errors import X509_ERRORS
from tlslab.pki.x509_errors.contents import CONTENTS
from tlslab.pki.x509_errors.path import PATH
from tlslab.pki.x509_errors.policy import POLICY
from tlslab.pki.x509_errors.revocation import REVOCATION

UNKNOWN = 100_000
BEYOND = 300  # OpenSSL numbers densely from 0; a new one shows up well below this


def openssl_description(number: int) -> str:
    text: bytes = ffi.string(lib.X509_verify_cert_error_string(number))
    return text.decode()


def test_every_number_that_openssl_describes_is_explained_by_its_name() -> None:
    nothing = openssl_description(UNKNOWN)
    known = {number for number in range(BEYOND) if openssl_description(number) != nothing}
    assert len(known) > 100
    assert known <= X509_ERRORS.keys()
    for number in known:
        assert explain_x509(number).name == openssl_description(number)


def test_the_tables_do_not_overlap() -> None:
    tables = (PATH, CONTENTS, REVOCATION, POLICY)
    assert sum(map(len, tables)) == len(X509_ERRORS)
    assert list(X509_ERRORS) == list(range(len(X509_ERRORS)))


@pytest.mark.parametrize("number", X509_ERRORS)
def test_each_explanation_is_written_out(number: int) -> None:
    explanation = explain_x509(number)
    for sentence in (explanation.meaning, explanation.cause, explanation.fix):
        assert sentence[0].isupper() or sentence.startswith("`")
        assert sentence.endswith(".")
        assert len(sentence) > 10


@pytest.mark.parametrize("number", [-1, UNKNOWN])
def test_an_unknown_number_is_admitted(number: int) -> None:
    assert str(number) in explain_x509(number).name
    assert str(number) in explain_x509(number).fix
