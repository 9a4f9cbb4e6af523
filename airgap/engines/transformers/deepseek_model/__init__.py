"""DeepSeek-OCR and DeepSeek-OCR-2 in PyTorch, from parts of transformers, without remote code.

`architecture` builds the networks from a config.json, `weights` fills them from the published files.
Importing either imports torch and transformers; only an engine that has settled on them should. Nothing
here knows requests, prompts or HTTP.
"""
