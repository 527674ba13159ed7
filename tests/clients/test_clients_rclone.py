"""rclone, which signs with AWS's SDK for Go."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Run: TypeAlias = Callable[..., str]
Payload: TypeAlias = Callable[[int], Path]
Rclone: TypeAlias = Callable[..., str]
MIB = 2**20


@pytest.fixture
def rclone(run: Run) -> Rclone:
    """Run rclone with a remote `box:` that is the service."""

    def rclone(service: Any, *arguments: str | Path, fails: bool = False, **remote: str) -> str:
        settings = {
            "type": "s3",
            "provider": "Other",
            "access_key_id": service.key.id,
            "secret_access_key": service.key.secret,
            "region": "eu-west-2",
            "location_constraint": "eu-west-2",
            "endpoint": service.url,
        } | remote
        environment = {f"RCLONE_CONFIG_BOX_{name.upper()}": v for name, v in settings.items()}
        common = ["--config", "", "--ca-cert", service.ca_file, "--retries", "1",
                  "--low-level-retries", "1"]  # fmt: skip
        return run(service, "rclone", *common, *arguments, environment=environment, fails=fails)

    return rclone


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in ("one", "dir/two", "dir/ü ñ+&=#?", "dir/deeper/(x)~'!", "dir/100%"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (root / "big").write_bytes(os.urandom(6 * MIB))
    return root


@pytest.mark.parametrize("version", ["v4", "v2"])
def test_a_tree_is_copied_and_checked(
    service: Any, bucket: str, rclone: Rclone, tree: Path, tmp_path: Path, version: str
) -> None:
    remote = {
        "upload_cutoff": "5Mi",
        "chunk_size": "5Mi",
        "v2_auth": "true" if version == "v2" else "false",
    }
    rclone(service, "copy", tree, f"box:{bucket}/copy", **remote)
    rclone(service, "check", tree, f"box:{bucket}/copy", "--download", **remote)
    rclone(service, "copy", f"box:{bucket}/copy", tmp_path / "back", **remote)
    files = sorted(p.relative_to(tree) for p in tree.rglob("*") if p.is_file())
    assert files == sorted(
        p.relative_to(tmp_path / "back") for p in (tmp_path / "back").rglob("*") if p.is_file()
    )
    for name in files:
        assert (tree / name).read_bytes() == (tmp_path / "back" / name).read_bytes()


def test_sync_moves_only_what_changed(
    service: Any, bucket: str, rclone: Rclone, tree: Path
) -> None:
    rclone(service, "sync", tree, f"box:{bucket}")
    (tree / "one").write_text("changed")
    (tree / "dir/two").unlink()
    rclone(service, "sync", tree, f"box:{bucket}")
    found = json.loads(rclone(service, "lsjson", "-R", "--files-only", f"box:{bucket}"))
    assert {item["Path"] for item in found} == {
        p.relative_to(tree).as_posix() for p in tree.rglob("*") if p.is_file()
    }
    assert rclone(service, "cat", f"box:{bucket}/one") == "changed"
    assert rclone(service, "cat", "--offset", "2", "--count", "3", f"box:{bucket}/one") == "ang"


def test_within_the_service(service: Any, bucket: str, rclone: Rclone, tree: Path) -> None:
    rclone(service, "copy", tree, f"box:{bucket}/a")
    rclone(service, "moveto", f"box:{bucket}/a/one", f"box:{bucket}/b/un")
    rclone(service, "copy", f"box:{bucket}/a", f"box:{bucket}/c")
    rclone(service, "purge", f"box:{bucket}/a")
    listed = rclone(service, "lsf", "-R", "--files-only", f"box:{bucket}").splitlines()
    assert "b/un" in listed
    assert "c/big" in listed
    assert not [name for name in listed if name.startswith("a/")]


def test_encryption(
    secure_service: Any, secure_bucket: str, rclone: Rclone, tree: Path, tmp_path: Path
) -> None:
    key = os.urandom(16).hex()
    mine = {"sse_customer_algorithm": "AES256", "sse_customer_key": key}
    target = f"box:{secure_bucket}/mine"
    rclone(secure_service, "copy", tree, target, **mine)
    rclone(secure_service, "check", "--download", tree, target, **mine)
    assert rclone(secure_service, "cat", f"{target}/one", **mine) == "one"
    # A refused HEAD is to rclone an object that is not there, and that no error.
    assert rclone(secure_service, "cat", f"{target}/one") == ""
    rclone(secure_service, "copy", tree, f"box:{secure_bucket}/s3", server_side_encryption="AES256")
    assert rclone(secure_service, "cat", f"box:{secure_bucket}/s3/one") == "one"


def test_a_link(service: Any, bucket: str, rclone: Rclone, tree: Path, run: Run) -> None:
    rclone(service, "copy", tree, f"box:{bucket}")
    url = rclone(service, "link", "--expire", "10m", f"box:{bucket}/dir/ü ñ+&=#?").strip()
    found = run(service, "curl", "-sS", "--cacert", service.ca_file, url)
    assert found == "dir/ü ñ+&=#?"
