"""The processes that read PDFs: how many there are, and what they are told."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from process.child_pool import Bounds, Child, ChildPool, ChildRefused


def request(document: str) -> dict[str, Any]:
    return {"op": "open", "kind": "pdf", "document": document, "path": "/nowhere", "password": None}


def test_closing_beside_other_work_leaves_no_child_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, bounds = ChildPool(1), Bounds(60, 2048)
    closing, go_on = threading.Event(), threading.Event()
    ask = Child.ask

    def slow_to_close(child: Child, asked: dict[str, Any], bounds: Bounds) -> Any:
        if asked["op"] == "close":
            closing.set()
            go_on.wait(60)
        return ask(child, asked, bounds)

    monkeypatch.setattr(Child, "ask", slow_to_close)
    try:
        with pool.child("a") as child:
            child.document = "a"
        forgetting = threading.Thread(target=pool.forget, args=("a", bounds))
        forgetting.start()
        assert closing.wait(60)
        with pool.child("b") as child, pytest.raises(ChildRefused):
            child.ask(
                {"op": "open", "kind": "pdf", "document": "b", "path": "/nowhere", "password": None}, bounds
            )
        go_on.set()
        forgetting.join()
        assert len(pool.pids) == 1
    finally:
        pool.close()


def test_the_child_sees_no_environment() -> None:
    os.environ["SECRET_KEY"] = "hunter2"
    pool = ChildPool(1)
    try:
        with pool.child("x") as child, pytest.raises(ChildRefused):
            child.ask(
                {"op": "open", "kind": "pdf", "document": "x", "path": "/nowhere", "password": None},
                Bounds(60, 2048),
            )
        (pid,) = pool.pids
        assert b"hunter2" not in Path(f"/proc/{pid}/environ").read_bytes()
    finally:
        del os.environ["SECRET_KEY"]
        pool.close()
