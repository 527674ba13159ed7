"""Encrypted block volumes, their snapshots, and an embedded database, under keys of a KMS.

    volume.py      create, attach, read and write, detach
    snapshot.py    take, restore, copy to another region under another KMS key
    descriptor.py  what anyone may know of them, with the wrapped data key
    data_keys.py   what is asked of the KMS, on whose behalf
    device.py      a disk made of files: random access, durable and atomic flushes
    journal.py     what makes a flush whole or not at all
    tree.py        which version of each block is the present one
    cells.py       sealed blocks and nodes, and where each lies

    embedded_database.py   the same for a database that does its own sealing (SQLCipher)

Why authenticated cells and not AES-256-XTS. XTS keeps a block's size, and with it can tell nothing:
changed ciphertext decrypts to noise that is taken for data, 16 bytes at a time, an old block put
back is simply read, and equal writes to one place look equal. Here each block is sealed by
AES-256-GCM under a key of its own, and a tree of tags says which version is the present one, so
every changed, moved, dropped or outdated block is noticed when it is read. What is paid: 1.2 % more
space in each block and 0.4 % for the tree, twice the writing (the journal, which also makes flushes
atomic), and little CPU: sealing 4 KiB took 4.9 us where XTS took 4.2 on the same machine.

What is not noticed unless the caller of `attach` kept a `State` from later: the whole disk set back
to what it once was, and the last flush undone by removing its journal, which looks like a crash.
The sizes of things, and which blocks were ever written, are in the open. Plaintext and keys are in
memory while a volume is attached: what the operating system swaps out or dumps is its own to
encrypt.

It knows the envelope, callers and a KMS's two operations, not which KMS it is.
"""

from tlslab.volume.cells import BLOCK_BYTES, MAX_VOLUME_BYTES
from tlslab.volume.data_keys import KMS
from tlslab.volume.descriptor import Descriptor, read_descriptor
from tlslab.volume.journal import State
from tlslab.volume.snapshot import copy_snapshot, restore_snapshot, take_snapshot
from tlslab.volume.volume import Volume, attach, create_volume

__all__ = [
    "BLOCK_BYTES",
    "KMS",
    "MAX_VOLUME_BYTES",
    "Descriptor",
    "State",
    "Volume",
    "attach",
    "copy_snapshot",
    "create_volume",
    "read_descriptor",
    "restore_snapshot",
    "take_snapshot",
]
