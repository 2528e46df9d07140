"""Warnings of a worker before it starts."""

import sys
from types import ModuleType

import pytest

from drawbar.engine.checks import check_green_threads


@pytest.mark.parametrize(
    ("module", "asked", "name"),
    [("gevent.monkey", "is_module_patched", "threading"), ("eventlet.patcher", "is_monkey_patched", "thread")],
)
def test_a_worker_warns_of_patched_threads(monkeypatch: pytest.MonkeyPatch, module: str, asked: str, name: str) -> None:
    patcher = ModuleType(module)
    patcher.patched = ()  # type: ignore[attr-defined]
    setattr(patcher, asked, lambda part: part in patcher.patched)
    monkeypatch.setitem(sys.modules, module, patcher)
    assert check_green_threads() == []

    patcher.patched = (name,)  # type: ignore[attr-defined]

    (warning,) = check_green_threads()
    assert warning.startswith(f"{module.partition('.')[0]} has patched threading")
