"""Settings of the servers that this one takes the place of: what each means here, or why it does nothing.

A site that keeps its environment is not to be surprised: a name that this server calls otherwise is taken
over, and one that does nothing is said at the start. It knows names and their meaning, and no engine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

MODEL_ENGINES = frozenset({"vllm", "transformers"})

WITHOUT_EFFECT = {
    "ANON_USERNAME": "without accounts callers have no name; in logs they are `anonymous`",
    "BASETEN_API_KEY": "nothing is deployed elsewhere",
    "HF_TOKEN": "nothing is downloaded: the model comes from MODEL_PATH",
    "HUGGING_FACE_HUB_TOKEN": "nothing is downloaded: the model comes from MODEL_PATH",
    "MIN_CROPS": "the model's own rule holds, from 2 tiles on; MAX_CROPS bounds them",
    "SKIP_REPEAT": "no page is skipped: one that repeats itself is read again, and kept as degraded",
}
"""Known to a replaced server, and why it does nothing here, whichever engine reads."""

ONLY_WITH: dict[str, frozenset[str]] = {
    "LLM_BASE_URL": frozenset({"openai"}),
    "LLM_API_KEY": frozenset({"openai"}),
    "LLM_MODEL": frozenset({"openai"}),
    "QWEN_REMOTE_URL": frozenset({"openai"}),
    "MODEL_PATH": MODEL_ENGINES,
    "MODEL_ID": MODEL_ENGINES,
    "QWEN_MODEL": MODEL_ENGINES | {"openai"},
    "TORCH_DTYPE": MODEL_ENGINES,
    "GPU_MEM_UTILIZATION": MODEL_ENGINES,
    "USE_FLASH_ATTENTION": MODEL_ENGINES,
    "MAX_NEW_TOKENS": MODEL_ENGINES | {"openai"},
    "CROP_MODE": MODEL_ENGINES,
    "BASE_SIZE": MODEL_ENGINES,
    "IMAGE_SIZE": MODEL_ENGINES,
}
"""Settings that some engines have no use for, and the engines that heed them."""


def adopted(environment: Mapping[str, str]) -> dict[str, object]:
    """Our settings, in lower case, that follow from another server's names; none that is set itself."""
    given = {name.upper(): value for name, value in environment.items() if value.strip()}
    taken: dict[str, object] = {}
    if remote := given.get("QWEN_REMOTE_URL"):
        taken["llm_base_url"] = with_version(remote)
    if model := given.get("QWEN_MODEL"):
        folder = Path(model)
        taken |= {"model_path": model} if folder.is_absolute() else {}
        name = folder.name if folder.is_absolute() else model
        taken |= {"model_id": name, "llm_model": name}
    return {name: value for name, value in taken.items() if name.upper() not in given}


def with_version(url: str) -> str:
    """The address of an OpenAI-compatible server up to the version, for one that ends before it."""
    return url if url.rstrip("/").endswith("/v1") else f"{url.rstrip('/')}/v1"


def remarks(environment: Mapping[str, str], engines: Collection[str]) -> list[str]:
    """A line for each setting of another server that is taken over, or that does nothing with `engines`."""
    given = {name.upper() for name, value in environment.items() if value.strip()}
    lines = [f"{name} does nothing here: {why}" for name, why in WITHOUT_EFFECT.items() if name in given]
    lines += [
        f"{name} does nothing with the engine {', '.join(engines)}; those that heed it: "
        f"{', '.join(sorted(heeding))}"
        for name, heeding in ONLY_WITH.items()
        if name in given and not heeding & set(engines)
    ]
    told = {line.split()[0] for line in lines}
    renamed = {"QWEN_REMOTE_URL": "LLM_BASE_URL", "QWEN_MODEL": "MODEL_ID and LLM_MODEL"}
    lines += [
        f"{name} is taken as {ours}, where that is not set"
        for name, ours in renamed.items()
        if name in given - told
    ]
    return lines
