"""A model that says one page whatever it sees: a reference with a box and two letters."""

from __future__ import annotations

from pathlib import Path

from airgap.models.deepseek_grammar import DET, DET_END, EOS, REF, REF_END
from tests import tiny_checkpoint

TEXT = "Hi"
RAW = f"{REF}t{REF_END}{DET}[1,2 3(9]{DET_END}\n{TEXT}"

# Each token has one successor; the default prompt ends in a dot.
SCRIPT = {
    ".": [REF],
    REF: ["t"],
    "t": [REF_END],
    REF_END: [DET],
    DET: ["["],
    "[": ["1"],
    "1": [","],
    ",": ["2"],
    "2": [" "],
    " ": ["3"],
    "3": ["("],
    "(": ["9"],
    "9": ["]"],
    "]": [DET_END],
    DET_END: ["\n"],
    "\n": ["H"],
    "H": ["i"],
    "i": [EOS],
}


def make(folder: Path) -> Path:
    return tiny_checkpoint.make(folder, sizes=tiny_checkpoint.SCRIPTED, script=SCRIPT)
