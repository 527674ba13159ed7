"""Key logs in the NSS format, by which Wireshark decrypts a capture.

One line per secret: label, client random, secret (draft-ietf-tls-keylogfile, now RFC 9850). Who
holds these lines reads the connection, so they never appear in a repr. Knows nothing of TLS.
"""

from __future__ import annotations

from collections.abc import Callable


class KeyLog:
    """Collects the secrets of the connections it is given to; `sink` also gets each line."""

    def __init__(self, sink: Callable[[str], None] | None = None) -> None:
        self.lines: list[str] = []
        self._sink = sink

    def append(self, line: bytes) -> None:
        """Add one line, without its newline."""
        text = line.decode("ascii")
        self.lines.append(text)
        if self._sink is not None:
            self._sink(text)

    @property
    def text(self) -> str:
        """The content of a key log file: every line ends with a newline."""
        return "".join(f"{line}\n" for line in self.lines)

    def __repr__(self) -> str:
        return f"<KeyLog of {len(self.lines)} secrets>"
