"""A body's hashes, computed while it is sealed and written: ETag, Content-MD5, checksum.

MD5 and SHA run at 0.6 to 1 GB/s on one core, sealing at ten times that. So long batches are hashed
in other threads than the one that seals and writes them, all of which release the interpreter's
lock: encryption then hides behind the hash that S3's ETag demands anyway.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from concurrent.futures import Future, ThreadPoolExecutor

from tlslab.store.checksums import Hasher
from tlslab.store.model import Checksum, ExpectedChecksum
from tlslab.store.refusals import Refused

PARALLEL_BYTES = 64 * 1024
"""From here on another thread is worth its handing over (about 30 µs)."""

DEFAULT_ALGORITHM = "CRC64NVME"
"""What S3 computes when no checksum is asked for."""


class Hashes:
    """The hashes of one body: `start` and `join` around each batch's other work, then `check`.

    Without `md5` no MD5 is computed, unless a Content-MD5 is to be compared.
    """

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        *,
        md5: bool,
        content_md5: str | None = None,
        expected: ExpectedChecksum | None = None,
    ) -> None:
        self._pool = pool
        self._content_md5 = content_md5
        self._expected = expected or ExpectedChecksum(DEFAULT_ALGORITHM)
        self._hasher = Hasher(self._expected.algorithm)
        wants_md5 = md5 or content_md5 is not None
        self._md5 = hashlib.md5(usedforsecurity=False) if wants_md5 else None
        self._is_etag = md5
        self._running: list[Future[None]] = []

    def start(self, data: bytes) -> None:
        """Begin to hash the next bytes; they must not change until `join`."""
        if len(data) < PARALLEL_BYTES:
            self._hasher.update(data)
            if self._md5 is not None:
                self._md5.update(data)
            return
        if self._md5 is not None:
            self._running.append(self._pool.submit(self._md5.update, data))
        self._running.append(self._pool.submit(self._hasher.update, data))

    def join(self) -> None:
        """Wait until what was begun is done."""
        running, self._running = self._running, []
        for future in running:
            future.result()

    def check(self) -> Checksum:
        """The checksum, once it and the MD5 are what they were to be. Raises Refused: BadDigest."""
        if self._content_md5 is not None:
            assert self._md5 is not None
            digest = base64.b64encode(self._md5.digest()).decode()
            if not hmac.compare_digest(digest, self._content_md5):
                raise Refused("BadDigest")
        value = self._hasher.digest()
        wanted = self._expected.value
        if callable(wanted):
            wanted = wanted()
        if wanted is not None and not hmac.compare_digest(wanted.encode(), value.encode()):
            raise Refused(
                "BadDigest",
                f"The {self._expected.algorithm} you specified did not match the calculated "
                "checksum.",
            )
        return Checksum(self._expected.algorithm, value)

    def etag(self) -> str:
        """MD5 of the bytes in hex; where it must tell nothing of them, as many random digits."""
        if self._is_etag and self._md5 is not None:
            return self._md5.hexdigest()
        return secrets.token_hex(16)
