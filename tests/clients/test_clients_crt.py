"""AWS's Common Runtime, a client in C that many SDKs share: another signer, another chunker."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from botocore.exceptions import ClientError

s3transfer_crt = pytest.importorskip("s3transfer.crt", reason="s3transfer is not installed")
auth = pytest.importorskip("awscrt.auth", reason="awscrt is not installed")
session = pytest.importorskip("botocore.session", reason="botocore is not installed")

Payload: TypeAlias = Callable[[int], Path]
MIB = 2**20


def manager(service: Any, secret: str) -> Any:
    """A transfer manager, as boto3 builds it if asked for the runtime's client."""
    found = session.Session()
    found.set_credentials(service.key.id, secret)
    client = s3transfer_crt.create_s3_crt_client(
        region="eu-west-2",
        crt_credentials_provider=auth.AwsCredentialsProvider.new_static(service.key.id, secret),
        part_size=5 * MIB,
        use_ssl=service.secure,
        verify=str(service.ca_file),
    )
    where = {"endpoint_url": service.url, "region_name": "eu-west-2"}
    serializer = s3transfer_crt.BotocoreCRTRequestSerializer(found, where)
    return s3transfer_crt.CRTTransferManager(client, serializer)


@pytest.mark.parametrize("size", [11, 12 * MIB])
def test_files_go_up_and_come_down(
    service: Any, bucket: str, payload: Payload, tmp_path: Path, size: int
) -> None:
    source, key = payload(size), "dir/ü a+b(1)"
    with manager(service, service.key.secret) as transfer:
        transfer.upload(str(source), bucket, key).result()
    with manager(service, service.key.secret) as transfer:
        transfer.download(bucket, key, str(tmp_path / "back")).result()
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_another_secret_is_refused(service: Any, bucket: str, payload: Payload) -> None:
    with manager(service, "w" * 40) as transfer:
        future = transfer.upload(str(payload(10)), bucket, "k")
        with pytest.raises(ClientError) as caught:
            future.result()
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"
    with closing(service.client()) as client:
        assert "Contents" not in client.list_objects_v2(Bucket=bucket)
