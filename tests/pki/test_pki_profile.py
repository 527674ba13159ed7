"""Profiles: the shipped ones, and strict reading of everybody else's."""

from __future__ import annotations

import dataclasses
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlslab.errors import UsageError
from tlslab.pki import KeyType, Kind, Profile
from tlslab.pki import profile as profile_module
from tlslab.pki.profile import MAX_PATH_LENGTH, MAX_PROFILE_SIZE
from tlslab.shipped import shipped

GOOD = {
    "title": '"A server"',
    "kind": '"server"',
    "key_type": '"ed25519"',
    "lifetime": '"30d"',
    "backdate": '"90m"',
    "key_usage": '["digital_signature"]',
    "extended_key_usage": '["server_auth", "client_auth"]',
    "crl_url": '"http://crl.test/a.crl"',
}


def parse(**changed: str | None) -> Profile:
    """The good profile with some keys changed, or left out (None)."""
    lines = [f"{key} = {value}" for key, value in (GOOD | changed).items() if value is not None]
    return Profile.parse("\n".join(lines).encode(), name="mine", source="mine.toml")


@pytest.mark.parametrize("path", sorted(shipped("certs").glob("*.toml")), ids=lambda p: p.stem)
def test_every_shipped_profile_loads_and_is_explained(path: Path) -> None:
    profile = Profile.named(path.stem)
    assert profile.name == path.stem
    assert profile == Profile.load(path)
    assert path.read_text().startswith("# ")


def test_the_four_kinds_are_shipped() -> None:
    assert [Profile.named(kind).kind for kind in Kind] == list(Kind)


def test_a_good_profile() -> None:
    assert parse() == Profile(
        name="mine",
        title="A server",
        kind=Kind.SERVER,
        key_type=KeyType.ED25519,
        lifetime=timedelta(days=30),
        backdate=timedelta(minutes=90),
        key_usage=("digital_signature",),
        extended_key_usage=("server_auth", "client_auth"),
        crl_url="http://crl.test/a.crl",
    )


def test_every_field_of_a_profile_is_a_key_of_its_file() -> None:
    fields = {field.name for field in dataclasses.fields(Profile)} - {"name"}
    assert set(profile_module._RULES) == fields


BAD = [
    ("title", "7"),
    ("title", '""'),
    ("title", '"a\\nb"'),
    ("kind", '"leaf"'),
    ("kind", '"SERVER"'),
    ("kind", '["server"]'),
    ("key_type", '"rsa-1024"'),
    ("key_type", "2048"),
    ("lifetime", "30"),
    ("lifetime", '"30"'),
    ("lifetime", '"0d"'),
    ("lifetime", '"-1d"'),
    ("lifetime", '"1.5d"'),
    ("lifetime", '"30 d"'),
    ("lifetime", '"30y"'),
    ("lifetime", '"30d\\n"'),
    ("lifetime", '"٣d"'),
    ("lifetime", '"36501d"'),
    ("lifetime", '"9999999999d"'),
    ("lifetime", '"99999999999d"'),
    ("backdate", "true"),
    ("key_usage", '"digital_signature"'),
    ("key_usage", '["digitalSignature"]'),
    ("key_usage", '["crl_sign", "crl_sign"]'),
    ("key_usage", "[1]"),
    ("key_usage", "[[]]"),
    ("key_usage", "[{}]"),
    ("extended_key_usage", '["server"]'),
    ("path_length", "true"),
    ("path_length", "-1"),
    ("path_length", "1.0"),
    ("path_length", f"{MAX_PATH_LENGTH + 1}"),
    ("path_length", "99999999999999999999"),
    ("crl_url", '"https://crl.test/"'),
    ("crl_url", '"crl.test"'),
    ("crl_url", '"http://"'),
    ("crl_url", '"http://[::1"'),
    ("crl_url", '"http://bücher.test/"'),
    ("crl_url", '"http://a.test/ b"'),
    ("ocsp_url", "1979-05-27"),
    ("issuer_url", "{}"),
]


@pytest.mark.parametrize(("key", "value"), BAD)
def test_a_bad_value_is_told_with_file_key_and_what_is_allowed(key: str, value: str) -> None:
    with pytest.raises(UsageError) as told:
        parse(**{key: value})
    assert told.value.message.startswith(f"mine.toml: {key} cannot be ")
    assert told.value.message.isprintable()
    assert (told.value.hint or "").startswith(f"{key} takes ")


@pytest.mark.parametrize("key", ["title", "kind", "key_type", "lifetime"])
def test_a_missing_key_is_told(key: str) -> None:
    with pytest.raises(UsageError, match=f"mine.toml: {key} is missing"):
        parse(**{key: None})


@pytest.mark.parametrize("key", ["backdate", "key_usage", "extended_key_usage", "crl_url"])
def test_the_others_may_be_missing(key: str) -> None:
    assert not getattr(parse(**{key: None}), key)


def test_an_unknown_key_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown key 'life_time'") as told:
        parse(life_time='"1d"')
    assert told.value.hint == "did you mean lifetime?"
    with pytest.raises(UsageError) as told:
        parse(zzz="1")
    assert "allowed are title, kind" in (told.value.hint or "")


def test_path_length_is_for_cas() -> None:
    assert parse(kind='"intermediate"', path_length="0").path_length == 0
    assert parse(kind='"root"', path_length=f"{MAX_PATH_LENGTH}").path_length == MAX_PATH_LENGTH
    with pytest.raises(UsageError, match="path_length is for CAs"):
        parse(path_length="0")


def test_the_longest_lifetime() -> None:
    assert parse(lifetime='"36500d"').lifetime == timedelta(days=36500)


@pytest.mark.parametrize(
    "data",
    [b"\xff", b"title", b"title = ", b"a=1\na=2", b"x = 2000-13-01", b"x = " + b"[" * 50_000],
)
def test_what_is_not_toml_is_told(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"^mine\.toml: not ") as told:
        Profile.parse(data, name="mine", source="mine.toml")
    assert "\n" not in told.value.message


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / ("x" * 300)):
        with pytest.raises(UsageError, match="cannot read the profile"):
            Profile.load(path)


def test_the_size_limit_from_both_sides(tmp_path: Path) -> None:
    text = "\n".join(f"{key} = {value}" for key, value in GOOD.items()).encode() + b"\n#"
    path = tmp_path / "big.toml"
    path.write_bytes(text.ljust(MAX_PROFILE_SIZE, b"."))
    assert Profile.load(path).title == "A server"
    path.write_bytes(text.ljust(MAX_PROFILE_SIZE + 1, b"."))
    with pytest.raises(UsageError, match="larger than any profile"):
        Profile.load(path)


@pytest.mark.parametrize("name", ["nope", "", "../certs/server", "server.toml", "/etc/passwd"])
def test_a_name_that_is_not_shipped_is_told(name: str) -> None:
    with pytest.raises(UsageError, match="there is no profile") as told:
        Profile.named(name)
    assert "client" in (told.value.hint or "")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_profile_or_the_users_mistake(data: bytes) -> None:
    with pytest.raises(UsageError):  # 200 random bytes never have the four keys that it takes
        Profile.parse(data, name="any", source="any")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(profile_module._RULES)), values)
def test_any_value_of_any_key_is_read_or_told(key: str, value: object) -> None:
    text = "\n".join(f"{name} = {good}" for name, good in GOOD.items())
    table = tomllib.loads(text) | {key: value}
    try:
        read = Profile(name="any", **profile_module._read_table(table, "any"))
    except UsageError as error:
        told = error.message
    else:
        told = key
        assert getattr(read, key) is not None
    assert key in told
