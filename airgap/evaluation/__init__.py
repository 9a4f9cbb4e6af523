"""Scores of Markdown against pages whose text and structure are known.

Reads the annotation of two public benchmarks: OmniDocBench's JSON and olmOCR-bench's JSON lines. Knows
nothing of engines and of how a page was read; edit distances and tree edit distances come from libraries.
"""
