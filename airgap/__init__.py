"""Airgap OCR's rooms, from the bottom up; imports point down only, and a test holds that.

core        the nouns, the errors, the engine protocol
monitoring  metrics, traces, logs
settings    what a site can set, a section a module; config.py puts them together
models      what DeepSeek-OCR and Qwen-VL write, and how it is drawn
layout      lines → regions → paragraphs, tables
(process/   bytes → pages → Document; stands beside this package, as does deepseek_ocr.py)
engines     how one page is read, a folder an engine
exporters   Document → bytes
http        the edge, forms, uploads, answers, and the server's own routes
accounts, jobs, dialects   features, each with its routes
client      the HTTP client and the command line
"""
