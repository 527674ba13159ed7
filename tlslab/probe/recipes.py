"""Command lines for common clients: how each is told of the lab's CA, and how it is kept careful.

Every one was tried, or says that it was not.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One client: `command` for `tlslab probe --`, and what to know."""

    client: str
    command: str
    note: str = ""


RECIPES = (
    Recipe("curl", "curl -sS {url}", "takes the CA from CURL_CA_BUNDLE, which the probe sets"),
    Recipe("wget", "wget -q -O- --ca-certificate={ca} {url}"),
    Recipe(
        "OpenSSL s_client",
        "openssl s_client -quiet -connect 127.0.0.1:{port} -servername {host} -CAfile {ca} "
        "-verify_return_error -verify_hostname {host}",
        "without the last two options it verifies nothing that counts; -verify_hostname does not "
        "look at IP addresses, so it fails the two cases that ask for one (-verify_ip does)",
    ),
    Recipe(
        "Python urllib (ssl)",
        "python3 -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1])' {url}",
        "takes the CA from SSL_CERT_FILE",
    ),
    Recipe(
        "Python requests",
        "python3 -c 'import sys, requests; requests.get(sys.argv[1])' {url}",
        "takes the CA from REQUESTS_CA_BUNDLE",
    ),
    Recipe(
        "Python httpx",
        "python3 -c 'import sys, httpx; httpx.get(sys.argv[1])' {url}",
        "takes the CA from SSL_CERT_FILE",
    ),
    Recipe(
        "Python aiohttp",
        "python3 aiohttp_client.py {url}",
        "takes the CA from SSL_CERT_FILE; the script gets sys.argv[1]",
    ),
    Recipe(
        "Node",
        "node -e 'fetch(process.argv[1]).then(r => r.text())' {url}",
        "takes the CA from NODE_EXTRA_CA_CERTS",
    ),
    Recipe("git", "git ls-remote {url}", "takes the CA from GIT_SSL_CAINFO"),
    Recipe(
        "psql",
        "psql 'host={host} port={port} sslmode=verify-full sslrootcert={ca} sslnegotiation=direct'",
        "libpq 17 and newer: older ones speak TLS only after a request that is not TLS; not tried",
    ),
    Recipe(
        "aws CLI", "aws s3 ls --endpoint-url {url} --no-sign-request", "AWS_CA_BUNDLE; not tried"
    ),
    Recipe("Go programs", "./your-program {url}", "take the CA from SSL_CERT_FILE; not tried"),
    Recipe(
        "Java",
        "java -Djavax.net.ssl.trustStore=ca.p12 -Djavax.net.ssl.trustStorePassword=changeit "
        "YourClass {url}",
        "needs the CA in a keystore: keytool -importcert -file {ca} -keystore ca.p12; not tried",
    ),
)
"""In the order of their use."""
