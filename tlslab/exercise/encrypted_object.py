"""Exercise: find out which of two stored objects is encrypted, and prove it."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import ClassVar

from tlslab.errors import UsageError
from tlslab.exercise.exercise import Exercise, is_right, remember
from tlslab.lab import open_lab
from tlslab.lab.evidence import Check

DISKS = ("disk-a", "disk-b")


class WhichIsEncrypted(Exercise):
    """Two disks from two stores, the same letter on each; one store encrypts."""

    id = "which-is-encrypted"
    title = "Which object is encrypted? Prove it"
    objective = (
        "disk-a and disk-b come from two stores that hold the same kind of letter. One store "
        "encrypts at rest, the other does not. Name the encrypted one, and prove it with the code "
        "word that stands in the letter on the other."
    )
    hints: ClassVar[tuple[str, ...]] = (
        "Encrypted bytes look like noise: they neither compress nor show words. "
        "`find disk-a disk-b -type f -size +3k -exec gzip -kv {} +` compares how they compress.",
        "`grep -ra 'code word' disk-a disk-b` searches both disks for readable text.",
        "The disk in which grep finds the line is the plain one. The answer is the other disk's "
        "name, a colon, and the word after 'code word:', such as disk-a:abc123.",
    )
    wants = "the encrypted disk and the code word of the other, as in disk-a:WORD"

    async def start(self, folder: Path) -> None:
        """Store a letter in an encrypting and in a plain store, and mix the disks up."""
        order = list(DISKS)
        secrets.SystemRandom().shuffle(order)
        word = ""
        async with open_lab(folder, "lab") as lab:
            for disk, encrypted in zip(order, (True, False), strict=True):
                store = await lab.store(f"{disk}.test", encrypted=encrypted)
                await store.make_bucket("letters")
                client = lab.client(disk, user=store.user("alice"))
                word = lab.canary("code word").text
                letter = f"Dear friend,\n{'nothing new from here. ' * 200}\ncode word: {word}\n"
                await client.put(store.url("/letters/letter.txt"), letter.encode())
                shutil.copytree(store.disk, folder / disk)
        shutil.rmtree(folder / "lab")
        remember(folder, encrypted=order[0], word=word)

    async def check(self, folder: Path, answer: str | None) -> list[Check]:
        """Compare both halves of the answer."""
        disk, colon, word = (answer or "").partition(":")
        if not colon or disk.strip() not in DISKS:
            raise UsageError(
                f"this exercise wants an answer: {self.wants}",
                hint=f"tlslab exercise check {self.id} --answer disk-a:WORD",
            )
        named = is_right(folder, "encrypted", disk)
        proved = is_right(folder, "word", word)
        return [
            Check(f"{disk.strip()} is the encrypted one", named, "it is" if named else "it is not"),
            Check("the code word proves it", proved, "it does" if proved else "it is not the word"),
        ]
