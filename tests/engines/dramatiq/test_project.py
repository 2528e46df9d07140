"""A Dramatiq project that adds Drawbar (examples/dramatiq_project): its own actors go on as before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from drawbar import RunStatus
from tests.engines.dramatiq.conftest import READY, OpenClient
from tests.support import services
from tests.support.queues.flows import Job, line, queues
from tests.support.queues.processes import FAST, ROOT, Processes, wait_until, witnesses

PROJECT = ROOT / "examples" / "dramatiq_project"


@pytest.fixture
def environment(redis_broker: str, store: str) -> Iterator[dict[str, str]]:
    """The services of the project."""
    with services.redis_database() as results:
        settings = {f"DRAWBAR_{key.upper()}": value for key, value in FAST.items()}
        yield {"PODCAST_BROKER": redis_broker, "PODCAST_RESULTS": results, "DRAWBAR_STORE": store, **settings}


def dramatiq_worker(module: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "dramatiq", module, "-p", "1", "-t", "4", *more]


def python(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=PROJECT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_its_workers_serve_actors_and_workflows(environment: dict[str, str], processes: Processes) -> None:
    worker = processes(dramatiq_worker("podcast.tasks"), environment, PROJECT).says(READY)

    said = python(environment, "-m", "podcast.publish")

    assert "played: 12" in said
    assert '{"title":"teapots","words":3900,"files":["teapots.mp3","teapots.opus"]}' in said
    worker.says("workflow publish ")
    program = "from podcast.tasks import newsletter; print(newsletter.send('ada').get_result(block=True))"
    assert "sent to ada" in python(environment, "-c", program)
    with redis.Redis.from_url(environment["PODCAST_RESULTS"]) as results:
        assert results.dbsize() == 2  # those of the actors; workflows leave none
    assert worker.stop() == 0


def test_a_whitelist_keeps_workflows_out(environment: dict[str, str], processes: Processes) -> None:
    theirs = processes(dramatiq_worker("podcast.tasks", "-Q", "default", "mail"), environment, PROJECT).says(READY)
    ours = processes([sys.executable, "-m", "drawbar", "worker"], environment, PROJECT).says(READY)

    said = python(environment, "-m", "podcast.publish")

    assert "played: 12" in said
    assert "put_online completed in " in ours.log
    assert "drawbar" not in theirs.log.replace("podcast", "")


MODULE = """
import dramatiq
from dramatiq.brokers.{module} import {kind}Broker
from dramatiq.middleware import {middleware}
from drawbar_dramatiq import install

broker = {kind}Broker(url={url!r})
for each in list(broker.middleware):
    if type(each) is TimeLimit:
        broker.middleware.remove(each)
broker.add_middleware(TimeLimit(time_limit=300, interval=100))
{more}
install(broker, store={store!r}, workflows=["tests.support.queues.flows"], queue={queue!r})
"""


@pytest.mark.parametrize("with_asyncio", [True, False])
def test_their_time_limit_is_not_ours_and_async_steps_need_no_middleware(
    with_asyncio: bool, redis_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    more = "broker.add_middleware(AsyncIO())" if with_asyncio else ""
    kinds = {"module": "redis", "kind": "Redis", "middleware": "AsyncIO, TimeLimit", "more": more}
    text = MODULE.format(**kinds, url=redis_broker, store=store, queue="drawbar-dramatiq")
    (tmp_path / "theirs.py").write_text(text, encoding="utf-8")
    environment = {"PYTHONPATH": str(tmp_path)}
    processes(dramatiq_worker("theirs:broker"), environment).says(READY)

    run = client(redis_broker).start_sync(line, Job(folder=tmp_path, seconds=1, n=7))

    assert run.result_sync(30).unwrap() == 7
    assert [attempt for attempt, _ in witnesses(tmp_path, "slow")] == ["1"]
    assert len(witnesses(tmp_path, "slow-async")) == 1


def test_a_worker_does_not_begin_to_serve_a_queue_because_it_sends_there(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    """As Dramatiq's own middleware would have it on RabbitMQ."""
    redis_ = broker.startswith("redis")
    kinds = {"module": "redis" if redis_ else "rabbitmq", "kind": "Redis" if redis_ else "Rabbitmq"}
    for name, queue in (("theirs", "drawbar-dramatiq"), ("gpus", "gpu")):
        text = MODULE.format(**kinds, middleware="TimeLimit", more="", url=broker, store=store, queue=queue)
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    environment = {"PYTHONPATH": str(tmp_path)}
    processes(dramatiq_worker("theirs:broker"), environment).says(READY)
    run = client(broker).start_sync(queues, Job(folder=tmp_path, n=1))
    wait_until(lambda: witnesses(tmp_path, "first"), 20, "the first step runs")

    with pytest.raises(TimeoutError):
        run.result_sync(3)
    assert run.status_sync() is RunStatus.RUNNING
    assert not witnesses(tmp_path, "on_gpu")
    processes(dramatiq_worker("gpus:broker"), environment).says(READY)
    assert run.result_sync(30).unwrap() == 1
    ((_, one),), ((_, two),) = witnesses(tmp_path, "first"), witnesses(tmp_path, "on_gpu")
    assert one != two


def test_a_worker_that_cannot_load_the_workflows_leaves_them_to_others(
    broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    """Else it would take the messages of those that can, and be faster with nothing than they with the work."""
    redis_ = broker.startswith("redis")
    kinds = {"module": "redis" if redis_ else "rabbitmq", "kind": "Redis" if redis_ else "Rabbitmq"}
    text = MODULE.format(**kinds, middleware="TimeLimit", more="", url=broker, store=store, queue="drawbar-dramatiq")
    (tmp_path / "broken.py").write_text(text.replace("tests.support", "no_such"), encoding="utf-8")
    (tmp_path / "sound.py").write_text(text, encoding="utf-8")
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "DRAWBAR_REDISPATCH": "60"}
    broken = processes(dramatiq_worker("broken:broker"), environment).says("leaves them to others: no module")
    processes(dramatiq_worker("sound:broker"), environment).says(READY)
    engine = client(broker, redispatch="60")

    runs = [engine.start_sync(line, Job(folder=tmp_path, n=n)) for n in range(8)]

    assert [run.result_sync(30).unwrap() for run in runs] == [*range(8)]
    assert broken.stop() == 0


def test_a_project_that_keeps_all_results_keeps_none_of_ours(
    redis_broker: str, store: str, client: OpenClient, processes: Processes, tmp_path: Path
) -> None:
    with services.redis_database() as results:
        more = (
            "from dramatiq.results import Results\n"
            "from dramatiq.results.backends.redis import RedisBackend\n"
            f"broker.add_middleware(Results(backend=RedisBackend(url={results!r}), store_results=True))"
        )
        kinds = {"module": "redis", "kind": "Redis", "middleware": "TimeLimit", "more": more}
        text = MODULE.format(**kinds, url=redis_broker, store=store, queue="drawbar-dramatiq")
        (tmp_path / "theirs.py").write_text(text, encoding="utf-8")
        worker = processes(dramatiq_worker("theirs:broker"), {"PYTHONPATH": f"{tmp_path}:{ROOT}"}).says(READY)

        assert client(redis_broker).start_sync(line, Job(folder=tmp_path, n=7)).result_sync(30).unwrap() == 7

        assert worker.stop() == 0  # whatever is to be written is there
        with redis.Redis.from_url(results) as connection:
            assert connection.keys() == []
