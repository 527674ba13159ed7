"""Whether a certificate was taken back: what revocation lists and OCSP responses prove.

    answer.py    good, revoked or unknown, and why; the table of reasons
    crl.py       certificate revocation lists (RFC 5280 section 6.3)
    ocsp.py      OCSP responses (RFC 6960 section 3.2)

An unusable list or response proves nothing: its answer is `unknown`, with the rule that it breaks.
What to make of that is the policy's matter. Nothing is fetched here.
"""
