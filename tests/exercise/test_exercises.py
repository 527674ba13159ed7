"""The exercises, solved as their hints say and failed as a learner would; progress survives."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tlslab.errors import UsageError
from tlslab.exercise import EXERCISES, Progress
from tlslab.exercise.exercise import SECRETS


async def started(name: str, folder: Path) -> Path:
    await EXERCISES[name].start(folder)
    return folder


async def solved(name: str, folder: Path, answer: str | None) -> bool:
    return all(check.holds for check in await EXERCISES[name].check(folder, answer))


async def test_the_password_is_in_the_capture_and_nowhere_else(tmp_path: Path) -> None:
    folder = await started("find-the-password", tmp_path)
    password = re.search(rb"password=([\w-]+)", (folder / "login.pcapng").read_bytes())
    assert password is not None
    word = password[1].decode()
    assert await solved("find-the-password", folder, word)
    assert await solved("find-the-password", folder, f" {word}\n")
    assert not await solved("find-the-password", folder, word[:-1])
    others = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pcapng"]
    assert others
    assert not any(password[1] in path.read_bytes() for path in others)


async def test_the_careless_client_has_to_be_mended(tmp_path: Path) -> None:
    folder = await started("careless-client", tmp_path)
    client, name = folder / "client.py", "careless-client"

    async def checked(text: str) -> list[bool]:
        client.write_text(text)
        return [check.holds for check in await EXERCISES[name].check(folder, None)]

    careless = client.read_text()
    verify = re.sub(r"context\.verify_mode.*\n", "", careless)
    both = re.sub(r"context\.check_hostname.*\n", "", verify)
    assert await checked(careless) == [True, False, False]
    assert await checked(verify) == [True, True, False]
    assert await checked(both) == [True, True, True]


async def test_a_client_that_does_nothing_is_no_solution(tmp_path: Path) -> None:
    folder = await started("careless-client", tmp_path)
    (folder / "client.py").write_text("")
    assert [c.holds for c in await EXERCISES["careless-client"].check(folder, None)] == [False] * 3
    (folder / "client.py").unlink()
    with pytest.raises(UsageError):
        await EXERCISES["careless-client"].check(folder, None)


async def test_the_plain_disk_proves_which_is_encrypted(tmp_path: Path) -> None:
    folder = await started("which-is-encrypted", tmp_path)
    words = {}
    for disk in ("disk-a", "disk-b"):
        data = b"".join(path.read_bytes() for path in (folder / disk).rglob("*") if path.is_file())
        found = re.search(rb"code word: ([\w-]+)", data)
        words[disk] = found[1].decode() if found else None
    (plain,) = [disk for disk, word in words.items() if word]
    (encrypted,) = [disk for disk, word in words.items() if not word]
    assert await solved("which-is-encrypted", folder, f"{encrypted}:{words[plain]}")
    assert not await solved("which-is-encrypted", folder, f"{plain}:{words[plain]}")
    assert not await solved("which-is-encrypted", folder, f"{encrypted}:guess")


@pytest.mark.parametrize("name", ["find-the-password", "which-is-encrypted"])
async def test_an_answer_is_wanted(name: str, tmp_path: Path) -> None:
    folder = await started(name, tmp_path)
    with pytest.raises(UsageError):
        await EXERCISES[name].check(folder, None)


async def test_a_damaged_exercise_is_told(tmp_path: Path) -> None:
    folder = await started("find-the-password", tmp_path)
    (folder / SECRETS).write_text("{")
    with pytest.raises(UsageError) as caught:
        await EXERCISES["find-the-password"].check(folder, "x")
    assert caught.value.hint


def test_hints_lead_on_and_end(tmp_path: Path) -> None:
    for exercise in EXERCISES.values():
        assert len(exercise.hints) >= 3


def test_progress_survives_and_is_never_thrown_away(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    progress.of("x").hints = 2
    progress.of("x").solved = True
    progress.save()
    assert Progress(tmp_path).of("x").solved
    Progress(tmp_path).of("y").solved = True  # not saved
    assert not Progress(tmp_path).of("y").solved
    (tmp_path / "progress.json").write_text(json.dumps({"x": 7}))
    with pytest.raises(UsageError):
        Progress(tmp_path)
    assert (tmp_path / "progress.json").exists()
