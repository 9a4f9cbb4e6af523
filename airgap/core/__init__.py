"""The nouns, the errors and the engine protocol: what every room may know."""
