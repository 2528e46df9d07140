"""What a worker says of itself before it begins."""

import sys
from types import ModuleType

import pytest

from drawbar.worker_main import patched_by


@pytest.mark.parametrize(
    ("module", "asked", "name"),
    [("gevent.monkey", "is_module_patched", "threading"), ("eventlet.patcher", "is_monkey_patched", "thread")],
)
def test_threads_that_are_none_are_noticed(
    monkeypatch: pytest.MonkeyPatch, module: str, asked: str, name: str
) -> None:
    patcher = ModuleType(module)
    patcher.patched = ()  # type: ignore[attr-defined]
    setattr(patcher, asked, lambda part: part in patcher.patched)
    monkeypatch.setitem(sys.modules, module, patcher)
    assert patched_by() is None

    patcher.patched = (name,)  # type: ignore[attr-defined]

    assert patched_by() == module.partition(".")[0]
