"""State in a database: SQLite by default, PostgreSQL by URL, the same code on both.

    engine.py     opening a database by its URL, durable and private
    database.py   reads beside each other; writes one at a time, many to a commit

`kms` and `store` keep their tables in it. It knows none of them, and nothing of what they mean.
"""

from tlslab.database.database import Database
from tlslab.database.engine import DatabaseUnavailable, erasing

__all__ = ["Database", "DatabaseUnavailable", "erasing"]
