"""Recorded connections opened one after another; each may teach what the next resumes."""

from __future__ import annotations

from typing import Final

from tlslab.tls.decryption.opened import CannotDecrypt, Opened
from tlslab.tls.decryption.recording import TLS_1_3, Recording
from tlslab.tls.decryption.secrets import Secrets
from tlslab.tls.decryption.tls12 import open_tls12
from tlslab.tls.decryption.tls13 import open_tls13
from tlslab.tls.registry import version_name

TLS_1_2: Final = 0x0303


class Decryptor:
    """Opens connections with `secrets`. Give them in the order in which they were recorded.

    A TLS 1.2 connection that resumes an opened one is opened with its secret; so is one that
    resumes a session among `secrets`.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._sessions = dict(secrets.sessions)

    def open(self, to_server: bytes, to_client: bytes) -> Opened:
        """Open one connection from all bytes of its two directions, each from the first on.

        Raises `CannotDecrypt`, which says why it stays shut. Where a direction opens only in part,
        its `left` says so. Memory grows with the connection.
        """
        recording = Recording.read(to_server, to_client)
        version = recording.server_hello.selected_version
        if version == TLS_1_2:
            return open_tls12(recording, self._secrets, self._sessions)
        if version == TLS_1_3:
            return open_tls13(recording, self._secrets)
        raise CannotDecrypt(f"{version_name(version)} cannot be opened here")
