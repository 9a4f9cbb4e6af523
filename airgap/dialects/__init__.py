"""The APIs that clients already speak, one router per file, over the same reader as our own routes."""
