"""Every X509 error number of OpenSSL 4 (`X509_V_ERR_*` in x509_vfy.h), explained.

The tables are data, one module for each subject: the `path` from the leaf to a root, what is in
the `contents` of a certificate, `revocation`, and the rarer `policy` rules. Names are the short
descriptions of `X509_verify_cert_error_string`; match on numbers, as names change. For 101 and 104
OpenSSL 4.0 has no description: theirs are the constants' names in words.
"""

from __future__ import annotations

from tlslab.pki.explanation import Explanation
from tlslab.pki.x509_errors.contents import CONTENTS
from tlslab.pki.x509_errors.path import PATH
from tlslab.pki.x509_errors.policy import POLICY
from tlslab.pki.x509_errors.revocation import REVOCATION

X509_ERRORS: dict[int, Explanation] = dict(sorted((PATH | CONTENTS | REVOCATION | POLICY).items()))
"""Explanation by number; 0 is success."""


def explain_x509(number: int) -> Explanation:
    """What the X509 error `number` means, its usual cause and the fix; admits what it knows not."""
    return X509_ERRORS.get(number) or Explanation(
        f"X509 error {number}",
        "The certificate was refused for a reason that tlslab has no words for.",
        "An OpenSSL newer than this table.",
        f"Look up the number {number} in OpenSSL's x509_vfy.h.",
    )
