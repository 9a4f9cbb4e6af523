"""A folder of DeepSeek-OCR or Qwen-VL on local disk: what it is, and whether it is whole and safe to load.

    python -m airgap.engines.model_folder FOLDER            verify against the folder's SHA256SUMS
    python -m airgap.engines.model_folder FOLDER --write    write SHA256SUMS, once, where the folder is packed

Nothing in the folder is executed: Python files are never imported, `auto_map` is ignored, pickles are
refused. `SHA256SUMS` has the format of `sha256sum`, so that any machine can check it.

Standard library, tqdm, and `tokenizers` where it is installed. Knows nothing about vLLM or torch.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import re
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from tqdm import tqdm

from airgap.core.errors import AirgapError, ConfigurationError
from airgap.engines.model_quantization import REMEDY, quantization
from airgap.engines.readable import readable
from airgap.models import qwen_vl
from deepseek_ocr import SPECIAL_TOKEN_IDS

MANIFEST = "SHA256SUMS"
Family = Literal["deepseek-ocr", "deepseek-ocr-2", "qwen-vl"]

_DEEPSEEK: dict[str, tuple[Family, int]] = {
    "DeepseekOCRForCausalLM": ("deepseek-ocr", 640),
    "DeepseekOCR2ForCausalLM": ("deepseek-ocr-2", 768),
}
_QWEN: dict[str, tuple[Family, int]] = dict.fromkeys(qwen_vl.ARCHITECTURES, ("qwen-vl", 0))
_FAMILIES: Mapping[str, tuple[Family, int]] = MappingProxyType(_DEEPSEEK | _QWEN)
_PUBLISHED = (2710, 3_336_106_240)  # tensors and elements of deepseek-ai/DeepSeek-OCR
_MODEL_TYPE = "deepseek_vl_v2"
_PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz"})
_DTYPE_BYTES = MappingProxyType(
    {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1}
    | {"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1}
)
_MAX_HEADER = 100_000_000
_CHUNK = 1 << 22
_DOWNLOAD_AGAIN = "Copy the folder again from where it was packed, and check the disk."


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """What `verify` found.

    `published` says that the weights have the size of the published DeepSeek-OCR; `tile_size` is in pixels,
    0 for a family without tiles.
    """

    path: Path
    architecture: str
    family: Family
    tile_size: int
    tensors: int
    parameters: int
    hashed: bool
    warnings: tuple[str, ...] = ()
    quantization: str | None = None

    @property
    def published(self) -> bool:
        return (self.tensors, self.parameters) == _PUBLISHED

    def summary(self) -> str:
        known = "the published model" if self.published else "not the published weights"
        if self.family != "deepseek-ocr":
            known = self.architecture
        if self.quantization:
            known = f"quantised, {self.quantization}"
        return f"{self.family}: {self.tensors} tensors, {self.parameters:,} parameters ({known})"


@dataclass(slots=True)
class _Header:
    tensors: int = 0
    parameters: int = 0
    names: set[str] = field(default_factory=set)


def verify(path: str | Path, *, hashes: bool = True, progress: bool = False) -> ModelFolder:
    """Check a folder and say what it is. Raises `ConfigurationError`, naming the file and the remedy.

    `hashes=False` leaves the sha256 sums out (they read every byte); a folder without `SHA256SUMS` is
    accepted with a warning.
    """
    folder = _folder(path)
    files = _files(folder)
    config = _json(folder, "config.json")
    architecture = _architecture(config)
    family, tile_size = _FAMILIES[architecture]
    header = _weights(folder, files)
    method = quantization(config, header.names)
    notes = [*_tokenizer(folder, family), *_ignored(files, config)]
    if (folder / MANIFEST).is_file():
        if hashes:
            _check_sums(folder, files, progress)
    else:
        hashes = False
        notes.append(
            f"{MANIFEST} is missing: a damaged file would not be noticed; `make verify-model` writes it"
        )
    size = (header.tensors, header.parameters)
    return ModelFolder(folder, architecture, family, tile_size, *size, hashes, tuple(notes), method)


def manifest_digest(folder: Path) -> str | None:
    """SHA-256 of the folder's manifest, which lists that of every file; None where there is none."""
    manifest = folder / MANIFEST
    return hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else None


def write_manifest(path: str | Path, *, progress: bool = False) -> ModelFolder:
    """Verify the folder and write its `SHA256SUMS`. Raises `ConfigurationError` where one exists."""
    found = verify(path, hashes=False)
    manifest = found.path / MANIFEST
    if manifest.exists():
        raise ConfigurationError(
            f"{MANIFEST} exists in the folder already.",
            "It is written once, where the folder is packed; delete it if the model was changed on purpose.",
        )
    files = _files(found.path)
    sums = _sums(found.path, files, progress)
    text = "".join(f"{digest}  {name}\n" for name, digest in sums)
    partial = manifest.with_suffix(".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(manifest)
    return replace(
        found, hashed=True, warnings=tuple(note for note in found.warnings if MANIFEST not in note)
    )


# --- files -------------------------------------------------------------------------------------------


def _folder(path: str | Path) -> Path:
    folder = readable(path)
    if not folder.is_dir():
        raise ConfigurationError(
            f"MODEL_PATH is not a folder: {folder}", "Set MODEL_PATH to the folder that holds config.json."
        )
    if not (folder / "config.json").is_file():
        raise ConfigurationError(
            f"MODEL_PATH holds no config.json: {folder}",
            "Set MODEL_PATH to the model's own folder, not the one above it.",
        )
    return folder.resolve()


def _files(folder: Path) -> list[str]:
    """Relative names of all regular files but the manifest, sorted. Hidden ones are left out."""
    names = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in Path(name).parts):
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(folder):
            raise ConfigurationError(
                f"{name} is a link to outside the model's folder.",
                "Copy the folder with its links resolved: cp -rL FROM TO.",
            )
        if path.suffix in _PICKLES:
            raise ConfigurationError(
                f"{name} may hold a pickle, which can run code when it is loaded.",
                "Remove it; the weights are in the .safetensors files.",
            )
        if path.is_file() and name not in (MANIFEST, f"{MANIFEST}.part"):
            names.append(name)
    return names


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{name} cannot be read as JSON.", _DOWNLOAD_AGAIN) from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{name} is not a JSON object.", _DOWNLOAD_AGAIN)
    return content


def _ignored(files: Sequence[str], config: Mapping[str, Any]) -> Iterator[str]:
    code = [name for name in files if name.endswith((".py", ".so"))]
    if code:
        yield f"{len(code)} code files are in the folder; none is ever imported"
    if "auto_map" in config:
        yield "config.json names code in `auto_map`; it is ignored"


# --- configuration and tokenizer ---------------------------------------------------------------------


def _architecture(config: Mapping[str, Any]) -> str:
    architectures = config.get("architectures") or []
    known = [name for name in architectures if name in _FAMILIES] if isinstance(architectures, list) else []
    if not known:
        raise ConfigurationError(
            f"MODEL_PATH holds another model: architectures in config.json are {architectures!r:.200}.",
            f"Set MODEL_PATH to a folder of DeepSeek-OCR or Qwen-VL ({', '.join(_FAMILIES)}).",
        )
    model_type = config.get("model_type")
    if known[0] in qwen_vl.ARCHITECTURES:
        expected = qwen_vl.MODEL_TYPES[qwen_vl.ARCHITECTURES[known[0]]]
        if model_type != expected:
            raise ConfigurationError(
                f"config.json has model_type {model_type!r:.80} with the architecture {known[0]}.",
                f'Set "model_type": "{expected}" in config.json, as the published model has it.',
            )
        return str(known[0])
    if model_type != _MODEL_TYPE:
        raise ConfigurationError(
            f"config.json has model_type {model_type!r:.80}: with it the tokenizer would lose line breaks.",
            f'Set "model_type": "{_MODEL_TYPE}" in config.json, as the published model has it.',
        )
    return str(known[0])


def _tokenizer(folder: Path, family: Family) -> Iterator[str]:
    """Check special tokens and the line break; yields a note where `tokenizers` is not there to do it."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        _json(folder, name)
    if find_spec("tokenizers") is None:
        yield "the tokenizer was not tried out: the package `tokenizers` is not installed here"
        return
    tokenizers = importlib.import_module("tokenizers")
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises nothing narrower
        raise ConfigurationError("tokenizer.json cannot be loaded.", _DOWNLOAD_AGAIN) from error
    if family == "qwen-vl":
        missing = [token for token in qwen_vl.SPECIAL_TOKENS if tokenizer.token_to_id(token) is None]
        if missing:
            raise ConfigurationError(
                f"tokenizer.json has no token {missing[0]!r}.", "Use the tokenizer that came with the model."
            )
    for token, expected in SPECIAL_TOKEN_IDS.items() if family != "qwen-vl" else ():
        if tokenizer.token_to_id(token) != expected:
            raise ConfigurationError(
                f"tokenizer.json gives {token!r} the id {tokenizer.token_to_id(token)}, not {expected}.",
                "Use the tokenizer that came with the model.",
            )
    ids = tokenizer.encode("\n", add_special_tokens=False).ids
    if tokenizer.decode(ids) != "\n":
        raise ConfigurationError(
            "The tokenizer loses line breaks.", "Use the tokenizer that came with the model."
        )


# --- weights -----------------------------------------------------------------------------------------


def _weights(folder: Path, files: Sequence[str]) -> _Header:
    shards = [name for name in files if name.endswith(".safetensors")]
    if not shards:
        raise ConfigurationError("The folder holds no .safetensors file.", _DOWNLOAD_AGAIN)
    total = _Header()
    for name in shards:
        header = _header(folder / name, name)
        twice = total.names & header.names
        if twice:
            raise ConfigurationError(f"{name} repeats the tensor {min(twice)}.", _DOWNLOAD_AGAIN)
        total.tensors += header.tensors
        total.parameters += header.parameters
        total.names |= header.names
    _check_index(folder, shards, total)
    return total


def _check_index(folder: Path, shards: Sequence[str], total: _Header) -> None:
    name = "model.safetensors.index.json"
    if not (folder / name).is_file():
        return
    weight_map = _json(folder, name).get("weight_map")
    if not isinstance(weight_map, dict):
        raise ConfigurationError(f"{name} has no weight_map.", _DOWNLOAD_AGAIN)
    missing = sorted(set(map(str, weight_map.values())) - set(shards))
    if missing:
        raise ConfigurationError(f"{missing[0]} is missing.", _DOWNLOAD_AGAIN)
    absent = set(weight_map) - total.names
    if absent:
        raise ConfigurationError(f"The tensor {min(absent)} is in no .safetensors file.", _DOWNLOAD_AGAIN)


def _header(path: Path, name: str) -> _Header:
    """Read a safetensors header: a 64-bit length, JSON, then the data without gaps."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if not 2 <= length <= min(_MAX_HEADER, size - 8):
                raise ValueError("impossible header length")
            entries: dict[str, Any] = json.loads(file.read(length))
        entries.pop("__metadata__", None)
        return _sum_header(entries, size - 8 - length)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ConfigurationError(f"{name} is cut off or damaged: {error}.", _DOWNLOAD_AGAIN) from error


def _sum_header(entries: Mapping[str, Any], data_bytes: int) -> _Header:
    header, expected = _Header(), 0
    for tensor, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        elements = prod(entry["shape"])
        start, end = entry["data_offsets"]
        if entry["dtype"] not in _DTYPE_BYTES:
            raise ConfigurationError(f"The tensor {tensor} is of a type not read: {entry['dtype']}.", REMEDY)
        if start != expected or end - start != elements * _DTYPE_BYTES[entry["dtype"]]:
            raise ValueError(f"the tensor {tensor} does not fit its bytes")
        expected = end
        header.tensors += 1
        header.parameters += elements
        header.names.add(tensor)
    if expected != data_bytes:
        raise ValueError(f"it has {data_bytes} bytes of weights where {expected} should be")
    return header


# --- sums --------------------------------------------------------------------------------------------


def _sums(folder: Path, files: Sequence[str], progress: bool) -> Iterator[tuple[str, str]]:
    total = sum((folder / name).stat().st_size for name in files)
    with tqdm(total=total, unit="B", unit_scale=True, desc="sha256", disable=not progress) as bar:
        for name in files:
            digest = hashlib.sha256()
            with (folder / name).open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    bar.update(len(chunk))
            yield name, digest.hexdigest()


def _check_sums(folder: Path, files: Sequence[str], progress: bool) -> None:
    wanted = _read_manifest(folder)
    missing = sorted(set(wanted) - set(files))
    if missing:
        raise ConfigurationError(f"{missing[0]} is missing; {MANIFEST} lists it.", _DOWNLOAD_AGAIN)
    unknown = sorted(set(files) - set(wanted))
    if unknown:
        raise ConfigurationError(
            f"{unknown[0]} is not listed in {MANIFEST}.", "Remove it, or pack the folder again with --write."
        )
    for name, digest in _sums(folder, files, progress):
        if digest != wanted[name]:
            raise ConfigurationError(
                f"{name} is damaged or was changed: its sha256 is not the one in {MANIFEST}.", _DOWNLOAD_AGAIN
            )


def _read_manifest(folder: Path) -> dict[str, str]:
    wanted = {}
    for line in (folder / MANIFEST).read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line)
        if match is None:
            raise ConfigurationError(f"{MANIFEST} has a line that is no checksum.", _DOWNLOAD_AGAIN)
        wanted[match[2]] = match[1]
    return wanted


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m airgap.engines.model_folder", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true", help=f"write {MANIFEST} instead of checking it")
    options = parser.parse_args(arguments)
    try:
        check = write_manifest if options.write else verify
        found = check(options.folder, progress=sys.stderr.isatty())
    except AirgapError as error:
        print(f"refused: {error.message}\nremedy: {error.remedy}", file=sys.stderr)
        return 1
    print(found.summary())
    for note in found.warnings:
        print(f"note: {note}")
    print(
        f"{MANIFEST} is written"
        if options.write
        else "all files match"
        if found.hashed
        else "no sums to match"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
