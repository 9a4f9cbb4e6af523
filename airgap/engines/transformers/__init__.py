"""The same models in plain PyTorch, without vLLM and without remote code."""
