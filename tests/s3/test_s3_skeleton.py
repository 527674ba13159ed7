"""The walking skeleton: create a bucket, put, get, list, delete, by boto3 over a socket."""

from __future__ import annotations

from typing import Any


async def test_create_put_get_list_delete(served: Any) -> None:
    def work(s3: Any) -> None:
        s3.create_bucket(
            Bucket="first", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"}
        )
        put = s3.put_object(Bucket="first", Key="a/b c", Body=b"hello", Metadata={"who": "me"})
        assert put["ServerSideEncryption"] == "AES256"
        assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"'
        got = s3.get_object(Bucket="first", Key="a/b c")
        assert got["Body"].read() == b"hello"
        assert got["Metadata"] == {"who": "me"}
        assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["first"]
        listed = s3.list_objects_v2(Bucket="first")
        assert [o["Key"] for o in listed["Contents"]] == ["a/b c"]
        s3.delete_object(Bucket="first", Key="a/b c")
        assert "Contents" not in s3.list_objects_v2(Bucket="first")
        s3.delete_bucket(Bucket="first")
        assert s3.list_buckets()["Buckets"] == []

    await served.run(work)
