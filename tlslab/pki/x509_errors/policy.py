"""Errors of rarer rules: name constraints, policies, proxies, Suite B, DANE, transparency."""

from __future__ import annotations

from tlslab.pki.explanation import Explanation

POLICY = {
    38: Explanation(
        "proxy path length constraint exceeded",
        "More proxy certificates are below this one than it allows.",
        "A proxy certificate (RFC 3820) issued too deep.",
        "Issue from one that is higher up.",
    ),
    40: Explanation(
        "proxy certificates not allowed, please set the appropriate flag",
        "The chain has a proxy certificate, and these are not allowed.",
        "A leaf signed another certificate as its deputy (RFC 3820), as in grid computing.",
        "Allow proxy certificates, if that is meant; otherwise refuse.",
    ),
    42: Explanation(
        "invalid or inconsistent certificate policy extension",
        "A policy extension is malformed, or contradicts another.",
        "A broken tool.",
        "Issue with consistent certificate policies (RFC 5280 section 4.2.1.4).",
    ),
    43: Explanation(
        "no explicit policy",
        "An explicit policy is demanded, and no policy is valid for the whole chain.",
        "A CA in the chain does not carry the policy that the verifier wants.",
        "Use a chain that is issued under the policy.",
    ),
    46: Explanation(
        "RFC 3779 resource not subset of parent's resources",
        "The address blocks in the certificate go beyond its issuer's.",
        "RFC 3779 resources, as in routing security, that the issuer does not own.",
        "Issue within the parent's resources.",
    ),
    47: Explanation(
        "permitted subtree violation",
        "A name is outside what a CA in the chain may vouch for.",
        "The CA's name constraints permit other domains or addresses only.",
        "Issue from a CA that may vouch for this name.",
    ),
    48: Explanation(
        "excluded subtree violation",
        "A name is among those that a CA in the chain must not vouch for.",
        "The CA's name constraints exclude this domain or address.",
        "Issue from a CA that may vouch for this name.",
    ),
    49: Explanation(
        "name constraints minimum and maximum not supported",
        "A name constraint uses minimum or maximum, which nobody supports.",
        "A CA made by a broken tool; RFC 5280 forbids these fields.",
        "Issue the CA again without them.",
    ),
    51: Explanation(
        "unsupported name constraint type",
        "A name constraint is on a kind of name that OpenSSL cannot check.",
        "A CA that constrains a rare kind of name.",
        "Constrain DNS names, addresses, e-mail or directory names.",
    ),
    52: Explanation(
        "unsupported or invalid name constraint syntax",
        "A name constraint is malformed.",
        "A CA made by a broken tool, or a constraint such as `*.shop.test` in place of "
        "`shop.test`.",
        "Issue the CA again with a valid constraint (RFC 5280 section 4.2.1.10).",
    ),
    53: Explanation(
        "unsupported or invalid name syntax",
        "A name in the certificate is malformed, so that constraints cannot be checked.",
        "A name with an unexpected character or form.",
        "Issue with a valid name.",
    ),
    56: Explanation(
        "Suite B: certificate version invalid",
        "Suite B demands certificates of version 3.",
        "An old certificate in a chain that must satisfy RFC 6460.",
        "Issue as version 3.",
    ),
    57: Explanation(
        "Suite B: invalid public key algorithm",
        "Suite B allows elliptic-curve keys only.",
        "An RSA key in a chain that must satisfy RFC 6460.",
        "Use ECDSA P-256 or P-384.",
    ),
    58: Explanation(
        "Suite B: invalid ECC curve",
        "Suite B allows only the curves P-256 and P-384.",
        "Another curve in a chain that must satisfy RFC 6460.",
        "Use ECDSA P-256 or P-384.",
    ),
    59: Explanation(
        "Suite B: invalid signature algorithm",
        "Suite B allows only ECDSA with SHA-256 or SHA-384.",
        "Another signature in a chain that must satisfy RFC 6460.",
        "Have the chain signed with the hash that fits the curve.",
    ),
    60: Explanation(
        "Suite B: curve not allowed for this LOS",
        "The curve is not allowed at the Suite B level asked for.",
        "P-256 where the 192-bit level demands P-384, say.",
        "Use the curve of that level, or ask for the other level.",
    ),
    61: Explanation(
        "Suite B: cannot sign P-384 with P-256",
        "Suite B forbids signing a P-384 key with a P-256 key.",
        "The CA is weaker than what it signs.",
        "Issue from a CA with P-384.",
    ),
    65: Explanation(
        "no matching DANE TLSA records",
        "None of the TLSA records in DNS matches the certificate.",
        "The certificate was renewed and the DNS record was not; or somebody else answered.",
        "Publish a TLSA record for the new key before using it (RFC 7671).",
    ),
    71: Explanation(
        "Certificate Transparency required, but no valid SCTs found",
        "Certificate Transparency is demanded, and no valid proof came with the certificate.",
        "A private CA, which logs nothing; or a certificate issued in secret.",
        "Use a CA that logs, or do not demand proofs of private names.",
    ),
    72: Explanation(
        "proxy subject name violation",
        "A proxy certificate's subject is not its issuer's with one name added.",
        "A proxy certificate that breaks RFC 3820.",
        "Issue the proxy certificate again.",
    ),
}
