"""Imports what these tests need once, with warnings off: torch and vLLM warn about themselves on import."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        import transformers
        import vllm.model_executor.models.deepseek_ocr  # noqa: F401
    except ImportError:
        transformers = None  # each test file says so itself, by `pytest.importorskip`
