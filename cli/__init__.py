"""What the commands of `ocr` do: read here, send, watch a folder. `ocr_cli.py` names their options."""
