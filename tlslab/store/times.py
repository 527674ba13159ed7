"""Times as the tables keep them: microseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: datetime) -> int:
    """The whole microseconds since 1970; exact, unlike `timestamp`."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(microseconds: int) -> datetime:
    """The time that `microseconds` gave."""
    return _EPOCH + timedelta(microseconds=microseconds)
