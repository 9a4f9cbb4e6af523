"""What the engine and the plug-in rely on in vLLM 0.32.0: an upgrade that moves it fails here first."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.vllm.conftest import options_for

VERSION = "0.32.0"


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_version() -> None:
    import vllm

    assert vllm.__version__.split("+")[0] == VERSION


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("_call_hf_processor", ["self", "hf_data", "hf_kwargs"]),
        ("_get_prompt_updates", ["self", "mm_items", "hf_processor_mm_kwargs", "out_mm_kwargs"]),
    ],
)
def test_overridden_processor_methods(name: str, expected: list[str]) -> None:
    from vllm.model_executor.models.deepseek_ocr import DeepseekOCRMultiModalProcessor

    from airgap.engines.vllm.plugin.processing import AirgapOCRMultiModalProcessor

    assert parameters(getattr(DeepseekOCRMultiModalProcessor, name)) == expected
    assert parameters(getattr(AirgapOCRMultiModalProcessor, name)) == expected


def test_overridden_processing_info_and_dummies() -> None:
    from vllm.model_executor.models import deepseek_ocr as upstream
    from vllm.multimodal.parse import MultiModalDataParser

    from airgap.engines.vllm.plugin import processing as ours

    sizes = ["self", "image_width", "image_height", "cropping"]
    assert parameters(upstream.DeepseekOCRProcessingInfo.get_num_image_tokens) == sizes
    assert parameters(ours.AirgapOCRProcessingInfo.get_num_image_tokens) == [*sizes, "mode"]
    for name in ("get_data_parser", "get_image_size_with_most_features"):
        assert parameters(getattr(upstream.DeepseekOCRProcessingInfo, name)) == ["self"]
    dummies = upstream.DeepseekOCRDummyInputsBuilder
    assert parameters(dummies.get_dummy_text) == ["self", "mm_counts"]
    assert parameters(MultiModalDataParser._parse_image_data) == ["self", "data"]


def test_overridden_model_methods_and_the_parts_they_use() -> None:
    from vllm.model_executor.models.deepseek_ocr import DeepseekOCRForCausalLM
    from vllm.model_executor.models.deepseek_ocr2 import DeepseekOCR2ForCausalLM

    for model in (DeepseekOCRForCausalLM, DeepseekOCR2ForCausalLM):
        assert parameters(model.__init__) == ["self", "vllm_config", "prefix"]
        assert parameters(model.embed_multimodal) == ["self", "kwargs"]
    assert parameters(DeepseekOCRForCausalLM._assemble_patch_grid) == ["self", "features", "crop_shape"]
    assert parameters(DeepseekOCR2ForCausalLM._encode_global_features) == ["self", "image_tensor"]
    assert parameters(DeepseekOCR2ForCausalLM._encode_local_features) == ["self", "patches"]
    source = inspect.getsource(DeepseekOCRForCausalLM)
    for part in (
        "self.sam_model",
        "self.vision_model",
        "self.projector",
        "self.image_newline",
        "self.view_seperator",
    ):
        assert part in source


def test_the_published_architectures_are_still_upstreams() -> None:
    from vllm import ModelRegistry

    from airgap.engines.vllm.plugin import ARCHITECTURES, register

    register()
    register()
    assert set(ARCHITECTURES) <= set(ModelRegistry.get_supported_archs())
    assert set(ARCHITECTURES.values()) <= set(ModelRegistry.get_supported_archs())


def test_the_plugin_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import entry_points

    from airgap.engines.vllm.plugin import PLUGIN_NAME, SEARCH_PATH, register

    for folder in SEARCH_PATH:
        monkeypatch.syspath_prepend(folder)
    (found,) = entry_points(group="vllm.general_plugins", name=PLUGIN_NAME)
    assert found.load() is register


def test_the_plugins_modules_hide_no_library() -> None:
    """Its folder is on the path of vLLM's processes, so its modules are there under their bare names too: one
    called `kernels` was imported by transformers in place of a library."""
    from importlib.metadata import packages_distributions

    import airgap.engines.vllm.plugin as plugin

    names = {path.stem for path in Path(plugin.__file__).parent.glob("*.py")} - {"__init__"}
    optional = {"kernels", "flash_attn", "deep_gemm", "torchcodec"}  # looked for, not installed
    assert not names & (set(packages_distributions()) | set(sys.stdlib_module_names) | optional)


def test_engine_arguments_exist(tiny_model: Path, data_dir: Path) -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs

    from airgap.engines.model_folder import verify
    from airgap.engines.vllm.engine import VllmEngine

    engine = VllmEngine(options_for(tiny_model, data_dir))
    engine.folder = verify(tiny_model)
    known = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    assert set(engine._engine_args()) <= known


def test_the_profile_engine_starts_vllm_as_the_server_does(tiny_model: Path, data_dir: Path) -> None:
    import yaml
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    from airgap.engines.model_folder import verify
    from airgap.engines.vllm.engine import VllmEngine
    from airgap.settings.engines import EngineSettings

    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["vllm"]
    parsed = make_arg_parser(FlexibleArgumentParser()).parse_args(service["command"][3:])
    compose = AsyncEngineArgs.from_cli_args(parsed)
    engine = VllmEngine(EngineSettings(model_path=tiny_model, data_dir=data_dir))
    engine.folder = verify(tiny_model)
    ours = AsyncEngineArgs(**engine._engine_args())
    deliberate = {"model", "served_model_name", "mm_processor_kwargs"}
    for name in set(engine._engine_args()) - deliberate:
        assert getattr(compose, name) == getattr(ours, name), name


def test_calls_on_the_engine() -> None:
    from vllm.exceptions import VLLMClientError, VLLMValidationError
    from vllm.renderers.base import BaseRenderer
    from vllm.renderers.inputs.preprocess import parse_model_prompt
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

    assert parameters(AsyncLLM.generate)[:4] == ["self", "prompt", "sampling_params", "request_id"]
    assert parameters(AsyncLLM.from_engine_args)[:1] == ["engine_args"]
    assert isinstance(AsyncLLM.errored, property)
    assert parameters(BaseRenderer.render_cmpl_async)[:2] == ["self", "prompts"]
    assert parameters(parse_model_prompt) == ["model_config", "prompt"]
    for error in (EngineDeadError, EngineGenerateError, VLLMClientError, VLLMValidationError):
        assert issubclass(error, Exception)


def test_the_finish_reasons_are_those_that_are_mapped() -> None:
    from vllm.v1.engine import FINISH_REASON_STRINGS

    assert FINISH_REASON_STRINGS == ("stop", "length", "abort", "error", "repetition")


def test_both_runners_take_the_no_repeat_rule() -> None:
    from vllm.v1.sample.logits_processor import LogitsProcessor as V1
    from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as V2

    from airgap.engines.vllm.ngram import NoRepeatNgram

    assert issubclass(NoRepeatNgram, V1)
    assert issubclass(NoRepeatNgram, V2)
