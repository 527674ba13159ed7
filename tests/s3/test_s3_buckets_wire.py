"""Buckets, their subresources and listings over a socket; and the command line clients."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import trio

B = "bucket-one"
CLI = Path(sys.executable).with_name("aws")


@pytest.fixture
async def made(served: Any) -> Any:
    await served.bucket(B)
    return served


async def test_buckets_are_made_found_and_removed(served: Any) -> None:
    def work(s3: Any) -> None:
        there = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-2"}}
        refused = served.refused
        s3.create_bucket(Bucket="mine-1", **there)
        again = partial(s3.create_bucket, Bucket="mine-1", **there)
        assert refused(again) == ("BucketAlreadyOwnedByYou", 409)
        elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": "eu-north-1"}}
        far = partial(s3.create_bucket, Bucket="far", **elsewhere)
        assert refused(far) == ("InvalidLocationConstraint", 400)
        bad = partial(s3.create_bucket, Bucket="a..b", **there)
        assert refused(bad) == ("InvalidBucketName", 400)
        s3.create_bucket(Bucket="mine-2", **there)
        assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == ["mine-1", "mine-2"]
        page = s3.list_buckets(MaxBuckets=1)
        assert [b["Name"] for b in page["Buckets"]] == ["mine-1"]
        rest = s3.list_buckets(ContinuationToken=page["ContinuationToken"])
        assert [b["Name"] for b in rest["Buckets"]] == ["mine-2"]
        assert s3.get_bucket_location(Bucket="mine-1")["LocationConstraint"] == "eu-west-2"
        head = s3.head_bucket(Bucket="mine-1")
        assert head["BucketRegion"] == "eu-west-2"
        s3.put_object(Bucket="mine-1", Key="k", Body=b"")
        assert refused(partial(s3.delete_bucket, Bucket="mine-1")) == ("BucketNotEmpty", 409)
        s3.delete_object(Bucket="mine-1", Key="k")
        s3.delete_bucket(Bucket="mine-1")
        assert refused(partial(s3.head_bucket, Bucket="mine-1")) == ("404", 404)
        assert refused(partial(s3.list_objects_v2, Bucket="mine-1")) == ("NoSuchBucket", 404)
        assert refused(partial(s3.get_object, Bucket="mine-1", Key="k")) == ("NoSuchBucket", 404)

    def other(s3: Any) -> None:
        there = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-2"}}
        taken = partial(s3.create_bucket, Bucket="mine-2", **there)
        assert served.refused(taken) == ("BucketAlreadyExists", 409)
        assert s3.list_buckets()["Buckets"] == []
        assert served.refused(partial(s3.list_objects_v2, Bucket="mine-2")) == ("AccessDenied", 403)
        assert served.refused(partial(s3.delete_bucket, Bucket="mine-2")) == ("AccessDenied", 403)

    await served.run(work)
    await served.run(other, "mallory")


async def test_settings_are_put_got_and_removed(made: Any) -> None:
    def work(s3: Any) -> None:
        refused = made.refused
        assert refused(partial(s3.get_bucket_policy, Bucket=B)) == ("NoSuchBucketPolicy", 404)
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": "s3:GetObject",
                    "Resource": f"arn:aws:s3:::{B}/*",
                }
            ],
        }
        s3.put_bucket_policy(Bucket=B, Policy=json.dumps(policy))
        assert json.loads(s3.get_bucket_policy(Bucket=B)["Policy"]) == policy
        assert s3.get_bucket_policy_status(Bucket=B)["PolicyStatus"]["IsPublic"]
        s3.put_object(Bucket=B, Key="k", Body=b"public")
        assert requests.get(f"{made.url}/{B}/k", timeout=5).content == b"public"
        s3.delete_bucket_policy(Bucket=B)
        assert requests.get(f"{made.url}/{B}/k", timeout=5).status_code == 403
        malformed = partial(s3.put_bucket_policy, Bucket=B, Policy="{")
        assert refused(malformed) == ("MalformedPolicy", 400)

        assert refused(partial(s3.get_bucket_tagging, Bucket=B)) == ("NoSuchTagSet", 404)
        tags = [{"Key": "a", "Value": "1"}]
        s3.put_bucket_tagging(Bucket=B, Tagging={"TagSet": tags})
        assert s3.get_bucket_tagging(Bucket=B)["TagSet"] == tags
        s3.delete_bucket_tagging(Bucket=B)
        assert refused(partial(s3.get_bucket_tagging, Bucket=B)) == ("NoSuchTagSet", 404)

        assert "Status" not in s3.get_bucket_versioning(Bucket=B)
        for status in ("Enabled", "Suspended"):
            s3.put_bucket_versioning(Bucket=B, VersioningConfiguration={"Status": status})
            assert s3.get_bucket_versioning(Bucket=B)["Status"] == status
        mfa = {"Status": "Enabled", "MFADelete": "Enabled"}
        wanted = partial(s3.put_bucket_versioning, Bucket=B, VersioningConfiguration=mfa)
        assert refused(wanted) == ("NotImplemented", 501)

    await made.run(work)


async def test_cors(made: Any) -> None:
    rule = {
        "AllowedOrigins": ["https://a.test"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 60,
    }
    preflight = {"Origin": "https://a.test", "Access-Control-Request-Method": "PUT"}

    def work(s3: Any) -> None:
        none = made.refused(partial(s3.get_bucket_cors, Bucket=B))
        assert none == ("NoSuchCORSConfiguration", 404)
        url = f"{made.url}/{B}/k"
        assert requests.options(url, headers=preflight, timeout=5).status_code == 403
        s3.put_bucket_cors(Bucket=B, CORSConfiguration={"CORSRules": [rule]})
        assert s3.get_bucket_cors(Bucket=B)["CORSRules"] == [rule]
        answer = requests.options(url, headers=preflight, timeout=5)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://a.test"
        other = requests.options(url, headers={**preflight, "Origin": "https://b.test"}, timeout=5)
        assert other.status_code == 403
        get = s3.generate_presigned_url("get_object", {"Bucket": B, "Key": "none"})
        for origin, allowed in (("https://a.test", True), ("https://b.test", False)):
            answer = requests.get(get, headers={"Origin": origin}, timeout=5)
            assert answer.status_code == 404
            assert ("access-control-allow-origin" in answer.headers) is allowed
        s3.delete_bucket_cors(Bucket=B)
        assert requests.options(url, headers=preflight, timeout=5).status_code == 403

    await made.run(work)


async def test_what_is_not_there_is_told_as_aws_tells_it(made: Any) -> None:
    def work(s3: Any) -> None:
        of = {"Bucket": B}
        for ask, expected in (
            (s3.get_public_access_block, ("NoSuchPublicAccessBlockConfiguration", 404)),
            (s3.get_object_lock_configuration, ("ObjectLockConfigurationNotFoundError", 404)),
            (s3.get_bucket_lifecycle_configuration, ("NoSuchLifecycleConfiguration", 404)),
            (s3.get_bucket_replication, ("ReplicationConfigurationNotFoundError", 404)),
            (s3.get_bucket_website, ("NoSuchWebsiteConfiguration", 404)),
        ):
            assert made.refused(partial(ask, **of)) == expected
        assert s3.get_bucket_request_payment(**of)["Payer"] == "BucketOwner"
        assert "LoggingEnabled" not in s3.get_bucket_logging(**of)
        assert s3.get_bucket_notification_configuration(**of)
        assert "Status" not in s3.get_bucket_accelerate_configuration(**of)
        rules = s3.get_bucket_ownership_controls(**of)["OwnershipControls"]["Rules"]
        assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        s3.put_object(**of, Key="k", Body=b"")
        for acl in (s3.get_bucket_acl(**of), s3.get_object_acl(**of, Key="k")):
            [grant] = acl["Grants"]
            assert grant["Permission"] == "FULL_CONTROL"
            assert grant["Grantee"]["ID"] == acl["Owner"]["ID"]
        setting = partial(s3.put_bucket_acl, **of, ACL="public-read")
        assert made.refused(setting) == ("NotImplemented", 501)
        lifecycle = {
            "Rules": [{"ID": "x", "Status": "Enabled", "Prefix": "", "Expiration": {"Days": 1}}]
        }
        setting = partial(
            s3.put_bucket_lifecycle_configuration, **of, LifecycleConfiguration=lifecycle
        )
        assert made.refused(setting) == ("NotImplemented", 501)

    await made.run(work)


KEYS = ["a", "a/1", "a/2", "a/b/1", "b", "c//d", "z", "ü"]


async def test_listings_page_and_group(made: Any) -> None:
    def work(s3: Any) -> None:
        for key in KEYS:
            s3.put_object(Bucket=B, Key=key, Body=key.encode())
        for size in (1, 2, 3, 1000):
            pages = s3.get_paginator("list_objects_v2").paginate(
                Bucket=B, PaginationConfig={"PageSize": size}
            )
            found = [o["Key"] for page in pages for o in page.get("Contents", [])]
            assert found == KEYS
            pages = s3.get_paginator("list_objects").paginate(
                Bucket=B, PaginationConfig={"PageSize": size}
            )
            assert [o["Key"] for page in pages for o in page.get("Contents", [])] == KEYS
            for name in ("list_objects_v2", "list_objects"):
                pages = list(
                    s3.get_paginator(name).paginate(
                        Bucket=B, Delimiter="/", PaginationConfig={"PageSize": size}
                    )
                )
                keys = [o["Key"] for page in pages for o in page.get("Contents", [])]
                groups = [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])]
                assert (keys, groups) == (["a", "b", "z", "ü"], ["a/", "c/"])
        within = s3.list_objects_v2(Bucket=B, Prefix="a/", Delimiter="/", FetchOwner=True)
        assert [o["Key"] for o in within["Contents"]] == ["a/1", "a/2"]
        assert "Owner" in within["Contents"][0]
        assert [p["Prefix"] for p in within["CommonPrefixes"]] == ["a/b/"]
        assert within["KeyCount"] == 3
        after = s3.list_objects_v2(Bucket=B, StartAfter="b")
        assert [o["Key"] for o in after["Contents"]] == ["c//d", "z", "ü"]
        nothing = s3.list_objects_v2(Bucket=B, MaxKeys=0)
        assert (nothing["KeyCount"], nothing["IsTruncated"]) == (0, False)
        for wrong in ({"ContinuationToken": "%%"}, {"MaxKeys": -1}, {"EncodingType": "x"}):
            refused = made.refused(partial(s3.list_objects_v2, Bucket=B, **wrong))
            assert refused == ("InvalidArgument", 400)

    await made.run(work)


async def test_versions_are_listed_in_pages(made: Any) -> None:
    def work(s3: Any) -> None:
        s3.put_bucket_versioning(Bucket=B, VersioningConfiguration={"Status": "Enabled"})
        expected = []
        for key in ("a", "b/1", "b/2"):
            ids = [s3.put_object(Bucket=B, Key=key, Body=b"")["VersionId"] for _ in range(3)]
            expected += [(key, version) for version in reversed(ids)]
        for size in (1, 2, 4, 1000):
            pages = s3.get_paginator("list_object_versions").paginate(
                Bucket=B, PaginationConfig={"PageSize": size}
            )
            found = [(v["Key"], v["VersionId"]) for p in pages for v in p.get("Versions", [])]
            assert found == expected
        latest = s3.list_object_versions(Bucket=B, Prefix="b/1")["Versions"]
        assert [v["IsLatest"] for v in latest] == [True, False, False]

    await made.run(work)


async def run(made: Any, *command: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    """A command with alice's credentials in its environment."""
    key = made.key()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_DEFAULT_REGION": "eu-west-2",
        "AWS_ENDPOINT_URL": made.url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return await trio.run_process(
        command, env=environment, capture_stdout=True, capture_stderr=True, check=check
    )


@pytest.mark.skipif(not CLI.exists(), reason="aws is not installed")
async def test_the_aws_command_line(made: Any, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(os.urandom(9 * 1024 * 1024))  # more than its threshold for parts
    await run(made, str(CLI), "s3", "cp", str(source), f"s3://{B}/dir/k", "--sse", "AES256")
    await run(made, str(CLI), "s3", "cp", f"s3://{B}/dir/k", str(target))
    assert target.read_bytes() == source.read_bytes()
    listed = await run(made, str(CLI), "s3", "ls", f"s3://{B}/", "--recursive")
    assert b"dir/k" in listed.stdout
    await run(made, str(CLI), "s3", "rm", f"s3://{B}", "--recursive")
    await run(made, str(CLI), "s3", "rb", f"s3://{B}")


async def test_curl_signs_by_itself(made: Any, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    key = made.key()
    signed = [curl, "-sS", "--fail-with-body", "--aws-sigv4", "aws:amz:eu-west-2:s3"]
    config = tmp_path / "credentials"  # not in the arguments, which everybody can see
    config.write_text(f'user = "{key.id}:{key.secret}"\n')
    signed += ["-K", str(config)]
    body = tmp_path / "body"
    body.write_bytes(os.urandom(200_000))
    signed += ["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]  # older ones do not add it
    put = await run(made, *signed, "-T", str(body), f"{made.url}/{B}/k", check=False)
    assert put.returncode == 0, put.stdout
    got = await run(made, *signed, f"{made.url}/{B}/k")
    assert got.stdout == body.read_bytes()


OPERATIONS = [
    ("list_buckets", {}),
    ("create_bucket", {"Bucket": "other"}),
    ("delete_bucket", {"Bucket": B}),
    ("list_objects_v2", {"Bucket": B}),
    ("put_object", {"Bucket": B, "Key": "k", "Body": b"new"}),
    ("get_object", {"Bucket": B, "Key": "k"}),
    ("delete_object", {"Bucket": B, "Key": "k"}),
    ("put_bucket_policy", {"Bucket": B, "Policy": "{}"}),
    ("create_multipart_upload", {"Bucket": B, "Key": "k"}),
    ("put_object_tagging", {"Bucket": B, "Key": "k", "Tagging": {"TagSet": []}}),
    ("copy_object", {"Bucket": B, "Key": "c", "CopySource": f"{B}/k"}),
]


@pytest.mark.parametrize(("operation", "parameters"), OPERATIONS, ids=[o for o, _ in OPERATIONS])
async def test_nobody_and_a_stranger_change_and_read_nothing(
    made: Any, operation: str, parameters: dict[str, Any]
) -> None:
    from botocore import UNSIGNED

    def put(s3: Any) -> None:
        s3.put_object(Bucket=B, Key="k", Body=b"precious")

    def ask(s3: Any) -> tuple[str, int]:
        refused: tuple[str, int] = made.refused(partial(getattr(s3, operation), **parameters))
        return refused

    def still(s3: Any) -> None:
        assert s3.get_object(Bucket=B, Key="k")["Body"].read() == b"precious"
        assert s3.list_objects_v2(Bucket=B)["KeyCount"] == 1

    await made.run(put)
    assert await made.run(ask, signature_version=UNSIGNED) == ("AccessDenied", 403)
    if operation not in {"list_buckets", "create_bucket"}:  # a stranger has his own
        assert await made.run(ask, "mallory") == ("AccessDenied", 403)
    await made.run(still)


async def test_rclone(made: Any, tmp_path: Path) -> None:
    rclone = shutil.which("rclone")
    if rclone is None:
        pytest.skip("rclone is not installed")
    key = made.key()
    remote = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ACCESS_KEY_ID": key.id,
        "SECRET_ACCESS_KEY": key.secret,
        "ENDPOINT": made.url,
        "REGION": "eu-west-2",
        "CHUNK_SIZE": "5M",
        "UPLOAD_CUTOFF": "5M",
        "FORCE_PATH_STYLE": "true",
    }
    environment = {f"RCLONE_CONFIG_T_{name}": value for name, value in remote.items()}
    environment |= {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RCLONE_CONFIG": "/dev/null"}
    source, target = tmp_path / "in", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    (source / "small ü.txt").write_bytes(b"text")
    (source / "deep" / "large").write_bytes(os.urandom(12 * 1024 * 1024))
    for command in (
        ["sync", str(source), f"t:{B}/dir"],
        ["check", str(source), f"t:{B}/dir", "--download"],
        ["copy", f"t:{B}/dir", f"t:{B}/copy"],
        ["sync", f"t:{B}/copy", str(target)],
        ["purge", f"t:{B}/dir"],
    ):
        done = await trio.run_process(
            [rclone, "--retries=1", "--low-level-retries=1", *command],
            env=environment,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    for path in ("small ü.txt", "deep/large"):
        assert (target / path).read_bytes() == (source / path).read_bytes()


async def test_s3cmd(made: Any, tmp_path: Path) -> None:
    s3cmd = shutil.which("s3cmd")
    if s3cmd is None:
        pytest.skip("s3cmd is not installed")
    key = made.key()
    config = tmp_path / "s3cfg"
    config.write_text(
        f"[default]\naccess_key = {key.id}\nsecret_key = {key.secret}\n"
        f"host_base = 127.0.0.1:{made.port}\nhost_bucket = 127.0.0.1:{made.port}\n"
        "bucket_location = eu-west-2\nuse_https = False\nmultipart_chunk_size_mb = 5\n"
    )
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(os.urandom(6 * 1024 * 1024))
    for command in (
        ["mb", "s3://made-by-s3cmd"],
        ["put", str(source), "s3://made-by-s3cmd/dir/k"],
        ["get", "s3://made-by-s3cmd/dir/k", str(target)],
        ["cp", "s3://made-by-s3cmd/dir/k", "s3://made-by-s3cmd/copy"],
        ["ls", "s3://made-by-s3cmd/"],
        ["del", "--recursive", "--force", "s3://made-by-s3cmd/"],
        ["rb", "s3://made-by-s3cmd"],
    ):
        done = await run(made, s3cmd, "-c", str(config), *command, check=False)
        assert done.returncode == 0, (command, done.stderr)
    assert target.read_bytes() == source.read_bytes()
