"""Settings from the environment, validated, frozen.

Every setting has one name, in capitals in the environment and in lower case here; a value that is
unknown or malformed stops the start with a message that names it. `docs/configuration.md` is made
from this file (`python -m config > docs/configuration.md`) and a test holds the two together.

This module imports nothing heavy: no engine, no torch, no web framework.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from airgap.core.document import Mode
from airgap.core.errors import ConfigurationError, InvalidOption
from airgap.core.languages import language_code
from airgap.core.replaced_settings import adopted

BACKENDS = ("auto", "vllm", "transformers", "openai", "rapidocr", "fake")

# (base_size, image_size, crop_mode) of the authors' configuration → the mode it is known by.
_MODES: dict[tuple[int, int, bool], Mode] = {
    (512, 512, False): "tiny",
    (640, 640, False): "small",
    (1024, 1024, False): "base",
    (1280, 1280, False): "large",
    (1024, 640, True): "gundam",
}

_SQLITE = ("sqlite:", "sqlite+aiosqlite:", "sqlite+pysqlite:")
_NOT_THROUGH_ENGINE_ARGS = {"trust_remote_code", "model", "tokenizer", "code_revision", "download_dir"}

CommaSeparated = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """All that a site can set. Empty variables count as unset."""

    model_config = SettingsConfigDict(
        frozen=True, env_ignore_empty=True, extra="ignore", case_sensitive=False
    )

    host: str | None = Field(
        None,
        description="Address to listen on. Unset: 127.0.0.1, this machine alone, until AUTH_ENABLED=1 or "
        "ALLOW_ANONYMOUS=1; then 0.0.0.0.",
    )
    allow_anonymous: bool = Field(
        False, description="Anybody who reaches the server may use it without a login, and that is meant."
    )
    publish_address: str | None = Field(
        None,
        description="Where docker-compose.yml publishes the gateway; the server inside reads it to know how "
        "open it is. An address other than 127.0.0.1 needs AUTH_ENABLED=1 or ALLOW_ANONYMOUS=1.",
    )
    trusted_hosts: CommaSeparated = Field(
        (),
        description="Names under which the server is reached (`ocr.example.org`, `*.example.org`; `*` is "
        "any). Unset: with accounts any; without them addresses, names without a dot, and those that end in "
        "`.local`, `.internal`, `.home.arpa` or `.localhost`.",
    )
    port: int = Field(8000, ge=1, le=65535, description="Port to listen on.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="How much to log.")
    log_format: Literal["text", "json"] = Field(
        "text", description="`json` writes one object per line, each with its request id."
    )
    data_dir: Path = Field(
        Path("data"), description="The one writable folder: uploads while they are read, caches, results."
    )

    backend: str = Field(
        "auto",
        description="Which engine reads: `auto`, `vllm`, `transformers`, `openai` or `rapidocr`. `auto` "
        "takes vLLM where a CUDA GPU, vLLM and a valid MODEL_PATH are there, else the embedded CPU engine. "
        "A named engine that cannot start stops the start. Several, as in `openai,vllm,rapidocr`: the first "
        "that can read does, and results name the one that did. `fake` reads nothing and is for tests of "
        "clients.",
    )
    model_path: Path | None = Field(None, description="Folder on local disk with the model's files.")
    model_id: str = Field(
        "deepseek-ai/DeepSeek-OCR", description="The name the model goes by in answers; never looked up."
    )
    llm_prompt: str | None = Field(None, description="Prompt where a request names none.")
    languages: CommaSeparated = Field(
        (),
        description="Languages the site expects, comma-separated codes or names: `ru,chi_tra,German`.",
    )
    gpu_mem_utilization: float = Field(
        0.75, gt=0, le=1, description="Most of the GPU's memory, as a share, that the engine may take."
    )
    torch_dtype: Literal["bf16", "fp16", "fp32"] = Field(
        "bf16", description="Number format of the weights; `bfloat16`, `float16`, `float32` say the same."
    )
    use_flash_attention: Literal["auto", "true", "false"] = Field(
        "auto",
        description="`auto` tries it and falls back with a line in the log, `true` fails loudly, `false` "
        "leaves it out of the decoder and of the vision towers.",
    )
    vision_dtype: Literal["same", "fp32"] = Field(
        "same",
        description="BACKEND=transformers: `fp32` keeps the vision towers in float32, where 16 bits make a "
        "model repeat itself.",
    )
    torch_device: Literal["auto", "cuda", "cpu"] = Field(
        "auto",
        description="BACKEND=transformers: where the model runs. `auto` takes a CUDA GPU if there is one.",
    )
    tensor_parallel_size: int = Field(
        1,
        ge=1,
        description="GPUs that share one copy of the model: 1, or 2 (its 10 heads divide no further).",
    )
    data_parallel_size: int = Field(
        1,
        ge=1,
        description="BACKEND=vllm: engines side by side in this server, each with its own GPU, or two.",
    )
    distributed_executor_backend: Literal["mp", "ray", "uni"] | None = Field(
        None, description="vLLM's own executor; `ray` spans several nodes. Unset: vLLM chooses."
    )
    kv_cache_dtype: Literal["auto", "fp8"] = Field(
        "auto",
        description="BACKEND=vllm: `fp8` halves the cache that a page takes; needs compute capability 8.9.",
    )
    quantization: Literal["fp8"] | None = Field(
        None,
        description="BACKEND=vllm: `fp8` halves most of the weights while they load. Unset: as they are.",
    )
    max_num_seqs: Annotated[int, Field(ge=1)] | Literal["memory"] | None = Field(
        None,
        description="BACKEND=vllm: pages in one step of the decoder. `memory`: as many as the cache holds, "
        "at most MAX_CONCURRENCY. Unset: MAX_CONCURRENCY, on GPUs below 16 GiB as `memory`.",
    )
    vllm_engine_args: dict[str, Any] = Field(
        {},
        description="Further arguments of vLLM's AsyncEngineArgs, as a JSON object.",
    )
    max_model_len: int = Field(8192, ge=1024, description="Tokens of prompt and answer together.")
    max_new_tokens: int = Field(8192, ge=1, description="Upper bound of `max_tokens`, and its default.")
    crop_mode: bool = Field(True, description="Default mode: tile large pages (with BASE_SIZE, IMAGE_SIZE).")
    base_size: int = Field(1024, description="Default mode: side of the global view in pixels.")
    image_size: int = Field(640, description="Default mode: side of a tile in pixels.")
    max_crops: int = Field(6, ge=2, le=9, description="Most tiles of a page in gundam mode.")

    llm_base_url: str | None = Field(
        None,
        description="BACKEND=openai: address of a server that speaks OpenAI's API, up to the version, such "
        "as `http://gpu-box:8000/v1`.",
    )
    llm_api_key: SecretStr | None = Field(None, description="BACKEND=openai: the key that server asks for.")
    llm_model: str | None = Field(
        None, description="BACKEND=openai: the model to ask for. Unset: the first one that server lists."
    )
    llm_server: Literal["auto", "vllm", "llama.cpp", "airgap-ocr", "other"] = Field(
        "auto",
        description="BACKEND=openai: what kind of server it is. `vllm` and `airgap-ocr` are sent the "
        "no-repeat rule and keep special tokens; the others get OpenAI's own fields alone.",
    )
    llm_ca_file: Path | None = Field(
        None, description="BACKEND=openai: certificates (PEM) to trust in place of the system's."
    )
    fake_seconds_per_page: float = Field(
        0, ge=0, description="How long BACKEND=fake takes over a page, for tests of clients."
    )
    max_concurrency: int | None = Field(
        None,
        ge=1,
        description="Pages in work at once. Unset: 100 for each engine of vLLM, the cores on a CPU.",
    )
    num_workers: int | None = Field(
        None,
        ge=1,
        description="Threads and rendering processes for the work before the engine. Unset: cores.",
    )
    max_queue: int = Field(
        512, ge=1, description="Requests in work or waiting; the next is answered 503 with Retry-After."
    )
    page_timeout_seconds: float = Field(300, gt=0, description="Longest time one page may take to be read.")

    enable_pdf_support: bool = Field(
        True, description="Read PDFs. Off, routes of one file answer 501; batches and jobs name it as failed."
    )
    pdf_max_pages: int = Field(5000, ge=1, description="Most pages read from one document.")
    pdf_over_max_pages: Literal["refuse", "first"] = Field(
        "refuse",
        description="A document with more pages than PDF_MAX_PAGES: `refuse` it, or read the `first` so many "
        "and say so in a warning.",
    )
    pdf_page_timeout_seconds: float = Field(
        30, gt=0, description="Longest time one PDF page may take to draw."
    )
    pdf_page_memory_mb: int = Field(
        2048, ge=256, description="Memory bound of a process that draws PDF pages."
    )
    image_timeout_seconds: float = Field(
        30, gt=0, description="Longest time one picture, or a frame of one, may take to decode."
    )
    image_memory_mb: int = Field(
        1280, ge=256, description="Memory bound of a process that decodes pictures. 100 megapixels fit."
    )
    pixel_budget_megapixels: int | None = Field(
        None,
        ge=1,
        description="Pages that are decoded and not yet read, over all requests, in millions of pixels of 4 "
        "bytes. A larger page is let in alone. Unset: an eighth of the memory of container or machine.",
    )
    max_upload_mb: int = Field(200, ge=1, description="Most bytes of one request, in MiB.")
    max_image_pixels: int = Field(
        100_000_000, ge=10_000, description="Most pixels of one picture or rendered page."
    )

    export_workers: int = Field(
        2, ge=1, description="Processes that write results (DOCX, searchable PDF, ZIP and the like) at once."
    )
    export_timeout_seconds: float = Field(
        120, gt=0, description="Longest time one result may take to be written, besides 5 s for each page."
    )
    export_memory_mb: int = Field(1280, ge=512, description="Memory bound of a process that writes results.")
    page_drafts: bool = Field(
        True,
        description="The page keeps what was read and corrected in the browser until it is cleared or its "
        "user logs out. 0: it keeps nothing there, and a reload loses it.",
    )
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

    trusted_proxies: CommaSeparated = Field(
        (),
        description="Gateways whose `X-Forwarded-For` is believed: addresses, networks or host names, "
        "comma-separated. Unset: nobody's, and all behind one gateway count as one client.",
    )
    cors_allow_origins: CommaSeparated = Field(
        (), description="Origins whose pages may call this server, comma-separated; `*` for any."
    )
    metrics_enabled: bool = Field(True, description="Answer `/metrics` for Prometheus.")
    metrics_clients: CommaSeparated = Field(
        ("127.0.0.1", "::1"),
        description="Who may ask for `/metrics` without a login: addresses, networks or host names.",
    )
    metrics_login: bool = Field(
        False, description="With accounts on, `/metrics` demands a login or key of everybody."
    )

    allow_url_fetch: bool = Field(False, description="Fetch files that a request names by URL.")
    url_fetch_allowlist: CommaSeparated = Field(
        (),
        description="What may be fetched: host names (`files.example`, `*.example`, `host:8080`), and the "
        "private addresses or networks behind them (`10.1.0.0/16`). `*` is any host with a public address.",
    )
    url_fetch_timeout_seconds: float = Field(30, gt=0, description="Longest time one fetch may take.")

    auth_enabled: bool = Field(False, description="Demand a login or an API key on every route that reads.")
    secret_key: SecretStr | None = Field(
        None, description="Signs logins and the audit log: 32 characters or more. Needed with AUTH_ENABLED."
    )
    algorithm: Literal["HS256", "HS384", "HS512"] = Field("HS256", description="How logins are signed.")
    access_token_expire_minutes: int = Field(60, ge=1, description="How long a login lasts.")
    registration: Literal["admin", "open"] = Field(
        "admin", description="Who may register accounts: administrators, or anybody who reaches the server."
    )
    bootstrap_user: str | None = Field(None, description="Administrator made at the start if missing.")
    bootstrap_pass: SecretStr | None = Field(None, description="The password of BOOTSTRAP_USER.")
    api_keys_file: Path | None = Field(
        None, description="Further API keys, one a line: `name sha256-of-the-key`, in hexadecimal."
    )
    key_requests_per_minute: int | None = Field(
        None, ge=1, description="Requests a minute of an API key that sets no rate of its own. Unset: any."
    )
    key_pages_per_day: int | None = Field(
        None, ge=1, description="Pages a day (UTC) of an API key that sets no quota of its own. Unset: any."
    )
    database_url: SecretStr | None = Field(
        None,
        description="`postgresql://user:password@host/name` for accounts and jobs, or `sqlite:///` and the "
        "path of a file for accounts, under DATA_DIR unless it begins with `/`. Unset: SQLite in DATA_DIR.",
    )
    audit_log: bool | None = Field(
        None, description="Keep the hash-chained audit log under DATA_DIR. Unset: where accounts are on."
    )

    @field_validator("data_dir")
    @classmethod
    def _where_processes_find_it(cls, value: Path) -> Path:
        return value.absolute()  # child processes work in another folder than the server

    @field_validator("database_url")
    @classmethod
    def _names_a_file(cls, value: SecretStr | None) -> SecretStr | None:
        url = value.get_secret_value() if value else ""
        path = url.partition(":///")[2]
        if url.startswith(_SQLITE) and (not path or path.startswith(":memory:") or "?" in path):
            raise ValueError("a file is to be named, as in `sqlite:///accounts.sqlite`")
        return value

    @field_validator("torch_dtype", mode="before")
    @classmethod
    def _as_torch_spells_it(cls, value: Any) -> Any:
        spellings = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32"}
        return spellings.get(str(value).lower().removeprefix("torch."), value)

    @field_validator("backend")
    @classmethod
    def _backends_are_known(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",")]
        strangers = [name for name in names if name not in BACKENDS]
        if strangers:
            raise ValueError(f"{strangers[0]!r} is not an engine; there are: {', '.join(BACKENDS)}")
        if len(set(names)) < len(names) or ("auto" in names and len(names) > 1):
            raise ValueError("a list names each engine once, and `auto` stands alone")
        return ",".join(names)

    @field_validator(
        "languages",
        "trusted_hosts",
        "trusted_proxies",
        "metrics_clients",
        "cors_allow_origins",
        "url_fetch_allowlist",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("languages")
    @classmethod
    def _languages_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            codes = [language_code(text) for text in value]
        except InvalidOption as error:
            raise ValueError(f"{error.message} {error.remedy}") from error
        return tuple(dict.fromkeys(code for code in codes if code))

    @field_validator("tensor_parallel_size")
    @classmethod
    def _heads_divide(cls, value: int) -> int:
        if value > 2:
            raise ValueError("a model is shared by 1 GPU or 2; for more GPUs set DATA_PARALLEL_SIZE instead")
        return value

    @field_validator("vllm_engine_args")
    @classmethod
    def _no_remote_code(cls, value: dict[str, Any]) -> dict[str, Any]:
        forbidden = sorted(_NOT_THROUGH_ENGINE_ARGS & value.keys())
        if forbidden:
            raise ValueError(
                f"{', '.join(forbidden)} cannot be set: the model comes from MODEL_PATH, without code"
            )
        if "data_parallel_size" in value:
            raise ValueError("data_parallel_size would run vLLM's copies in lockstep: set DATA_PARALLEL_SIZE")
        return value

    @model_validator(mode="after")
    def _mode_is_known(self) -> Settings:
        if self._mode_key() not in _MODES:
            known = ", ".join(f"{b}/{i}/{c} ({m})" for (b, i, c), m in _MODES.items())
            raise ValueError(
                f"BASE_SIZE/IMAGE_SIZE/CROP_MODE {self.base_size}/{self.image_size}/{self.crop_mode} "
                f"is none of: {known}"
            )
        return self

    @model_validator(mode="after")
    def _open_in_words(self) -> Settings:
        address = self.publish_address or "127.0.0.1"
        if address not in ("127.0.0.1", "::1", "localhost") and not (
            self.auth_enabled or self.allow_anonymous
        ):
            raise ValueError(
                f"PUBLISH_ADDRESS={address} opens the server to whoever reaches it: set AUTH_ENABLED=1 for "
                "accounts, or ALLOW_ANONYMOUS=1 where it is meant to be open"
            )
        return self

    @property
    def listen_address(self) -> str:
        """`host`, or this machine alone until somebody was asked for or let in."""
        return self.host or ("0.0.0.0" if self.auth_enabled or self.allow_anonymous else "127.0.0.1")

    @property
    def reached_at(self) -> str:
        """The address that others come in by, as far as it is known."""
        return self.publish_address or self.listen_address

    def _mode_key(self) -> tuple[int, int, bool]:
        """Without tiles their size says nothing: the page's is BASE_SIZE."""
        sizes = {self.image_size, type(self).model_fields["image_size"].default}
        plain = not self.crop_mode and sizes <= {self.base_size, 640}
        return self.base_size, self.base_size if plain else self.image_size, self.crop_mode

    @property
    def default_mode(self) -> Mode:
        """The mode of a request that names none."""
        return _MODES[self._mode_key()]

    @property
    def workers(self) -> int:
        """`num_workers`, or the cores this process may use."""
        return self.num_workers or len(os.sched_getaffinity(0))

    @property
    def database_server(self) -> str | None:
        """DATABASE_URL where it is a server's; None for SQLite."""
        url = self.database_url.get_secret_value() if self.database_url else None
        return None if url is None or url.startswith(_SQLITE) else url

    @property
    def accounts_file(self) -> Path | None:
        """The SQLite file that DATABASE_URL names for the accounts."""
        url = self.database_url.get_secret_value() if self.database_url else ""
        path = url.partition(":///")[2] if url.startswith(_SQLITE) else ""
        return self.data_dir / path if path else None

    @property
    def max_upload_bytes(self) -> int:
        return self.max_upload_mb * 1024 * 1024


def load_settings(**overrides: Any) -> Settings:
    """Read the environment. Raises `ConfigurationError` naming every setting that is wrong."""
    try:
        return Settings(**{**adopted(os.environ), **overrides})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])).upper() or 'settings'}: {e['msg']} (got {e.get('input')!r})"
            if e["loc"]
            else e["msg"]
            for e in error.errors()
        )
        raise ConfigurationError(problems) from error


def require_data_dir(folder: Path) -> None:
    """Make DATA_DIR where it is missing. Raises `ConfigurationError` when nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        uid, gid = os.geteuid(), os.getegid()
        raise ConfigurationError(
            f"DATA_DIR {folder} cannot be written by user {uid}, group {gid}: {error.strerror}.",
            f"Give the folder or volume to that user (chown {uid}:{gid}), or name another in DATA_DIR.",
        ) from error


def to_markdown() -> str:
    """The text of docs/configuration.md."""
    rows = [
        "# Configuration",
        "",
        "Made from `config.py` by `make docs`; do not edit. Every setting is an environment variable.",
        "",
        "| Variable | Default | Meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, tuple):
            default = ",".join(default)
        shown = "" if default in (None, "") else f"`{int(default) if isinstance(default, bool) else default}`"
        rows.append(f"| `{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(to_markdown(), end="")
