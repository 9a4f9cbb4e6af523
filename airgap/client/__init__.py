"""The HTTP client, and the command `ocr`: `app` names its options, the other files do the work."""
