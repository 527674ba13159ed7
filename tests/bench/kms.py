"""The KMS beside its peers: GenerateDataKey, Decrypt, Sign. Prints ratios of one run.

Usage: python -m tests.bench.kms [--seconds S] [--rounds N] [--json]

One signed request is sent again and again over eight connections. Ours decides by policy, checks
the key's state and writes an audit record durably for every one; the peers do none of it.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from tests.bench.load import Client, Figure, Prepared, compare, kms_request, median, wrk
from tests.bench.servers import Server, peer, tlslab

GOALS = {"GenerateDataKey: tlslab / moto": 10.0}


def main() -> None:
    """Run the rounds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=3, help="per figure and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    arguments = parser.parse_args()
    results: dict[str, list[Figure]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = [stack.enter_context(tlslab(Path(folder, "tlslab")))]
        for name in ("moto", "ministack"):
            found = stack.enter_context(peer(name, Path(folder, name)))
            servers += [found] if found else []
        prepared = {server.name: _requests(server) for server in servers}
        for number in range(arguments.rounds):
            for server in servers[:: -1 if number % 2 else 1]:
                for operation, request in prepared[server.name].items():
                    figure = wrk(server, [request], arguments.seconds)
                    results.setdefault(f"{operation}: {server.name}", []).append(figure)
                    print(f"{operation}: {server.name} {figure}", file=sys.stderr)
    figures = {name: median(values) for name, values in results.items()}
    if arguments.json:
        print(json.dumps({name: asdict(figure) for name, figure in figures.items()}))
        return
    for name, figure in figures.items():
        operation, _, server_name = name.partition(": ")
        if server_name != "tlslab":
            label = f"{operation}: tlslab / {server_name}"
            goal = f"  (goal {GOALS[label]:g})" if label in GOALS else ""
            print(f"{label:36} {compare(figures[f'{operation}: tlslab'], figure)}{goal}")


def _requests(server: Server) -> dict[str, Prepared]:
    client = Client(server)

    def ask(operation: str, **parameters: object) -> dict[str, str]:
        answer: dict[str, str] = json.loads(client.send(kms_request(server, operation, parameters)))
        return answer

    key = json.loads(client.send(kms_request(server, "CreateKey", {})))["KeyMetadata"]["KeyId"]
    signer = json.loads(
        client.send(
            kms_request(
                server, "CreateKey", {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}
            )
        )
    )["KeyMetadata"]["KeyId"]
    blob = ask("Encrypt", KeyId=key, Plaintext=base64.b64encode(b"x" * 32).decode())
    client.close()
    sign = {
        "KeyId": signer,
        "Message": base64.b64encode(b"message").decode(),
        "SigningAlgorithm": "ECDSA_SHA_256",
    }
    return {
        "GenerateDataKey": kms_request(
            server, "GenerateDataKey", {"KeyId": key, "KeySpec": "AES_256"}
        ),
        "Decrypt": kms_request(server, "Decrypt", {"CiphertextBlob": blob["CiphertextBlob"]}),
        "Sign": kms_request(server, "Sign", sign),
    }


if __name__ == "__main__":
    main()
