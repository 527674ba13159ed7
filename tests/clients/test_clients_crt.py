"""AWS's Common Runtime, a client in C that many SDKs share: another signer, another chunker."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

s3transfer_crt = pytest.importorskip("s3transfer.crt", reason="s3transfer is not installed")
pytest.importorskip("awscrt.s3", reason="awscrt is not installed")

Payload: TypeAlias = Callable[[int], Path]
MIB = 2**20


@pytest.fixture
def transfer(service: Any) -> Any:
    """A transfer manager, as boto3 builds one if asked for the runtime's client."""
    from awscrt.auth import AwsCredentialsProvider
    from botocore.session import Session

    session = Session()
    session.set_credentials(service.key.id, service.key.secret)
    arguments = {"endpoint_url": service.url, "region_name": "eu-west-2"}
    serializer = s3transfer_crt.BotocoreCRTRequestSerializer(session, arguments)
    client = s3transfer_crt.create_s3_crt_client(
        region="eu-west-2",
        crt_credentials_provider=AwsCredentialsProvider.new_static(
            service.key.id, service.key.secret
        ),
        part_size=5 * MIB,
        use_ssl=service.secure,
        verify=str(service.ca_file),
    )
    return s3transfer_crt.CRTTransferManager(client, serializer)


@pytest.mark.parametrize("size", [0, 11, 12 * MIB])
@pytest.mark.parametrize("key", ["k", "dir/ü a+b(1)"])
def test_files_go_up_and_come_down(
    service: Any, bucket: str, transfer: Any, payload: Payload, tmp_path: Path, size: int, key: str
) -> None:
    source = payload(size)
    with transfer:
        transfer.upload(str(source), bucket, key).result()
        transfer.download(bucket, key, str(tmp_path / "back")).result()
        assert (tmp_path / "back").read_bytes() == source.read_bytes()
        transfer.delete(bucket, key).result()
    with closing(service.client()) as client:
        assert "Contents" not in client.list_objects_v2(Bucket=bucket)


def test_another_secret_is_refused(service: Any, bucket: str, payload: Payload) -> None:
    from awscrt.auth import AwsCredentialsProvider
    from botocore.session import Session

    session = Session()
    session.set_credentials(service.key.id, "w" * 40)
    arguments = {"endpoint_url": service.url, "region_name": "eu-west-2"}
    serializer = s3transfer_crt.BotocoreCRTRequestSerializer(session, arguments)
    provider = AwsCredentialsProvider.new_static(service.key.id, "w" * 40)
    client = s3transfer_crt.create_s3_crt_client(
        region="eu-west-2", crt_credentials_provider=provider, verify=str(service.ca_file)
    )
    with s3transfer_crt.CRTTransferManager(client, serializer) as manager:
        with pytest.raises(Exception, match="SignatureDoesNotMatch|403"):
            manager.upload(str(payload(10)), bucket, os.urandom(4).hex()).result()
