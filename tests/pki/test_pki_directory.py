"""The CA on disk: modes, nothing overwritten, nothing half-written, damage told."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import PKIError, UsageError
from tlslab.pki import CADirectory, KeyType
from tlslab.pki.directory import _LABEL, default_label
from tlslab.pki.files import (
    MAX_FILE_SIZE,
    PRIVATE_FILE,
    create_folder,
    is_file,
    read_file,
    write_new,
)


@pytest.fixture
def made(tmp_path: Path) -> CADirectory:
    return CADirectory.init(tmp_path / "ca", name="disk")


def tree(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Every path below `folder`, hidden ones too, with its mode and content."""
    return {
        str(path.relative_to(folder)): (
            stat.S_IMODE(path.stat().st_mode),
            path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(folder.rglob("*"))
    }


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    bytecode = sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # an interpreter may take half a file for a whole one
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = bytecode


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_modes_whatever_the_umask(tmp_path: Path) -> None:
    with umask(0):
        made = CADirectory.init(tmp_path / "ca")
        made.issue("shop.test")
        made.issue("api.test", out=tmp_path / "out" / "api")
    modes = {name: mode for name, (mode, _) in tree(tmp_path).items()}
    for name, mode in modes.items():
        private = name.endswith(("key", "key.pem"))
        folder = (tmp_path / name).is_dir()
        assert mode == (0o700 if folder else 0o600 if private else 0o644), name
    assert sum(name.endswith(("key", "key.pem")) for name in modes) == 4
    assert "ca/issued/api.test/key.pem" not in modes


def test_what_is_issued_is_there_when_opened_again(
    made: CADirectory, openssl_verify: Callable[..., int]
) -> None:
    issued = made.issue("shop.test", lifetime=timedelta(days=3), key_type=KeyType.ED25519)
    again = CADirectory(made.path)
    assert again.name == "disk"
    assert again.labels() == ["shop.test"]
    credential = again.credential("shop.test")
    assert credential.key_pem == issued.credential.key_pem
    assert credential.chain == issued.credential.chain == again.chain("shop.test")
    assert openssl_verify(again.authority().root_pem, credential.chain) == 0
    assert again.chain("root") == (again.root,)
    assert again.authority().root_key is None
    assert again.authority(with_root_key=True).root_key is not None


def test_the_root_key_can_be_locked_away(made: CADirectory) -> None:
    (made.path / "root.key").unlink()
    assert CADirectory(made.path).issue("shop.test").label == "shop.test"
    with pytest.raises(UsageError, match="no file"):
        made.authority(with_root_key=True)


def test_nothing_is_overwritten(made: CADirectory, tmp_path: Path) -> None:
    made.issue("shop.test")
    before = tree(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("mine")
    for attempt in (
        lambda: CADirectory.init(made.path),
        lambda: CADirectory.init(tmp_path / "file"),
        lambda: CADirectory.init(tmp_path / "link"),
        lambda: made.issue("shop.test"),
        lambda: made.issue("other.test", out=made.path),
        lambda: made.issue("other.test", out=tmp_path / "file"),
        lambda: made.issue("other.test", label="shop.test"),
    ):
        with pytest.raises(UsageError) as told:
            attempt()
        assert told.value.hint
    (tmp_path / "link").unlink()
    (tmp_path / "file").unlink()
    assert tree(tmp_path) == before


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir(mode=0o755)
    CADirectory.init(tmp_path / "ca")
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700


def test_a_full_disk_leaves_nothing_behind(made: CADirectory, tmp_path: Path) -> None:
    made.issue("first.test")
    before = tree(tmp_path)
    with files_end_at(100):
        for attempt in (
            lambda: CADirectory.init(tmp_path / "second"),
            lambda: made.issue("shop.test"),
            lambda: write_new(tmp_path / "root.pem", b"x" * 101, mode=PRIVATE_FILE),
        ):
            with pytest.raises(PKIError, match="cannot write"):
                attempt()
    assert tree(tmp_path) == before
    with files_end_at(1000), pytest.raises(PKIError):  # room for the leaf, not for its chain
        made.issue("shop.test", out=tmp_path / "out")
    assert tree(tmp_path) == before
    made.issue("shop.test")  # and the next attempt, with room, succeeds


POWER_CUTS = """
import os, sys
from pathlib import Path
from tlslab.pki import CADirectory

really_sync = os.fsync

def init_dying_at(step, folder):
    calls = 0
    def fsync(handle):
        nonlocal calls
        calls += 1
        if calls == step:
            os._exit(9)  # at once: no cleanup runs
        really_sync(handle)
    os.fsync = fsync
    CADirectory.init(folder)
    os._exit(0)

for step in range(1, 100):
    child = os.fork()
    if child == 0:
        init_dying_at(step, Path(sys.argv[1]) / f"ca{step}")
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
print(step)
"""


def test_a_process_that_dies_at_any_step_leaves_a_whole_ca_or_none(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", POWER_CUTS, str(tmp_path)], check=True, capture_output=True
    )
    last = int(done.stdout)
    assert 4 < last < 20
    whole = []
    for step in range(1, last + 1):
        if (tmp_path / f"ca{step}").exists():
            CADirectory(tmp_path / f"ca{step}").authority(with_root_key=True)
            whole.append(step)
    assert last in whole
    assert 1 not in whole


def test_a_failed_out_folder_takes_its_record_along(made: CADirectory, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(PKIError):
        made.issue("shop.test", out=tmp_path / "file" / "below")
    assert made.labels() == []


def test_write_new_never_replaces(tmp_path: Path) -> None:
    path = tmp_path / "root.pem"
    write_new(path, b"one", mode=PRIVATE_FILE)
    with pytest.raises(UsageError):
        write_new(path, b"two", mode=PRIVATE_FILE)
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["root.pem"]
    with pytest.raises(PKIError):
        write_new(tmp_path / "none" / "root.pem", b"one", mode=PRIVATE_FILE)


def test_create_folder_is_private_inside(tmp_path: Path) -> None:
    create_folder(tmp_path / "a" / "b", {"secret": (b"s", PRIVATE_FILE)})
    assert tree(tmp_path) == {
        "a": (0o700, None),
        "a/b": (0o700, None),
        "a/b/secret": (0o600, b"s"),
    }


def test_a_key_that_others_may_read_is_refused(made: CADirectory) -> None:
    (made.path / "intermediate.key").chmod(0o640)
    with pytest.raises(PKIError, match="others may read") as told:
        made.issue("shop.test")
    assert "chmod 600" in (told.value.hint or "")
    (made.path / "intermediate.key").chmod(0o400)
    assert made.issue("shop.test")


@pytest.mark.parametrize("name", ["root.pem", "intermediate.pem"])
def test_a_damaged_certificate_is_told_with_its_file(made: CADirectory, name: str) -> None:
    (made.path / name).write_bytes(b"garbage")
    with pytest.raises(PKIError, match=name):
        CADirectory(made.path)


def test_a_damaged_key_is_told_with_its_file(made: CADirectory) -> None:
    (made.path / "intermediate.key").write_bytes(b"garbage")
    with pytest.raises(PKIError, match=r"intermediate\.key"):
        made.issue("shop.test")


def test_files_of_two_cas_do_not_mix(made: CADirectory, tmp_path: Path) -> None:
    other = CADirectory.init(tmp_path / "other", name="disk")
    key = made.path / "intermediate.key"
    key.write_bytes((other.path / "intermediate.key").read_bytes())
    with pytest.raises(PKIError, match="does not belong"):
        made.issue("shop.test")
    certificate = made.path / "intermediate.pem"
    certificate.write_bytes((other.path / "intermediate.pem").read_bytes())
    with pytest.raises(PKIError, match="not signed by the root"):
        CADirectory(made.path)


def test_what_is_not_there_is_told(made: CADirectory, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, made.path / "root.pem", tmp_path / ("x" * 300)):
        with pytest.raises(UsageError, match="there is no CA"):
            CADirectory(path)
    with pytest.raises(UsageError, match="no certificate called"):
        made.chain("../root")
    made.issue("shop.test", out=tmp_path / "out")
    with pytest.raises(UsageError, match="not kept"):
        made.credential("shop.test")


def test_labels_are_never_paths(made: CADirectory) -> None:
    for label in ("../x", "a/b", ".hidden", "", "root", "intermediate", "x" * 64, "a\nb", "-x"):
        with pytest.raises(UsageError, match="label"):
            made.issue("shop.test", label=label)
    assert made.issue("shop.test", label="x" * 63).label == "x" * 63


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Shop.test", "shop.test"),
        ("*.shop.test", "_.shop.test"),
        ("::1", "1"),
        ("Alice Smith", "alice-smith"),
        ("../../etc", "etc"),
        ("---", "unnamed"),
    ],
)
def test_default_labels(name: str, label: str) -> None:
    assert default_label(name) == label


@given(st.text().filter(lambda text: text.lower() not in ("root", "intermediate")))
def test_every_name_has_a_safe_label(name: str) -> None:
    try:
        label = default_label(name)
    except UsageError:
        assert name.lower().lstrip(".-") in ("root", "intermediate")
    else:
        assert _LABEL.fullmatch(label)
        assert "/" not in label
        assert len(label.encode()) <= 255


def test_the_size_limit_of_files_from_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"x" * MAX_FILE_SIZE)
    assert len(read_file(path)) == MAX_FILE_SIZE
    path.write_bytes(b"x" * (MAX_FILE_SIZE + 1))
    with pytest.raises(UsageError, match="larger"):
        read_file(path)
    assert not is_file(tmp_path / ("x" * 300))


def test_a_larger_limit_from_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(b"x" * 10)
    assert len(read_file(path, limit=10)) == 10
    with pytest.raises(UsageError, match="larger"):
        read_file(path, limit=9)


def test_what_is_no_file_is_told_as_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        read_file(tmp_path)
    with pytest.raises(UsageError, match="there is no file") as caught:
        read_file(tmp_path / "none")
    assert caught.value.hint
    with pytest.raises(UsageError, match="larger"):
        read_file(Path("/dev/zero"))
