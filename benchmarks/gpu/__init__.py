"""Proving and measuring the vLLM engine on a GPU: `python -m benchmarks.gpu`, or `make bench-gpu`."""
