"""How the tables of jobs came to be, step by step. See `airgap.db.migrations`."""

from __future__ import annotations

from airgap.db.migrations import Step, statements

_release_0_1_0 = statements(
    """CREATE TABLE IF NOT EXISTS ocr_jobs (
    id VARCHAR(32) NOT NULL, caller VARCHAR(120) NOT NULL, status VARCHAR(12) NOT NULL,
    reason VARCHAR(200), priority VARCHAR(8) NOT NULL, inputs INTEGER NOT NULL, pages INTEGER,
    runs INTEGER, width INTEGER NOT NULL, generation INTEGER NOT NULL, created_at FLOAT NOT NULL,
    started_at FLOAT, finished_at FLOAT, changed_at FLOAT NOT NULL, idempotency_key VARCHAR(64),
    fingerprint VARCHAR(64), PRIMARY KEY (id), UNIQUE (caller, idempotency_key))""",
    "CREATE INDEX IF NOT EXISTS ix_ocr_jobs_status ON ocr_jobs (status)",
    "CREATE INDEX IF NOT EXISTS ocr_jobs_of_a_caller ON ocr_jobs (caller, created_at)",
    """CREATE TABLE IF NOT EXISTS ocr_job_runs (
    job_id VARCHAR(32) NOT NULL, run INTEGER NOT NULL, statuses TEXT NOT NULL,
    server VARCHAR(200) NOT NULL, finished_at FLOAT NOT NULL, PRIMARY KEY (job_id, run))""",
    """CREATE TABLE IF NOT EXISTS ocr_servers (
    id VARCHAR(200) NOT NULL, machine VARCHAR(64) NOT NULL, beat INTEGER NOT NULL, PRIMARY KEY (id))""",
    """CREATE TABLE IF NOT EXISTS ocr_job_facts (
    name VARCHAR(32) NOT NULL, value VARCHAR(64) NOT NULL, PRIMARY KEY (name))""",
)

STEPS: tuple[Step, ...] = (_release_0_1_0,)
