"""Each Lua function names the Python object that does the same for the other stores."""

import os
import re
import subprocess
import sys
from importlib.resources import files
from pkgutil import resolve_name

import pytest

from drawbar.errors import RunNotFound
from drawbar.records import ACTIVE, END, FINISHED_RUN, FINISHED_TASK, TIMED
from drawbar.stores.memory import MemoryStore
from drawbar.stores.transitions import COUNTED
from drawbar_redis import RedisStore, scripts
from tests.stores.redis.parts import new_run

LUA = {file.name: file.read_text() for file in (files("drawbar_redis") / "lua").iterdir() if file.name.endswith(".lua")}
PARTS = ("lib.lua", "new.lua", "places.lua", "falls.lua", "end.lua", "reply.lua")
"""The files that scripts are made with. Every other file is a script."""
FUNCTION = re.compile(r"^\s*(?:local )?function (\w+)")
PYTHON_NAME = re.compile(r"\bdrawbar(?:_redis)?(?:\.\w+)+")


def comments(text: str) -> list[str]:
    """Return each block of comment lines, as one line."""
    blocks = re.findall(r"(?:^[ ]*--.*\n)+", text, re.MULTILINE)
    return [" ".join(line.strip(" -") for line in block.splitlines()) for block in blocks]


def functions() -> list[tuple[str, str, str]]:
    """Return (file, function, comment above it) of each function."""
    found = []
    for name, text in sorted(LUA.items()):
        comment: list[str] = []
        for line in text.splitlines():
            function = FUNCTION.match(line)
            if function:
                found.append((name, function[1], " ".join(comment)))
            comment = [*comment, line.strip(" -")] if line.lstrip().startswith("--") else []
    return found


def test_every_lua_function_is_looked_at() -> None:
    code = [line for text in LUA.values() for line in text.splitlines() if not line.lstrip().startswith("--")]
    named = [line for line in code if re.search(r"function \w+", line)]

    assert len(functions()) == len(named) > 30


@pytest.mark.parametrize(("file", "function", "comment"), functions(), ids=lambda part: part[:20])
def test_a_lua_function_names_its_twin_or_says_why_it_has_none(file: str, function: str, comment: str) -> None:
    twin = re.search(r"Twin of (?:the constructor of )?drawbar", comment)
    reason = re.search(r"No twin: .{15,}", comment)

    assert bool(twin) != bool(reason), f"{file}: {function}"


@pytest.mark.parametrize("file", sorted(LUA.keys() - set(PARTS)))
def test_a_script_names_its_twin(file: str) -> None:
    assert re.search(r"Twin of drawbar", comments(LUA[file])[0])


@pytest.mark.parametrize("name", sorted({name for text in LUA.values() for name in PYTHON_NAME.findall(text)}))
def test_a_python_name_in_lua_exists(name: str) -> None:
    resolve_name(name)


def constants() -> dict[str, str]:
    """Return the constants that scripts get from the core, as Lua texts."""
    lines = scripts.CLAIM.source.decode().splitlines()[:4]
    return {match[1]: match[2] for line in lines if (match := re.fullmatch(r"local (\w+) = (.*)", line))}


def pairs(table: str) -> dict[str, str]:
    """Return the fields of a Lua table."""
    return dict(re.findall(r"(\w+) = '?(\w+)'?", table))


def test_scripts_get_the_statuses_and_reserved_addresses_from_the_core() -> None:
    found = constants()

    assert found["END"] == f"'{END}'"
    assert pairs(found["COUNTED"]) == {status.value: counter for status, counter in COUNTED.items()}
    assert pairs(found["HAS_WAKE_AT"]).keys() == {status.value for status in ACTIVE | TIMED}
    assert pairs(found["IS_FINISHED"]).keys() == {status.value for status in FINISHED_TASK}
    # The scripts ask the same table for runs.
    assert pairs(found["IS_FINISHED"]).keys() == {status.value for status in FINISHED_RUN}


def test_reserved_addresses_are_written_down_in_no_script() -> None:
    assert [name for name, text in LUA.items() if END in text] == []


def test_scripts_are_the_same_in_every_process() -> None:
    program = "from drawbar_redis.scripts import CLAIM; print(CLAIM.sha.decode())"
    hashes = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(3)
    }

    assert hashes == {f"{scripts.CLAIM.sha.decode()}\n"}


@pytest.mark.anyio
async def test_an_unknown_run_gives_the_same_error_as_in_memory(store: RedisStore) -> None:
    texts = set()
    for one in (MemoryStore(), store):
        with pytest.raises(RunNotFound) as caught:
            await one.retry("unknown")
        texts.add(str(caught.value))

    assert len(texts) == 1


@pytest.mark.anyio
async def test_a_cancelled_run_has_the_same_error_as_in_memory(store: RedisStore) -> None:
    errors = []
    for one in (MemoryStore(), store):
        await one.create(new_run())
        await one.cancel("r", "enough", True)
        run = await one.load("r")
        assert run is not None
        errors.append(run.error)

    assert errors[0] == errors[1]
