"""Errors in what a single certificate says: its extensions, algorithms and form (RFC 5280)."""

from __future__ import annotations

from tlslab.pki.explanation import Explanation

CONTENTS = {
    34: Explanation(
        "unhandled critical extension",
        "An extension marked critical is unknown to the verifier.",
        "A special-purpose extension that this client does not implement.",
        "Issue without it, or mark it as not critical if clients may ignore it.",
    ),
    39: Explanation(
        "key usage does not include digital signature",
        "The key usage does not allow digital signatures.",
        "A key meant for encryption only is used to sign.",
        "Issue with digitalSignature in the key usage.",
    ),
    41: Explanation(
        "invalid or inconsistent certificate extension",
        "An extension is malformed, or contradicts another.",
        "A broken tool, or two extensions that exclude each other.",
        "Look at the extensions, and issue again by RFC 5280.",
    ),
    45: Explanation(
        "unsupported extension feature",
        "An extension uses a feature that OpenSSL does not support.",
        "A rare form of name or distribution point.",
        "Issue with the common form.",
    ),
    76: Explanation(
        "Cannot find certificate signature algorithm",
        "The signature's algorithm is unknown to this OpenSSL.",
        "A new or exotic algorithm, such as a post-quantum one on an old library.",
        "Use an algorithm that the client supports, or a newer client.",
    ),
    77: Explanation(
        "subject signature algorithm and issuer public key algorithm mismatch",
        "The signature's algorithm does not fit the issuer's key.",
        "The certificate says RSA and the issuer has an ECDSA key, say: damaged or forged.",
        "Have it issued again.",
    ),
    78: Explanation(
        "cert info signature and signature algorithm mismatch",
        "The signature's algorithm is named differently inside and outside the signed part.",
        "The certificate was tampered with, or a broken tool wrote it.",
        "Treat it as forged; have it issued again.",
    ),
    80: Explanation(
        "Path length invalid for non-CA cert",
        "A path length is given in a certificate that is not a CA.",
        "A profile for a CA was applied to a leaf.",
        "Leave the path length out of leaves (RFC 5280 section 4.2.1.9).",
    ),
    81: Explanation(
        "Path length given without key usage keyCertSign",
        "A path length is given, but the key usage lacks keyCertSign.",
        "An inconsistent CA profile.",
        "Add keyCertSign, or remove the path length.",
    ),
    82: Explanation(
        "Key usage keyCertSign invalid for non-CA cert",
        "The key usage has keyCertSign, but the certificate is not a CA.",
        "An inconsistent profile.",
        "Remove keyCertSign from leaves; set CA:TRUE for CAs.",
    ),
    83: Explanation(
        "Issuer name empty",
        "The issuer's name is empty.",
        "A CA without a subject signed it.",
        "Give the CA a name (RFC 5280 section 4.1.2.4).",
    ),
    84: Explanation(
        "Subject name empty",
        "The subject is empty, and there is no subject alternative name.",
        "A certificate for nobody: the request had no name.",
        "Issue with a subject alternative name.",
    ),
    85: Explanation(
        "Missing Authority Key Identifier",
        "The authority key identifier is missing.",
        "A hand-made CA without that extension; strict verifiers want it.",
        "Issue with the extension (RFC 5280 section 4.2.1.1).",
    ),
    86: Explanation(
        "Missing Subject Key Identifier",
        "The subject key identifier is missing.",
        "A hand-made CA without that extension; strict verifiers want it.",
        "Issue with the extension (RFC 5280 section 4.2.1.2).",
    ),
    87: Explanation(
        "Empty Subject Alternative Name extension",
        "The subject alternative name extension is there, but empty.",
        "A template with nothing to fill in.",
        "Put at least one name into it, or leave it out.",
    ),
    88: Explanation(
        "Subject empty and Subject Alt Name extension not critical",
        "The subject is empty, so the subject alternative name has to be critical, and is not.",
        "A tool that leaves out the subject but forgets the flag.",
        "Mark the extension critical (RFC 5280 section 4.2.1.6).",
    ),
    89: Explanation(
        "Basic Constraints of CA cert not marked critical",
        "A CA's basic constraints are not marked critical.",
        "A hand-made CA: old clients could ignore the extension.",
        "Issue the CA with critical basic constraints (RFC 5280 section 4.2.1.9).",
    ),
    90: Explanation(
        "Authority Key Identifier marked critical",
        "The authority key identifier is marked critical.",
        "A tool that marks every extension critical.",
        "Issue with the extension not critical (RFC 5280 section 4.2.1.1).",
    ),
    91: Explanation(
        "Subject Key Identifier marked critical",
        "The subject key identifier is marked critical.",
        "A tool that marks every extension critical.",
        "Issue with the extension not critical (RFC 5280 section 4.2.1.2).",
    ),
    92: Explanation(
        "CA cert does not include key usage extension",
        "A CA's certificate has no key usage.",
        "A hand-made CA, often from `openssl req -x509` with an old configuration.",
        "Issue the CA with keyCertSign and cRLSign.",
    ),
    93: Explanation(
        "Using cert extension requires at least X509v3",
        "The certificate has extensions but is not of version 3.",
        "A broken tool.",
        "Issue it as version 3 (RFC 5280 section 4.1.2.1).",
    ),
    94: Explanation(
        "Certificate public key has explicit ECC parameters",
        "The elliptic curve is spelled out by parameters, not named.",
        "An exported key in an old form; such curves can be crafted to forge signatures.",
        "Use a key on a named curve (RFC 5480 section 2.1.1).",
    ),
    102: Explanation(
        "Empty Authority Key Identifier",
        "The authority key identifier is there, but empty.",
        "A tool that writes the extension with nothing to put in.",
        "Put the issuer's key identifier into it.",
    ),
    103: Explanation(
        "Authority Key Identifier issuer and serial number must be paired",
        "The authority key identifier has an issuer without a serial number, or the reverse.",
        "A broken tool.",
        "Give both or neither (RFC 5280 section 4.2.1.1).",
    ),
    104: Explanation(
        "Duplicate extension",
        "The same extension is there twice.",
        "A tool that adds an extension which the request had already.",
        "Issue with each extension once (RFC 5280 section 4.2).",
    ),
}
