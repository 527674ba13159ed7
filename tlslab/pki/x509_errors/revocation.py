"""Errors of revocation: lists (CRL, RFC 5280) and online answers (OCSP, RFC 6960)."""

from __future__ import annotations

from tlslab.pki.explanation import Explanation

REVOCATION = {
    3: Explanation(
        "unable to get certificate CRL",
        "The issuer's revocation list could not be found.",
        "Revocation checking is on, and no list was given.",
        "Provide the CRL from the certificate's distribution point, or use OCSP.",
    ),
    5: Explanation(
        "unable to decrypt CRL's signature",
        "The signature on the revocation list could not be decrypted; only RSA can fail so.",
        "The list is damaged, or another key signed it.",
        "Fetch the list again.",
    ),
    8: Explanation(
        "CRL signature failure",
        "The signature on the revocation list is wrong.",
        "The list was changed, or another key signed it.",
        "Fetch the list again; treat it as forged until proven otherwise.",
    ),
    11: Explanation(
        "CRL is not yet valid",
        "The revocation list is dated in the future.",
        "This machine's clock is behind.",
        "Set the clock.",
    ),
    12: Explanation(
        "CRL has expired",
        "The revocation list is out of date.",
        "The CA stopped publishing, or an attacker withholds the newer list.",
        "Fetch the newest list; check that the CA still publishes.",
    ),
    15: Explanation(
        "format error in CRL's lastUpdate field",
        "The list's lastUpdate field is not a valid time.",
        "A broken tool wrote the list.",
        "Have the CA publish it again.",
    ),
    16: Explanation(
        "format error in CRL's nextUpdate field",
        "The list's nextUpdate field is not a valid time.",
        "A broken tool wrote the list.",
        "Have the CA publish it again.",
    ),
    23: Explanation(
        "certificate revoked",
        "The certificate was revoked by its issuer.",
        "Its key was stolen or lost, or it was replaced.",
        "Do not connect; the owner has to get a new certificate with a new key.",
    ),
    33: Explanation(
        "unable to get CRL issuer certificate",
        "The certificate of the list's issuer could not be found.",
        "The list is signed by another CA than the certificate.",
        "Provide the certificate of the CA that signs the list.",
    ),
    35: Explanation(
        "key usage does not include CRL signing",
        "The issuer's key usage does not allow it to sign revocation lists.",
        "A CA without cRLSign signed one.",
        "Issue the CA with cRLSign, or sign lists with another.",
    ),
    36: Explanation(
        "unhandled critical CRL extension",
        "The revocation list has a critical extension that is unknown to the verifier.",
        "A special kind of list, such as an indirect one.",
        "Use plain lists, or a verifier that knows the extension.",
    ),
    44: Explanation(
        "different CRL scope",
        "The revocation list does not cover this kind of certificate.",
        "The list is for CAs only, or for other reasons or distribution points.",
        "Provide the list that the certificate's distribution point names.",
    ),
    54: Explanation(
        "CRL path validation error",
        "The chain of the revocation list's issuer could not be verified.",
        "Another CA signed the list, and it is not trusted.",
        "Provide the chain of the list's issuer.",
    ),
    73: Explanation(
        "OCSP verification needed",
        "The application asks for an OCSP check.",
        "A signal to the application, not a failure in itself.",
        "Let the application check by OCSP and decide.",
    ),
    74: Explanation(
        "OCSP verification failed",
        "The OCSP check failed.",
        "The responder answered with an error, or its answer was invalid.",
        "Ask the responder again; check its certificate and clock.",
    ),
    75: Explanation(
        "OCSP unknown cert",
        "The OCSP responder does not know the certificate.",
        "The wrong responder was asked, or a forged certificate that the CA never issued.",
        "Check the OCSP URL; ask the CA about the serial number.",
    ),
    96: Explanation(
        "OCSP response(s) invalid",
        "The OCSP answer cannot be read.",
        "The responder or something in between sent no OCSP answer.",
        "Fetch the OCSP answer again and look at it.",
    ),
    97: Explanation(
        "OCSP response signature verification failure",
        "The signature on the OCSP answer is wrong.",
        "Another key than the issuer's or its delegate's signed it.",
        "Check the responder's certificate; it needs OCSP signing as extended key usage.",
    ),
    98: Explanation(
        "OCSP response not yet valid (contains a date in the future)",
        "The OCSP answer is dated in the future.",
        "This machine's clock is behind.",
        "Set the clock.",
    ),
    99: Explanation(
        "OCSP response has expired",
        "The OCSP answer is out of date.",
        "The server staples an old answer, or an attacker replays one from before the revocation.",
        "Let the server fetch a fresh answer.",
    ),
    100: Explanation(
        "no OCSP response available for certificate",
        "There is no OCSP answer for the certificate.",
        "The server does not staple, or stapled for another certificate.",
        "Switch on stapling at the server.",
    ),
    101: Explanation(
        "CRL verification failed",
        "The revocation list could not be verified.",
        "A fault in the list that has no number of its own.",
        "Fetch the list again and look at it with `openssl crl -text`.",
    ),
}
