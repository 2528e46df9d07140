"""A core, or an engine, that does what the contract forbids."""

from __future__ import annotations

import json
from typing import Any

from drawbar import attempt, client, jsonform, runner, runs
from drawbar.context import Context
from drawbar.graph.workflow import Workflow
from drawbar.machine import Machine
from drawbar.plan import Node, Op
from drawbar.records import RunStatus
from drawbar.runner import Runner
from drawbar.steps.policy import Retry
from drawbar.steps.step import Step
from drawbar.worker import Worker
from drawbar.workflows import Workflows
from drawbar_local import LocalEngine
from tests.conformance.breaking import fault


@fault(Retry, "allows", "RETRY-04", "RETRY-05")
def retries_every_error(allows: Any) -> Any:
    return lambda self, error: True


@fault(Retry, "wait", "RETRY-03")
def is_impatient(wait: Any) -> Any:
    return lambda self, failures, spread: 0.0


@fault(Runner, "_failed", "STATE-04")
def keeps_the_state_of_what_fails(failed: Any) -> Any:
    async def broken(
        self: Any, hold: Any, task: Any, node: Any, numbers: Any, outcome: Any, ctx: Any = None, *rest: Any
    ) -> Any:
        transition = await failed(self, hold, task, node, numbers, outcome, ctx, *rest)
        transition.state = ctx.updates if ctx is not None else None
        return transition

    return broken


@fault(Runner, "_ask", "BRANCH-04", "BRANCH-05", "LOOP-04", "TIMER-06")
def asks_twice(ask: Any) -> Any:
    async def broken(self: Any, hold: Any, wanted: Any) -> Any:
        await ask(self, hold, wanted)
        return await ask(self, hold, wanted)

    return broken


@fault(Runner, "_ask", "FAIL-05", "FAIL-06")
def swallows_the_errors_of_callables(ask: Any) -> Any:
    async def broken(self: Any, hold: Any, wanted: Any) -> Any:
        try:
            return await ask(self, hold, wanted)
        except LookupError:
            return {Op.CHOOSE: None, Op.AGAIN: True}.get(wanted.node.op)

    return broken


@fault(Runner, "_ask", "NEST-03", "TYPE-07")
def checks_no_types_of_workflows(ask: Any) -> Any:
    async def broken(self: Any, hold: Any, wanted: Any) -> Any:
        return wanted.value if wanted.node.op is Op.CHECK else await ask(self, hold, wanted)

    return broken


@fault(Runner, "_check_size", "TYPE-06")
def has_no_size_limit(check: Any) -> Any:
    return lambda self, value, what: None


@fault(Runner, "_fall_back", "FAIL-07", "FAIL-08")
def has_nothing_to_fall_back_on(fall_back: Any) -> Any:
    async def broken(self: Any, hold: Any, task: Any, node: Any, numbers: Any, info: Any, error: Any) -> Any:
        return self._fail(hold, task, task.address, error)

    return broken


@fault(runner, "run_callbacks", "RUN-14", "RUN-15")
def calls_nobody_back(run_callbacks: Any) -> Any:
    async def broken(*args: Any) -> None:
        return None

    return broken


@fault(runner, "_info", "FAIL-01", "FAIL-10")
def tells_little_of_errors(info: Any) -> Any:
    return lambda error, address, attempts: {**info(error, address, attempts), "type": "Exception"}


@fault(runner, "_payload", "EVT-08", "EVT-09")
def knows_no_defaults(payload: Any) -> Any:
    return lambda task, node: payload(task, node) if task.data is not None else "too late"


@fault(client, "memos", "AGAIN-04", "AGAIN-05")
def forks_from_nothing(memos: Any) -> Any:
    return lambda plan, tasks, from_step, given: []


@fault(Machine, "gather", "EACH-01", "JOIN-02")
def gathers_in_another_order(gather: Any) -> Any:
    def broken(self: Any, node: Any, slots: Any) -> Any:
        gathered = gather(self, node, slots)
        return gathered[::-1] if isinstance(gathered, list) else dict(reversed(gathered.items()))

    return broken


@fault(Machine, "gather", "EACH-05")
def gathers_no_none(gather: Any) -> Any:
    def broken(self: Any, node: Any, slots: Any) -> Any:
        gathered = gather(self, node, slots)
        return [each for each in gathered if each is not None] if isinstance(gathered, list) else gathered

    return broken


@fault(Machine, "bail", "BAIL-02", "BAIL-04")
def bails_out_of_everything(bail: Any) -> Any:
    return lambda self, node, numbers, value, records: ("", self.enter(self.plan.exit, (), value, records))


@fault(Machine, "answer", "BRANCH-02")
def always_runs_otherwise(answer: Any) -> Any:
    def broken(self: Any, ask: Any, given: Any, records: Any) -> Any:
        if ask.node.op is Op.BRANCH and ask.node.source.otherwise is not None:
            given = [*given, len(ask.node.bodies) - 1]
        return answer(self, ask, given, records)

    return broken


@fault(Machine, "answer", "CHOOSE-02")
def never_runs_otherwise(answer: Any) -> Any:
    def broken(self: Any, ask: Any, given: Any, records: Any) -> Any:
        if ask.node.op is Op.CHOOSE and given is None:
            return self.leave(ask.node, ask.numbers, ask.value, records)
        return answer(self, ask, given, records)

    return broken


@fault(Machine, "answer", "BRANCH-01")
def branches_to_one_only(answer: Any) -> Any:
    def broken(self: Any, ask: Any, given: Any, records: Any) -> Any:
        return answer(self, ask, given[:1] if ask.node.op is Op.BRANCH else given, records)

    return broken


@fault(Machine, "answer", "LOOP-02", lives="LOOP-01")
def takes_while_for_until(answer: Any) -> Any:
    def broken(self: Any, ask: Any, given: Any, records: Any) -> Any:
        if ask.node.op is Op.AGAIN and not ask.node.source.until:
            given = not given
        return answer(self, ask, given, records)

    return broken


@fault(Machine, "enter", "EACH-04")
def takes_anything_for_a_list(enter: Any) -> Any:
    def broken(self: Any, node: Any, numbers: Any, value: Any, records: Any) -> Any:
        if node.op is Op.FOREACH and not isinstance(value, list):
            value = list(value) if isinstance(value, str | dict) else [value]
        return enter(self, node, numbers, value, records)

    return broken


@fault(Machine, "_timer", "TIMER-01", "TIMER-02", "TIMER-03")
def does_not_sleep(timer: Any) -> Any:
    return lambda self, node, numbers, value, delay=None, until=None: timer(self, node, numbers, value, 0.0)


@fault(Node, "iteration", "LOOP-03")
def counts_from_zero(iteration: Any) -> Any:
    def broken(self: Any, numbers: Any) -> Any:
        number = iteration(self, numbers)
        return None if number is None else number - 1

    return broken


@fault(Node, "index", "EACH-07")
def numbers_items_from_one(index: Any) -> Any:
    def broken(self: Any, numbers: Any) -> Any:
        number = index(self, numbers)
        return None if number is None else number + 1

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
    return lambda step, ctx, args, kwargs: attempt._run(step, args, kwargs)


@fault(attempt, "_run", "RUN-13")
def runs_everything_in_the_loop(run: Any) -> Any:
    async def broken(step: Any, args: Any, kwargs: Any) -> Any:
        return await step.fn(*args, **kwargs) if step.is_async else step.fn(*args, **kwargs)

    return broken


@fault(Step, "dump", "TYPE-03")
def turns_numbers_to_floats(dump: Any) -> Any:
    def broken(self: Any, output: Any) -> Any:
        form = dump(self, output)
        return json.loads(json.dumps(form), parse_int=float)

    return broken


@fault(Step, "dump", "FAIL-09", "TYPE-04")
def looks_at_no_output(dump: Any) -> Any:
    return lambda self, output: output


@fault(Worker, "abandon", "FAIL-03", "FAIL-04", "CANC-01")
def interrupts_nobody(abandon: Any) -> Any:
    return lambda self, hold: None


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


@fault(Workflows, "find", "SEC-04")
def takes_any_fingerprint(find: Any) -> Any:
    def broken(self: Any, workflow_id: str, fingerprint: str) -> Any:
        found = find(self, workflow_id, fingerprint)
        return found or next((plan for plan in self if plan.id == workflow_id), None)

    return broken


@fault(Workflows, "find", "SEC-07")
def imports_what_a_message_names(find: Any) -> Any:
    def broken(self: Any, workflow_id: str, fingerprint: str) -> Any:
        import importlib

        found = find(self, workflow_id, fingerprint)
        if found is None:
            importlib.import_module(workflow_id.partition(":")[0])
        return found

    return broken


@fault(Workflow, "accept", "RUN-06")
def accepts_any_input(accept: Any) -> Any:
    return lambda self, given=None: jsonform.plain(given)


@fault(runs, "_pick", "SUSP-05")
def picks_one_of_several(pick: Any) -> Any:
    return lambda run_id, tasks, step: pick(run_id, tasks[:1] if step is None else tasks, step)


@fault(runs, "_fitting", "EVT-11")
def sends_any_payload(fitting: Any) -> Any:
    return lambda workflow, name, value: value


@fault(runs.RunResult, "unwrap", "RUN-18", "SUSP-01", "CANC-01")
def unwraps_everything(unwrap: Any) -> Any:
    return lambda self: self.output


@fault(client.Client, "wait_settled", "RUN-07")
def waits_longer_than_asked(wait: Any) -> Any:
    return lambda self, run_id, timeout: wait(self, run_id, 3 if timeout == 0.1 else timeout)


@fault(client, "SETTLED", "SUSP-01", lives="RUN-01")
def takes_suspended_for_running(settled: Any) -> Any:
    return settled - {RunStatus.SUSPENDED}


@fault(Step, "bind", "TYPE-05")
def shares_what_it_should_copy(bind: Any) -> Any:
    def broken(self: Any, value: Any, *rest: Any) -> Any:
        args, kwargs = bind(self, value, *rest)
        same = {name: value for name, each in kwargs.items() if each == value}
        return [value if each == value else each for each in args], {**kwargs, **same}

    return broken


@fault(LocalEngine, "_work", lives=None)
def runs_no_message(work: Any) -> Any:
    async def broken(self: Any, message: Any) -> None:
        return None

    return broken
