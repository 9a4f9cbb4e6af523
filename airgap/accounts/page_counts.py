"""How many pages an account has used up today, exactly, whoever counts and however many at once.

Pages are taken before they are read: a charge, under an id of its own, holds what was taken, so that it
can be raised, given back or settled later, and twice the same is once. Calls block: use threads.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import (
    Column,
    Connection,
    Date,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    select,
    update,
)

from airgap.db.upsert import insert_into

metadata = MetaData()
_pages = Table(
    "page_counts",
    metadata,
    Column("caller", String(120), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("pages", Integer, nullable=False),
)
_charges = Table(
    "page_charges",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("account", String(120), nullable=False),
    Column("day", Date, nullable=False, index=True),
    Column("pages", Integer, nullable=False),
)


class PageCounts:
    """The counts of all accounts in one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def used(self, account: str, day: date) -> int:
        query = select(_pages.c.pages).where(_pages.c.caller == account, _pages.c.day == day)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none() or 0

    def take(self, charge: str, account: str, day: date, pages: int, limit: int) -> bool:
        """Take `pages` more for this charge, all or none. False where fewer are left under `limit`."""
        with self._engine.begin() as connection:
            held = self._locked(connection, charge)
            return self._take(connection, charge, account, day, held, pages, limit)

    def raise_to(self, charge: str, account: str, day: date, pages: int, limit: int) -> bool:
        """As `take`, of what the charge holds less than `pages`; done twice it is done once."""
        with self._engine.begin() as connection:
            held = self._locked(connection, charge)
            more = max(0, pages - held)
            return not more or self._take(connection, charge, account, day, held, more, limit)

    def held(self, charge: str) -> int:
        """What the charge holds; 0 for none."""
        with self._engine.connect() as connection:
            query = select(_charges.c.pages).where(_charges.c.id == charge)
            return connection.execute(query).scalar_one_or_none() or 0

    def give_back(self, charge: str, pages: int) -> None:
        """Give back up to `pages` of what the charge holds."""
        with self._engine.begin() as connection:
            held = self._locked(connection, charge)
            self._set(connection, charge, max(0, held - pages))

    def settle(self, charge: str, pages: int) -> None:
        """End a charge that came to `pages`, fewer or more than were taken for it."""
        with self._engine.begin() as connection:
            self._locked(connection, charge)
            self._set(connection, charge, pages)
            connection.execute(delete(_charges).where(_charges.c.id == charge))

    def forget(self, before: date) -> None:
        """Drop charges of long ago, whose job or request is gone."""
        with self._engine.begin() as connection:
            connection.execute(delete(_charges).where(_charges.c.day < before))

    def _take(
        self, connection: Connection, charge: str, account: str, day: date, held: int, pages: int, limit: int
    ) -> bool:
        here = (_pages.c.caller == account) & (_pages.c.day == day)
        row = insert_into(self._engine, _pages).values(caller=account, day=day, pages=0)
        connection.execute(row.on_conflict_do_nothing())
        change = update(_pages).where(here, _pages.c.pages + pages <= limit)
        if connection.execute(change.values(pages=_pages.c.pages + pages)).rowcount != 1:
            return False
        held_now = {"account": account, "day": day, "pages": held + pages}
        entry = insert_into(self._engine, _charges).values(id=charge, **held_now)
        connection.execute(entry.on_conflict_do_update(index_elements=[_charges.c.id], set_=held_now))
        return True

    def _locked(self, connection: Connection, charge: str) -> int:
        """What the charge holds; nobody else changes it until the transaction ends."""
        if connection.dialect.name == "sqlite":  # the driver would begin with the first change only
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        query = select(_charges.c.pages).where(_charges.c.id == charge).with_for_update()
        return connection.execute(query).scalar_one_or_none() or 0

    @staticmethod
    def _set(connection: Connection, charge: str, pages: int) -> None:
        """Let the charge hold `pages`, and the account's day with it."""
        row = connection.execute(select(_charges).where(_charges.c.id == charge)).one_or_none()
        if row is None:
            return
        here = (_pages.c.caller == row.account) & (_pages.c.day == row.day)
        connection.execute(update(_pages).where(here).values(pages=_pages.c.pages + pages - row.pages))
        connection.execute(update(_charges).where(_charges.c.id == charge).values(pages=pages))
