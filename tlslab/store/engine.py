"""The object store as a service in this process: what S3 does, without HTTP.

    Foundation          database, files, keys, clock
    ├── Buckets         buckets and their settings
    │   Reading         objects found and opened
    └── Bodies          bodies taken in
        Objects         put, delete, tags, encryption of one object
        └── Multipart   uploads in parts
            Copying     copies between any two objects
            Listing     objects, versions and uploads, page by page
            Maintenance leftovers, rotation, rewrapping

The wire face only translates to it; the lab calls it directly. Authorisation to act on buckets and
objects is the face's; that to use a key of the KMS is asked here, of the KMS.

What encryption protects here, and what not: a thief of the disk and the database learns buckets,
keys, sizes and times (as with S3, names are not encrypted), but no content, content type, ETag,
tag, policy or user metadata. Whoever changes them cannot make the store hand out other bytes than
were put under that name; he can remove objects, or put back an older state of one.

Several processes may share one database and one place of files. Each write is one transaction, in
one order for all of them; blobs are never changed and never named twice.
"""

from __future__ import annotations

from tlslab.store.maintenance import Maintenance


class ObjectStore(Maintenance):
    """Buckets and objects, encrypted at rest."""
