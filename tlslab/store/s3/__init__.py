"""The S3 API over HTTP, in front of the store's engine. It translates, and decides nothing.

A request passes through these in order:

    target.py          what it is aimed at: bucket, key, parameters
    fields.py          its header fields, those in a presigned query among them
    operations.py      which operation it asks for; all else is 501
    access.py          whether the caller may (permissions.py, condition_keys.py)
    handlers.py        who does it:
        buckets.py  settings.py                           buckets and their subresources
        objects.py  copying.py  deleting.py  posting.py   objects
        multipart.py  object_tags.py                      uploads in parts; tags
        listing.py                                        listings
    answers.py         what is answered, errors among it

    service.py         S3: the above put together
    call.py            the request, as an operation sees it
    writing.py         what all ways of making an object have in common
    sse.py digests.py attributes.py tags.py               header fields by meaning
    conditions.py ranges.py cors.py                       rules of HTTP
    xml.py form.py                                        bodies, untrusted and bounded
"""

from tlslab.store.s3.service import S3

__all__ = ["S3"]
