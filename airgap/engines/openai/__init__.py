"""Pages read by any server that speaks OpenAI's protocol."""
