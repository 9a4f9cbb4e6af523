"""The production engine: DeepSeek-OCR and Qwen-VL on vLLM, in this process, from local disk."""
