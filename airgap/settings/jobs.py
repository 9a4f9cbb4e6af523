"""Durable jobs."""

from __future__ import annotations

from pydantic import Field, SecretStr, model_validator

from airgap.settings.section import CommaSeparated, Section


class JobSettings(Section):
    """How many jobs wait, how large they are, how long they stay."""

    enable_jobs: bool = Field(True, description="Serve the routes of durable jobs.")
    max_jobs: int = Field(
        1000,
        ge=1,
        description="Unfinished jobs, over all callers; the next is answered 503 with Retry-After.",
    )
    max_jobs_per_caller: int = Field(
        100, ge=1, description="Unfinished jobs of one caller; the next is answered 429 with Retry-After."
    )
    job_max_unpacked_mb: int = Field(
        4096, ge=1, description="Most bytes that the ZIPs sent with one job may hold unpacked, in MiB."
    )
    result_ttl_hours: float = Field(
        168, gt=0, description="A finished job's files, results and rows are erased after this time."
    )
    webhook_allowlist: CommaSeparated = Field(
        (),
        description="Where a job's `webhook` may point, as in URL_FETCH_ALLOWLIST. Unset: nobody is told.",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        description="Signs what webhooks are sent, 24 characters or more; needed with WEBHOOK_ALLOWLIST.",
    )

    @model_validator(mode="after")
    def _webhooks_are_signed(self) -> JobSettings:
        secret = self.webhook_secret.get_secret_value() if self.webhook_secret else ""
        if self.webhook_allowlist and len(secret) < 24:
            raise ValueError("WEBHOOK_ALLOWLIST needs a WEBHOOK_SECRET of 24 characters or more")
        return self
