"""A model's folder is taken only when it is whole, safe to load and the right model."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airgap.core.errors import ConfigurationError
from airgap.engines import model_folder
from airgap.engines.model_folder import MANIFEST, verify, write_manifest

ROOT = Path(__file__).parents[2]
TOKENIZER = ROOT / "tests" / "data" / "tiny_model" / "tokenizer.json"
SHARD = "model-00001-of-000001.safetensors"


def safetensors(path: Path, shapes: dict[str, list[int]]) -> None:
    """A bfloat16 file of these tensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(i % 251 for i in range(offset)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_folder(tmp_path / "model")


def tiny_folder(path: Path) -> Path:
    """A folder of the right form, of two small tensors."""
    path.mkdir(parents=True)
    config = {"architectures": ["DeepseekOCRForCausalLM"], "model_type": "deepseek_vl_v2"}
    (path / "config.json").write_text(json.dumps(config))
    (path / "tokenizer_config.json").write_text("{}")
    shutil.copy(TOKENIZER, path / "tokenizer.json")
    safetensors(path / SHARD, {"lm_head.weight": [16, 4], "model.norm.weight": [4]})
    return path


def refusal(folder: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        verify(folder)
    assert caught.value.remedy
    return caught.value


def change_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_says_what_the_folder_is(folder: Path) -> None:
    found = verify(folder)
    assert (found.family, found.tile_size, found.tensors, found.parameters) == ("deepseek-ocr", 640, 2, 68)
    assert not found.published
    assert not found.hashed
    assert any(MANIFEST in note for note in found.warnings)
    assert "not the published weights" in found.summary()


def test_knows_the_published_size(folder: Path) -> None:
    """2,710 tensors and 3,336,106,240 elements, as in the file that DeepSeek published."""
    rest = 3_336_106_240 - 2709
    entries = {
        f"t{i}": {"dtype": "BF16", "shape": [1], "data_offsets": [2 * i, 2 * i + 2]} for i in range(2709)
    }
    entries["t2709"] = {"dtype": "BF16", "shape": [rest], "data_offsets": [2 * 2709, 2 * (2709 + rest)]}
    text = json.dumps(entries).encode()
    with (folder / SHARD).open("wb") as file:  # sparse: nothing is written but the header
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + 2 * 3_336_106_240)
    found = verify(folder)
    assert found.published
    assert "the published model" in found.summary()


def test_knows_the_second_family(folder: Path) -> None:
    change_config(folder, architectures=["DeepseekOCR2ForCausalLM"])
    found = verify(folder)
    assert (found.family, found.tile_size) == ("deepseek-ocr-2", 768)


def test_a_written_manifest_is_that_of_sha256sum(folder: Path) -> None:
    assert write_manifest(folder).hashed
    assert verify(folder).hashed
    check = subprocess.run(
        ["sha256sum", "-c", MANIFEST], cwd=folder, capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout
    assert check.stdout.count(": OK") == 4


def test_a_manifest_is_written_once(folder: Path) -> None:
    write_manifest(folder)
    with pytest.raises(ConfigurationError, match=MANIFEST):
        write_manifest(folder)


def test_one_flipped_byte_is_refused_and_the_file_named(folder: Path) -> None:
    write_manifest(folder)
    data = bytearray((folder / SHARD).read_bytes())
    data[-1] ^= 1
    (folder / SHARD).write_bytes(data)
    assert SHARD in refusal(folder).message


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", SHARD])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    write_manifest(folder)
    (folder / name).unlink()
    message = refusal(folder).message
    assert name in message or "safetensors" in message


def test_a_file_that_the_manifest_does_not_list_is_refused(folder: Path) -> None:
    write_manifest(folder)
    safetensors(folder / "extra.safetensors", {"evil": [2]})
    assert "extra.safetensors" in refusal(folder).message


@pytest.mark.parametrize("cut", [1, 40, 10_000])
def test_a_cut_off_shard_is_refused_without_sums_too(folder: Path, cut: int) -> None:
    data = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(data[: max(0, len(data) - cut)])
    assert SHARD in refusal(folder).message


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b'{"t": {}}',
        b'{"t": 3}',
        b'{"t": {"dtype": "BF16", "shape": [-1], "data_offsets": [0, 2]}}',
    ],
)
def test_a_nonsense_header_is_refused(folder: Path, header: bytes) -> None:
    (folder / SHARD).write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0")
    assert SHARD in refusal(folder).message


def test_an_index_that_names_an_absent_shard_is_refused(folder: Path) -> None:
    index = {"weight_map": {"lm_head.weight": SHARD, "other": "model-00002-of-000002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-00002" in refusal(folder).message


@pytest.mark.parametrize("name", ["pytorch_model.bin", "sub/weights.pt", "x.pkl"])
def test_pickles_are_refused(folder: Path, name: str) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps({}))
    assert name in refusal(folder).message


def test_a_link_to_outside_is_refused(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere.json"
    outside.write_text("{}")
    (folder / "special_tokens_map.json").symlink_to(outside)
    error = refusal(folder)
    assert "special_tokens_map.json" in error.message
    assert "cp -rL" in error.remedy


def test_another_model_is_refused(folder: Path) -> None:
    change_config(folder, architectures=["LlamaForCausalLM"])
    assert "LlamaForCausalLM" in refusal(folder).message


def test_a_model_type_that_breaks_the_tokenizer_is_refused(folder: Path) -> None:
    change_config(folder, model_type="DeepseekOCR")
    error = refusal(folder)
    assert "model_type" in error.message
    assert "deepseek_vl_v2" in error.remedy


def test_a_wrong_place_is_refused(folder: Path, tmp_path: Path) -> None:
    assert "not a folder" in refusal(tmp_path / "nowhere").message
    assert "no config.json" in refusal(folder.parent).message
    (folder / "config.json").write_text("{")
    assert "config.json" in refusal(folder).message


def test_code_in_the_folder_is_ignored_and_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = folder.parent / "imported"
    (folder / "modeling_deepseekocr.py").write_text(f"open({str(marker)!r}, 'w')")
    change_config(folder, auto_map={"AutoModel": "modeling_deepseekocr.DeepseekOCRForCausalLM"})
    monkeypatch.chdir(folder)
    notes = " ".join(verify(folder).warnings)
    assert "none is ever imported" in notes
    assert "auto_map" in notes
    assert not marker.exists()
    assert "modeling_deepseekocr" not in sys.modules


def test_the_tokenizer_is_tried_out(folder: Path) -> None:
    pytest.importorskip("tokenizers", reason="the package `tokenizers` comes with the GPU install")
    tokenizer = json.loads(TOKENIZER.read_text())
    for token in tokenizer["added_tokens"]:
        if token["content"] == "<td>":
            token["id"] = 128_900
    tokenizer["model"]["vocab"]["<td>"] = 128_900
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "<td>" in refusal(folder).message


def test_without_the_library_it_says_that_it_did_not_try(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_folder, "find_spec", lambda name: None)
    assert any("not tried out" in note for note in verify(folder).warnings)


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert model_folder.main([str(folder), "--write"]) == 0
    assert model_folder.main([str(folder)]) == 0
    assert "all files match" in capsys.readouterr().out
    (folder / "tokenizer_config.json").write_text('{"changed": 1}')
    assert model_folder.main([str(folder)]) == 1
    captured = capsys.readouterr()
    assert "tokenizer_config.json" in captured.err
    assert "remedy:" in captured.err
