"""Errors of the path from the leaf to a trusted root: issuers, signatures, dates, names."""

from __future__ import annotations

from tlslab.pki.explanation import Explanation

PATH = {
    0: Explanation(
        "ok",
        "The certificate was accepted.",
        "Nothing went wrong.",
        "Nothing to do.",
    ),
    1: Explanation(
        "unspecified certificate verification error",
        "The verification failed without saying why.",
        "A callback or engine refused the certificate and set no reason.",
        "Look at the application's own verify callback.",
    ),
    2: Explanation(
        "unable to get issuer certificate",
        "The issuer of a certificate that came from the trust store is missing there.",
        "An intermediate was put into the trust store without the root above it.",
        "Put the root into the trust store, or allow partial chains.",
    ),
    4: Explanation(
        "unable to decrypt certificate's signature",
        "The signature on the certificate could not be decrypted; only RSA can fail so.",
        "The issuer's RSA key does not fit the signature, or the certificate is damaged.",
        "Fetch the certificate again, or have it issued again.",
    ),
    6: Explanation(
        "unable to decode issuer public key",
        "The public key in the issuer's certificate cannot be read.",
        "The key is damaged, or of an algorithm that this OpenSSL lacks.",
        "Have the issuer use a key type that the client supports.",
    ),
    7: Explanation(
        "certificate signature failure",
        "The signature on the certificate is wrong.",
        "It was changed after signing, or an impostor used the issuer's name without its key.",
        "Treat it as forged until proven otherwise; have it issued again.",
    ),
    9: Explanation(
        "certificate is not yet valid or the system clock is incorrect",
        "The certificate's validity starts in the future.",
        "This machine's clock is behind, or the certificate was issued without backdating.",
        "Set the clock; issue with a notBefore some time ago.",
    ),
    10: Explanation(
        "certificate has expired",
        "The certificate's validity has ended.",
        "Nobody renewed it in time, or this machine's clock is ahead.",
        "Renew the certificate, and automate that; check the clock.",
    ),
    13: Explanation(
        "format error in certificate's notBefore field",
        "The certificate's notBefore field is not a valid time.",
        "A broken tool wrote the certificate.",
        "Have it issued again with another tool.",
    ),
    14: Explanation(
        "format error in certificate's notAfter field",
        "The certificate's notAfter field is not a valid time.",
        "A broken tool wrote the certificate.",
        "Have it issued again with another tool.",
    ),
    17: Explanation(
        "out of memory",
        "OpenSSL ran out of memory while verifying.",
        "The machine or its memory limit is exhausted.",
        "Free memory or raise the limit; this says nothing of the certificate.",
    ),
    18: Explanation(
        "self-signed certificate",
        "The peer's certificate is signed by its own key and is not in the trust store.",
        "A self-signed certificate, as devices and quick set-ups make; or an interceptor.",
        "Use a certificate from a CA, or trust this very certificate after checking its "
        "fingerprint.",
    ),
    19: Explanation(
        "self-signed certificate in certificate chain",
        "The chain ends in a self-signed root that is not in the trust store.",
        "The peer belongs to a private CA that is not installed here; or an interceptor sent "
        "its own root.",
        "If the CA is meant to be trusted, install its root; otherwise you were right to refuse.",
    ),
    20: Explanation(
        "unable to get local issuer certificate",
        "The chain ends, and the next issuer is neither sent nor in the trust store.",
        "The root is not trusted here, the server forgot its intermediate, or an interceptor's "
        "CA is unknown.",
        "Let the server send its whole chain; install the root only if it is meant to be trusted.",
    ),
    21: Explanation(
        "unable to verify the first certificate",
        "The chain has one certificate, and nothing here can verify it.",
        "The server sent its leaf without the intermediate.",
        "Configure the server with the full chain (leaf, then intermediates).",
    ),
    22: Explanation(
        "certificate chain too long",
        "The chain is longer than the verifier allows.",
        "Too many intermediates, or a limit on depth that was set too low.",
        "Shorten the chain, or raise the verify depth.",
    ),
    24: Explanation(
        "issuer certificate doesn't have a public key",
        "The issuer's certificate has no public key.",
        "A damaged or deliberately malformed CA certificate.",
        "Replace the issuer's certificate.",
    ),
    25: Explanation(
        "path length constraint exceeded",
        "More CAs stand below a CA than its path length allows.",
        "A CA that may sign only leaves signed another CA: a mistake, or a stolen leaf key's work.",
        "Issue from a CA that is allowed to, or have the path length changed by its issuer.",
    ),
    26: Explanation(
        "unsuitable certificate purpose",
        "The certificate, or a CA above it, is not meant for this purpose.",
        "A client's certificate used by a server, or the other way round; see extended key usage.",
        "Issue a certificate from the profile for that role (serverAuth or clientAuth).",
    ),
    27: Explanation(
        "certificate not trusted",
        "The root is not marked as trusted for this purpose.",
        "The trust store has it, with trust settings that leave out this use.",
        "Change the trust settings of the root, if it is meant to be trusted.",
    ),
    28: Explanation(
        "certificate rejected",
        "The root is marked as rejected for this purpose.",
        "The trust store distrusts it explicitly.",
        "Do not override it: get a certificate from another CA.",
    ),
    29: Explanation(
        "subject issuer mismatch",
        "The issuer's name in the certificate is not the subject of the candidate issuer.",
        "A diagnostic while searching for the issuer; the wrong intermediate was sent.",
        "Send the intermediate that signed the leaf.",
    ),
    30: Explanation(
        "authority and subject key identifier mismatch",
        "The authority key identifier does not match the candidate issuer's key.",
        "The CA was re-created with a new key under its old name, and the old certificate was "
        "sent.",
        "Send or install the CA certificate whose subject key identifier matches.",
    ),
    31: Explanation(
        "authority and issuer serial number mismatch",
        "The issuer and serial number in the authority key identifier are another certificate's.",
        "The CA's certificate was renewed, and the leaf names the old one.",
        "Have the leaf issued again; prefer key identifiers alone.",
    ),
    32: Explanation(
        "key usage does not include certificate signing",
        "The issuer's key usage does not allow it to sign certificates.",
        "A leaf, or a CA with a wrong profile, was used to sign.",
        "Issue from a CA whose key usage has keyCertSign.",
    ),
    37: Explanation(
        "invalid non-CA certificate (has CA markings)",
        "A certificate that is not a CA has marks of one.",
        "An odd certificate between leaf and CA, from an old or broken tool.",
        "Issue it again as one or the other.",
    ),
    50: Explanation(
        "application verification failure",
        "The application refused the certificate by a rule of its own.",
        "A verify callback said no; pinning is a common one.",
        "Look for the rule in the application.",
    ),
    55: Explanation(
        "path loop",
        "The chain runs in a circle.",
        "Cross-signed CAs that vouch for each other, and no root that is trusted.",
        "Install the root that is meant, or send the chain without the cross-signed certificate.",
    ),
    62: Explanation(
        "hostname mismatch",
        "The certificate is genuine, but for another name.",
        "The name was reached by an alias that the certificate lacks; or somebody else answered.",
        "Have the name added to the certificate's subject alternative names, or connect by a "
        "name in it.",
    ),
    63: Explanation(
        "email address mismatch",
        "The certificate does not have the e-mail address asked for.",
        "The address is missing from the subject alternative names.",
        "Issue a certificate with the address.",
    ),
    64: Explanation(
        "IP address mismatch",
        "The certificate does not have the IP address that was connected to.",
        "Certificates name hosts; this one has DNS names only.",
        "Connect by name, or add the address to the subject alternative names as an IP address.",
    ),
    66: Explanation(
        "EE certificate key too weak",
        "The leaf's key is too short for the security level.",
        "An RSA key under 2048 bits (level 2), or an old curve.",
        "Issue a new certificate with a key of today's size, such as ECDSA P-256.",
    ),
    67: Explanation(
        "CA certificate key too weak",
        "A CA's key is too short for the security level.",
        "An old CA with RSA under 2048 bits.",
        "Move to a CA with a key of today's size.",
    ),
    68: Explanation(
        "CA signature digest algorithm too weak",
        "A CA signed with a hash that is too weak for the security level.",
        "SHA-1 or MD5, for which collisions are known.",
        "Have the chain issued again with SHA-256.",
    ),
    69: Explanation(
        "invalid certificate verification context",
        "The verifier was called wrongly.",
        "A bug in the application: no certificate was set.",
        "Correct the application; this says nothing of the certificate.",
    ),
    70: Explanation(
        "issuer certificate lookup error",
        "Looking up an issuer failed.",
        "The trust store's file or folder cannot be read.",
        "Check the path and its permissions.",
    ),
    79: Explanation(
        "invalid CA certificate",
        "A certificate that signed another is not a CA.",
        "The basic constraints lack CA:TRUE: somebody signs with a leaf's key, which is an "
        "attack or a wrong profile.",
        "Issue from a real CA; never accept this.",
    ),
    95: Explanation(
        "Raw public key untrusted, no trusted keys configured",
        "A raw public key came without a certificate, and none is configured as trusted.",
        "RFC 7250 raw public keys were negotiated with a peer that is not known.",
        "Configure the peer's public key, or use certificates.",
    ),
}
