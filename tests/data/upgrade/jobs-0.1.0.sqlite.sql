CREATE TABLE ocr_job_facts (
    name VARCHAR(32) NOT NULL,
    value VARCHAR(64) NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE ocr_job_runs (
    job_id VARCHAR(32) NOT NULL,
    run INTEGER NOT NULL,
    statuses TEXT NOT NULL,
    server VARCHAR(200) NOT NULL,
    finished_at FLOAT NOT NULL,
    PRIMARY KEY (job_id, run)
);
CREATE TABLE ocr_jobs (
    id VARCHAR(32) NOT NULL,
    caller VARCHAR(120) NOT NULL,
    status VARCHAR(12) NOT NULL,
    reason VARCHAR(200),
    priority VARCHAR(8) NOT NULL,
    inputs INTEGER NOT NULL,
    pages INTEGER,
    runs INTEGER,
    width INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    created_at FLOAT NOT NULL,
    started_at FLOAT,
    finished_at FLOAT,
    changed_at FLOAT NOT NULL,
    idempotency_key VARCHAR(64),
    fingerprint VARCHAR(64),
    PRIMARY KEY (id),
    UNIQUE (caller, idempotency_key)
);
CREATE INDEX ix_ocr_jobs_status ON ocr_jobs (status);
CREATE INDEX ocr_jobs_of_a_caller ON ocr_jobs (caller, created_at);
CREATE TABLE ocr_servers (
    id VARCHAR(200) NOT NULL,
    machine VARCHAR(64) NOT NULL,
    beat INTEGER NOT NULL,
    PRIMARY KEY (id)
);
