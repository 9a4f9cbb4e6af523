"""Which engine reads, with which model, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from airgap.core.document import Mode
from airgap.core.errors import ConfigurationError, InvalidOption
from airgap.core.languages import language_code
from airgap.settings.section import CommaSeparated, JsonObject
from airgap.settings.work import WorkSettings

BACKENDS = ("auto", "vllm", "transformers", "openai", "rapidocr", "fake")

# (base_size, image_size, crop_mode) of the authors' configuration → the mode it is known by.
_MODES: dict[tuple[int, int, bool], Mode] = {
    (512, 512, False): "tiny",
    (640, 640, False): "small",
    (1024, 1024, False): "base",
    (1280, 1280, False): "large",
    (1024, 640, True): "gundam",
}

_NOT_THROUGH_ENGINE_ARGS = {"trust_remote_code", "model", "tokenizer", "code_revision", "download_dir"}


class EngineSettings(WorkSettings):
    """All that an engine is built from."""

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
        (), description="Languages the site expects, comma-separated codes or names: `ru,chi_tra,German`."
    )
    formula_model_path: Path | None = Field(
        None,
        description="BACKEND=rapidocr: folder on local disk with a model that reads formulas "
        "(docs/engines.md). Unset: equations are pictures.",
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
    vllm_engine_args: JsonObject = Field(
        {},
        description="Further arguments of vLLM's AsyncEngineArgs, as a JSON object. One that vLLM does not "
        "know stops the start.",
    )
    max_model_len: int = Field(8192, ge=1024, description="Tokens of prompt and answer together.")
    max_new_tokens: int = Field(
        8192, ge=1, description="Upper bound of `max_tokens`, and the default of engines with tokens."
    )
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

    @field_validator("torch_dtype", mode="before")
    @classmethod
    def _as_torch_spells_it(cls, value: Any) -> Any:
        spellings = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32"}
        return spellings.get(str(value).lower().removeprefix("torch."), value)

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
    def _mode_is_known(self) -> EngineSettings:
        if self._mode_key() not in _MODES:
            known = ", ".join(f"{b}/{i}/{c} ({m})" for (b, i, c), m in _MODES.items())
            raise ValueError(
                f"BASE_SIZE/IMAGE_SIZE/CROP_MODE {self.base_size}/{self.image_size}/{self.crop_mode} "
                f"is none of: {known}"
            )
        return self

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
    def model_folder(self) -> Path:
        """MODEL_PATH. Raises `ConfigurationError` where it is not set."""
        if self.model_path is None:
            raise ConfigurationError(
                "This engine reads with a model from local disk, and MODEL_PATH is not set.",
                "Set MODEL_PATH to the folder that holds the model's config.json.",
            )
        return self.model_path
