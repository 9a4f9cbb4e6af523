"""How the tables of accounts came to be, step by step. See `airgap.db.migrations`."""

from __future__ import annotations

from airgap.db.migrations import Step, statements

_release_0_1_0 = statements(
    """CREATE TABLE IF NOT EXISTS users (
    id {serial}, name VARCHAR(64) NOT NULL, password_hash VARCHAR(200) NOT NULL,
    role VARCHAR(8) NOT NULL, active BOOLEAN NOT NULL, token_version INTEGER NOT NULL,
    created_at {timestamp} NOT NULL, PRIMARY KEY (id), UNIQUE (name))""",
    """CREATE TABLE IF NOT EXISTS api_keys (
    id VARCHAR(16) NOT NULL, user_id INTEGER NOT NULL, name VARCHAR(100) NOT NULL,
    secret_sha256 VARCHAR(64) NOT NULL, requests_per_minute INTEGER, pages_per_day INTEGER,
    created_at {timestamp} NOT NULL, revoked_at {timestamp}, PRIMARY KEY (id),
    FOREIGN KEY(user_id) REFERENCES users (id))""",
    "CREATE INDEX IF NOT EXISTS ix_api_keys_user_id ON api_keys (user_id)",
    """CREATE TABLE IF NOT EXISTS page_counts (
    caller VARCHAR(120) NOT NULL, day DATE NOT NULL, pages INTEGER NOT NULL, PRIMARY KEY (caller, day))""",
)

# Pages are taken from a quota before they are read. Keys without a quota of their own share their user's.
_pages_are_taken_beforehand = statements(
    """CREATE TABLE page_charges (
    id VARCHAR(100) NOT NULL, account VARCHAR(120) NOT NULL, day DATE NOT NULL,
    pages INTEGER NOT NULL, PRIMARY KEY (id))""",
    "CREATE INDEX ix_page_charges_day ON page_charges (day)",
    """INSERT INTO page_counts (caller, day, pages)
    SELECT 'user:' || k.user_id, c.day, SUM(c.pages) FROM page_counts c
    JOIN api_keys k ON c.caller = 'key:' || k.id WHERE k.pages_per_day IS NULL
    GROUP BY k.user_id, c.day""",
    """DELETE FROM page_counts WHERE caller IN
    (SELECT 'key:' || id FROM api_keys WHERE pages_per_day IS NULL)""",
)

# Persons of the site's issuer: a digest of the issuer and of its own name of them.
_persons_of_an_issuer = statements(
    "ALTER TABLE users ADD COLUMN subject VARCHAR(64)",
    "CREATE UNIQUE INDEX ix_users_subject ON users (subject)",
)

# What was read for whom, as counts; a job has one row, which grows.
_usage_is_kept = statements(
    """CREATE TABLE usage_events (
    id {serial}, caller VARCHAR(120) NOT NULL, kind VARCHAR(16) NOT NULL,
    prompt_chars BIGINT NOT NULL, completion_chars BIGINT NOT NULL,
    prompt_tokens BIGINT NOT NULL, completion_tokens BIGINT NOT NULL,
    input_bytes BIGINT NOT NULL, pages BIGINT NOT NULL, job VARCHAR(64),
    created_at {timestamp} NOT NULL, PRIMARY KEY (id), UNIQUE (job))""",
    "CREATE INDEX ix_usage_events_caller ON usage_events (caller)",
    "CREATE INDEX ix_usage_events_created_at ON usage_events (created_at)",
)

STEPS: tuple[Step, ...] = (
    _release_0_1_0,
    _pages_are_taken_beforehand,
    _persons_of_an_issuer,
    _usage_is_kept,
)
