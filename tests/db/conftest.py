"""The PostgreSQL server that the tests of accounts start, too."""

from tests.accounts.conftest import database, postgresql

__all__ = ["database", "postgresql"]
