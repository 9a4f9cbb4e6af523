CREATE TABLE page_counts (
    caller VARCHAR(120) NOT NULL,
    day DATE NOT NULL,
    pages INTEGER NOT NULL,
    PRIMARY KEY (caller, day)
);
CREATE TABLE users (
    id INTEGER NOT NULL,
    name VARCHAR(64) NOT NULL,
    password_hash VARCHAR(200) NOT NULL,
    role VARCHAR(8) NOT NULL,
    active BOOLEAN NOT NULL,
    token_version INTEGER NOT NULL,
    created_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (name)
);
CREATE TABLE api_keys (
    id VARCHAR(16) NOT NULL,
    user_id INTEGER NOT NULL,
    name VARCHAR(100) NOT NULL,
    secret_sha256 VARCHAR(64) NOT NULL,
    requests_per_minute INTEGER,
    pages_per_day INTEGER,
    created_at DATETIME NOT NULL,
    revoked_at DATETIME,
    PRIMARY KEY (id),
    FOREIGN KEY(user_id) REFERENCES users (id)
);
CREATE INDEX ix_api_keys_user_id ON api_keys (user_id);
