"""A small client of S3 and KMS, just enough to store encrypted objects and have keys wrapped.

    settings.py  endpoints, region, credentials and trust, from options and the environment
    exchange.py  one signed request and its answer; refusals as errors
    s3.py        put and get an object, with metadata
    kms.py       data keys: GenerateDataKey and Decrypt

Path style, one connection for each request, Signature Version 4. It does not retry, follow
redirects, or upload in parts: who needs that has the SDKs.
"""

from tlslab.clientside.remote.exchange import ServiceError
from tlslab.clientside.remote.kms import KMSClient
from tlslab.clientside.remote.s3 import RemoteObject, S3Client, Stored
from tlslab.clientside.remote.settings import Endpoint, Settings

__all__ = [
    "Endpoint",
    "KMSClient",
    "RemoteObject",
    "S3Client",
    "ServiceError",
    "Settings",
    "Stored",
]
