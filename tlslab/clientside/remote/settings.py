"""Where the services are, who asks, and whom to trust: from arguments, then the environment.

The names in the environment are those that AWS's own tools read. Secrets come from there alone,
never from a command line, which every user of a machine can see. Profiles and credential files are
not read.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.utils import CryptographyDeprecationWarning

from tlslab.errors import PKIError, UsageError
from tlslab.iam.signing import Credentials
from tlslab.pki import TrustStore
from tlslab.pki.files import read_file

_PORTS = {"http": 80, "https": 443}


def _clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Endpoint:
    """A service's address."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """From `https://host[:port]`. Raises UsageError for anything else."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        bare = parts.path in ("", "/") and not parts.query and not parts.fragment
        if parts.scheme not in _PORTS or not parts.hostname or not bare or "@" in parts.netloc:
            raise UsageError(
                f"{url!r} is not the URL of a service", hint="like https://localhost:8443"
            )
        return cls(parts.scheme, parts.hostname, port or _PORTS[parts.scheme])

    @property
    def secure(self) -> bool:
        """Whether it is reached by TLS."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The Host field: the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True)
class Settings:
    """Everything a request needs besides what it asks for.

    `trust` None means the operating system's roots; `now` is the clock that requests are signed by.
    """

    s3: Endpoint
    kms: Endpoint
    region: str
    credentials: Credentials
    trust: TrustStore | None = field(default=None, repr=False)
    now: Callable[[], datetime] = field(default=_clock, repr=False)

    @classmethod
    def load(
        cls,
        *,
        endpoint_url: str | None = None,
        kms_endpoint_url: str | None = None,
        region: str | None = None,
        ca_file: Path | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Settings:
        """Arguments go before the environment; without either, the endpoints are AWS's.

        Raises UsageError where something is missing or malformed, PKIError for an unusable CA file.
        """
        region = region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
        if not region:
            raise UsageError(
                "no region is known", hint="set AWS_REGION, or give --region, say eu-west-2"
            )

        def endpoint(service: str, given: str | None) -> Endpoint:
            for url in (
                given,
                environ.get(f"AWS_ENDPOINT_URL_{service.upper()}"),
                endpoint_url,
                environ.get("AWS_ENDPOINT_URL"),
            ):
                if url:
                    return Endpoint.parse(url)
            return Endpoint("https", f"{service}.{region}.amazonaws.com", 443)

        s3, kms = endpoint("s3", endpoint_url), endpoint("kms", kms_endpoint_url)
        bundle = ca_file or environ.get("AWS_CA_BUNDLE")
        return cls(
            s3=s3,
            kms=kms,
            region=region,
            credentials=Credentials(
                _needed(environ, "AWS_ACCESS_KEY_ID"),
                _needed(environ, "AWS_SECRET_ACCESS_KEY"),
                environ.get("AWS_SESSION_TOKEN") or None,
            ),
            trust=_read_bundle(Path(bundle)) if bundle and (s3.secure or kms.secure) else None,
        )


def _read_bundle(path: Path) -> TrustStore:
    data = read_file(path)
    with warnings.catch_warnings():
        # A system's bundle has old roots with oddities that are not for our user to mend.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        try:
            return TrustStore.from_pem(data)
        except PKIError as error:
            raise UsageError(f"{path}: {error.message}", hint=error.hint) from error


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise UsageError(
            f"the environment has no {name}",
            hint="export the credentials; `tlslab up` prints the lines to paste",
        )
    return value
