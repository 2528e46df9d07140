"""A worker, a client or an engine that does what the contract forbids."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context as Variables
from contextvars import copy_context
from dataclasses import replace
from typing import Any

import anyio

from drawbar.client import client, fork, session, signals, takeover
from drawbar.client import run as runs
from drawbar.errors import ConfigurationError, InvalidInput
from drawbar.machine import Machine
from drawbar.plan import Op, Plan
from drawbar.records import Message, NewTask, RunStatus
from drawbar.steps.context import Context
from drawbar.values.limits import Limits
from drawbar.worker import attempt, callbacks, worker
from drawbar.worker import task as runner
from drawbar.worker.context import ContextFactory
from drawbar.worker.execution import Execution
from drawbar.worker.registry import WorkflowRegistry
from drawbar.worker.task import TaskRunner
from drawbar.worker.worker import Worker
from drawbar_local import LocalEngine
from tests.conformance.breaking import FAULTS, Fault, fault


@fault(TaskRunner, "_failed", "STATE-04")
def keeps_the_state_of_what_fails(failed: Any) -> Any:
    async def broken(self: Any, execution: Any, error: Any) -> Any:
        transition = await failed(self, execution, error)
        transition.state = execution.ctx.updates if execution.ctx is not None else None
        return transition

    return broken


@fault(TaskRunner, "_evaluate", "BRANCH-04", "BRANCH-05", "LOOP-04", "TIMER-06")
def asks_twice(ask: Any) -> Any:
    async def broken(self: Any, execution: Any, wanted: Any) -> Any:
        await ask(self, execution, wanted)
        return await ask(self, execution, wanted)

    return broken


@fault(TaskRunner, "_evaluate", "FAIL-05", "FAIL-06")
def swallows_the_errors_of_callables(ask: Any) -> Any:
    async def broken(self: Any, execution: Any, wanted: Any) -> Any:
        try:
            return await ask(self, execution, wanted)
        except LookupError:
            return {Op.CHOOSE: None, Op.AGAIN: True}.get(wanted.node.op)

    return broken


@fault(TaskRunner, "_evaluate", "NEST-03", "TYPE-07")
def checks_no_types_of_workflows(ask: Any) -> Any:
    async def broken(self: Any, execution: Any, wanted: Any) -> Any:
        return wanted.value if wanted.node.op is Op.CHECK else await ask(self, execution, wanted)

    return broken


@fault(Limits, "check", "TYPE-06")
def has_no_limits(check: Any) -> Any:
    return lambda self, value, what, error=None: None


@fault(TaskRunner, "_fall_back", "FAIL-07", "FAIL-08")
def has_nothing_to_fall_back_on(fall_back: Any) -> Any:
    async def broken(self: Any, execution: Any, node: Any, error: Any) -> Any:
        return self._fail(execution, error)

    return broken


@fault(runner, "run_callbacks", "RUN-14", "RUN-15")
def calls_nobody_back(run_callbacks: Any) -> Any:
    async def broken(*args: Any) -> None:
        return None

    return broken


@fault(runner, "error_record", "FAIL-01", "FAIL-10")
def tells_little_of_errors(info: Any) -> Any:
    return lambda error, address, attempts: {**info(error, address, attempts), "type": "Exception"}


@fault(runner, "_payload", "EVT-08", "EVT-09")
def knows_no_defaults(payload: Any) -> Any:
    return lambda task, node: payload(task, node) if task.data is not None else "too late"


@fault(fork, "start_of", "AGAIN-04", "AGAIN-05", "FORK-01", "FORK-03", "FORK-04", "FORK-05", "FORK-06", "FORK-09")
def forks_from_nothing(start_of: Any) -> Any:
    def broken(run: Any, plan: Plan, *args: Any) -> Any:
        new = start_of(run, plan, *args)
        return replace(new, tasks=[Machine(plan, 100).start(run.input)], joins=(), state={})

    return broken


@fault(fork, "start_of", "FORK-02")
def forks_without_the_state(start_of: Any) -> Any:
    return lambda *args: replace(start_of(*args), state={})


@fault(takeover, "_again", "FORK-08")
def forks_ask_again(again: Any) -> Any:
    return lambda task: NewTask(task.address, task.kind, task.input, fan=task.fan)


@fault(fork, "find_place", "FORK-07")
def forks_from_the_first_place_of_a_name(find: Any) -> Any:
    def broken(run_id: str, plan: Plan, tasks: Any, name: str) -> Any:
        try:
            return find(run_id, plan, tasks, name)
        except InvalidInput:
            found = [(task, plan.locate(task.address)) for task in tasks if task.kind == "step"]
            task, place = next((task, place) for task, place in found if place and place[0].id == name)
            return task, *place

    return broken


@fault(Context, "suspend", "SUSP-11", lives="RUN-01")
def suspends_by_an_exception(suspend: Any) -> Any:
    def broken(self: Any, payload: Any = None) -> Any:
        try:
            suspend(self, payload)
        except BaseException as signal:
            raise RuntimeError("suspended") from signal

    return broken


@fault(Context, "idempotency_key", "IDEM-05")
def has_a_key_for_each_attempt(key: Any) -> Any:
    return property(lambda self: f"{self.run_id}/{self.address}/{self.attempt}")


@fault(Context, "output_of", "TYPE-01")
def gives_outputs_without_their_types(output_of: Any) -> Any:
    return lambda self, step: output_of(self, getattr(step, "id", step))


@fault(attempt, "_call", "TIME-01", "TIME-02", "TIME-03")
def knows_no_timeout(call: Any) -> Any:
    return lambda step, ctx, args, kwargs, around: attempt._run(step, ctx, args, kwargs, around)


@fault(attempt, "_is_late", "TIME-05", lives="TIME-01")
def believes_what_comes_late(is_late: Any) -> Any:
    return lambda scope: False


@fault(attempt, "_run", "RUN-13")
def runs_everything_in_the_loop(run: Any) -> Any:
    async def broken(step: Any, ctx: Any, args: Any, kwargs: Any, around: Any) -> Any:
        return await step.fn(*args, **kwargs) if step.is_async else step.fn(*args, **kwargs)

    return broken


@fault(Worker, "abandon", "FAIL-03", "FAIL-04", "CANC-01")
def does_not_interrupt_steps(abandon: Any) -> Any:
    return lambda self, execution: None


@fault(Worker, "flush_emitted", "EVT-05")
def tells_when_all_is_over(flush: Any) -> Any:
    async def broken(self: Any) -> None:
        return None

    return broken


@fault(Worker, "renew", "IDEM-08", lives="RUN-01")
def renews_no_lease(renew: Any) -> Any:
    async def broken(self: Any) -> None:
        return None

    return broken


@fault(WorkflowRegistry, "find", "SEC-04")
def takes_any_fingerprint(find: Any) -> Any:
    def broken(self: Any, workflow_id: str, fingerprint: str) -> Any:
        found = find(self, workflow_id, fingerprint)
        return found or next((plan for plan in self if plan.id == workflow_id), None)

    return broken


@fault(WorkflowRegistry, "find", "SEC-07")
def imports_what_a_message_names(find: Any) -> Any:
    def broken(self: Any, workflow_id: str, fingerprint: str) -> Any:
        import importlib

        found = find(self, workflow_id, fingerprint)
        if found is None:
            importlib.import_module(workflow_id.partition(":")[0])
        return found

    return broken


@fault(runs, "suspended_task", "SUSP-05")
def picks_one_of_several(pick: Any) -> Any:
    return lambda run_id, tasks, step: pick(run_id, tasks[:1] if step is None else tasks, step)


@fault(runs, "convert_payload", "EVT-11")
def sends_any_payload(fitting: Any) -> Any:
    return lambda plan, name, value: value


@fault(runs.RunResult, "unwrap", "RUN-18", "SUSP-01", "CANC-01")
def unwraps_everything(unwrap: Any) -> Any:
    return lambda self: self.output


@fault(session.Session, "wait_settled", "RUN-07")
def waits_longer_than_asked(wait: Any) -> Any:
    return lambda self, run_id, timeout, watch: wait(self, run_id, 3 if timeout == 0.1 else timeout, watch)


@fault(session, "SETTLED", "SUSP-01", lives="RUN-01")
def takes_suspended_for_running(settled: Any) -> Any:
    return settled - {RunStatus.SUSPENDED}


@fault(LocalEngine, "_work", lives=None)
def runs_no_message(work: Any) -> Any:
    async def broken(self: Any, group: Any) -> None:
        return None

    return broken


@fault(LocalEngine, "_work", "JOIN-03")
def works_on_one_message_at_a_time(work: Any) -> Any:
    async def broken(self: Any, group: Any) -> None:
        while getattr(self, "busy", False):  # noqa: ASYNC110 - what is broken may be slow
            await anyio.sleep(0.001)
        self.busy = True
        try:
            await work(self, group)
        finally:
            self.busy = False

    return broken


def _takes(kept: Callable[[Message], bool]) -> Any:
    """Works on some messages, and drops the others, however often they are sent."""

    def replace(serve: Any) -> Any:
        async def broken(self: Any, process: Any, **options: Any) -> None:
            async def take(message: Message) -> None:
                if kept(message):
                    await process(message)

            await serve(self, take, **options)

        return broken

    return replace


@fault(LocalEngine, "serve", "RUN-19")
def serves_one_queue_only(serve: Any) -> Any:
    return _takes(lambda message: message.queue != "elsewhere")(serve)


@fault(LocalEngine, "serve", "EACH-01", "EACH-06")
def drops_a_message_of_many(serve: Any) -> Any:
    return _takes(lambda message: not message.address.endswith("[3]"))(serve)


@fault(ContextFactory, "make", "RETRY-01", "TIME-03")
def says_that_every_attempt_is_the_first(make: Any) -> Any:
    def broken(*args: Any, **options: Any) -> Any:
        ctx = make(*args, **options)
        ctx.attempt = 1
        return ctx

    return broken


@fault(ContextFactory, "make", "STATE-02")
def hides_the_state_from_callables(make: Any) -> Any:
    def broken(self: Any, execution: Any, node: Any, numbers: Any, *rest: Any) -> Any:
        ctx = make(self, execution, node, numbers, *rest)
        if not rest:
            ctx._state = {}
        return ctx

    return broken


@fault(Context, "state", "STATE-06")
def knows_no_model_of_the_state(state: Any) -> Any:
    return property(lambda self: self._merged())


@fault(signals, "_step_id", "NEST-05")
def takes_addresses_only(step_id: Any) -> Any:
    return lambda address: address


@fault(attempt, "_outcome_of", "FAIL-11")
def ends_with_its_steps(outcome_of: Any) -> Any:
    def broken(error: BaseException, step: Any) -> Any:
        if isinstance(error, SystemExit):
            raise error
        return outcome_of(error, step)

    return broken


@fault(Machine, "should_widen", "EACH-02")
def brings_more_items_than_may_be_in_flight(should_widen: Any) -> Any:
    return lambda self, address: "[" in address


@fault(Worker, "_not_granted", "SEC-02", "IDEM-03")
def fights_with_strange_messages(not_granted: Any) -> Any:
    async def broken(self: Any, message: Any, claim: Any) -> None:
        raise LookupError(message.address)

    return broken


@fault(Message, "to_dict", "SEC-05")
def sends_more_than_it_has_to(to_dict: Any) -> Any:
    return lambda self: {**to_dict(self), "code": "lambda: None"}


@fault(client.Client, "_check_startable", "SEC-06")
def refuses_main_everywhere(check: Any) -> Any:
    def broken(self: Any, workflow: Any) -> None:
        if workflow.module == "__main__":
            raise ConfigurationError("no")

    return broken


@fault(worker, "in_context", "ISO-01")
def shares_context_variables(in_context: Any) -> Any:
    return lambda context, work: work


_of_client: list[Variables] = []


def _remembers_its_variables(start: Any) -> Any:
    async def broken(*args: Any, **options: Any) -> Any:
        _of_client[:] = [copy_context()]
        return await start(*args, **options)

    return broken


def _starts_with_them(post_init: Any) -> Any:
    def broken(self: Any) -> None:
        self.clean = _of_client[0]
        post_init(self)

    return broken


FAULTS["passes the variables of the client on"] = Fault(
    "passes the variables of the client on",
    ("ISO-02",),
    "RUN-01",
    ((client.Client, "start", _remembers_its_variables), (Execution, "__post_init__", _starts_with_them)),
)


@fault(callbacks, "in_thread", "ISO-03")
def calls_back_in_the_event_loop(in_thread: Any) -> Any:
    async def broken(function: Any, what: str) -> Any:
        return function()

    return broken
