"""Faults of graphs, steps and policies: each changes the meaning of a workflow."""

from __future__ import annotations

import json
from typing import Any

from drawbar import RetryAfter
from drawbar.graph.definition import WorkflowDefinition
from drawbar.machine import Machine
from drawbar.plan import Node, Op
from drawbar.steps.policy import Retry
from drawbar.steps.step import Step
from drawbar.values import json_form
from drawbar.values.shape import Shape
from tests.conformance.breaking import fault


@fault(Retry, "allows", "RETRY-04", "RETRY-05")
def retries_every_error(allows: Any) -> Any:
    return lambda self, error: True


@fault(Retry, "wait", "RETRY-03")
def retries_without_delay(wait: Any) -> Any:
    return lambda self, failures, spread: 0.0


@fault(Machine, "gather", "EACH-01", "JOIN-02")
def gathers_in_another_order(gather: Any) -> Any:
    def broken(self: Any, node: Any, slots: Any) -> Any:
        gathered = gather(self, node, slots)
        return gathered[::-1] if isinstance(gathered, list) else dict(reversed(gathered.items()))

    return broken


@fault(Machine, "gather", "EACH-05")
def drops_outputs_that_are_none(gather: Any) -> Any:
    def broken(self: Any, node: Any, slots: Any) -> Any:
        gathered = gather(self, node, slots)
        return [each for each in gathered if each is not None] if isinstance(gathered, list) else gathered

    return broken


@fault(Machine, "bail", "BAIL-02", "BAIL-04")
def bails_out_of_the_whole_run(bail: Any) -> Any:
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


@fault(Machine, "answer", "CHOOSE-01")
def chooses_the_next_arm(answer: Any) -> Any:
    def broken(self: Any, ask: Any, given: Any, records: Any) -> Any:
        if ask.node.op is Op.CHOOSE and given is not None:
            given = min(given + 1, len(ask.node.bodies) - 1)
        return answer(self, ask, given, records)

    return broken


@fault(Machine, "answer", "CHOOSE-03", "BRANCH-03")
def drops_the_value_without_an_arm(answer: Any) -> Any:
    def broken(self: Any, ask: Any, given: Any, records: Any) -> Any:
        if not given and given != 0 and ask.node.op in (Op.CHOOSE, Op.BRANCH) and ask.node.source.otherwise is None:
            return self.leave(ask.node, ask.numbers, None, records)
        return answer(self, ask, given, records)

    return broken


@fault(Machine, "_fan_out_to", "JOIN-01", "JOIN-06")
def starts_arms_without_the_value(fan_out_to: Any) -> Any:
    return lambda self, node, numbers, bodies, value: fan_out_to(self, node, numbers, bodies, None)


@fault(Machine, "answer", "BRANCH-01")
def branches_to_one_arm_only(answer: Any) -> Any:
    def broken(self: Any, ask: Any, given: Any, records: Any) -> Any:
        return answer(self, ask, given[:1] if ask.node.op is Op.BRANCH else given, records)

    return broken


@fault(Machine, "answer", "LOOP-02", lives="LOOP-01")
def treats_while_as_until(answer: Any) -> Any:
    def broken(self: Any, ask: Any, given: Any, records: Any) -> Any:
        if ask.node.op is Op.AGAIN and not ask.node.source.until:
            given = not given
        return answer(self, ask, given, records)

    return broken


@fault(Machine, "enter", "EACH-04")
def iterates_over_any_value(enter: Any) -> Any:
    def broken(self: Any, node: Any, numbers: Any, value: Any, records: Any) -> Any:
        if node.op is Op.FOREACH and not isinstance(value, list):
            value = list(value) if isinstance(value, str | dict) else [value]
        return enter(self, node, numbers, value, records)

    return broken


@fault(Machine, "enter", "EACH-03")
def outputs_none_for_no_items(enter: Any) -> Any:
    def broken(self: Any, node: Any, numbers: Any, value: Any, records: Any) -> Any:
        if node.op is Op.FOREACH and value == []:
            return self.leave(node, numbers, None, records)
        return enter(self, node, numbers, value, records)

    return broken


@fault(Machine, "_timer", "TIMER-01", "TIMER-02", "TIMER-03")
def does_not_sleep(timer: Any) -> Any:
    return lambda self, node, numbers, value, delay=None, until=None: timer(self, node, numbers, value, 0.0)


@fault(Node, "iteration", "LOOP-03")
def counts_iterations_from_zero(iteration: Any) -> Any:
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


@fault(Step, "dump", "TYPE-03")
def turns_numbers_to_floats(dump: Any) -> Any:
    def broken(self: Any, output: Any) -> Any:
        form = dump(self, output)
        return json.loads(json.dumps(form), parse_int=float)

    return broken


@fault(Step, "dump", "FAIL-09", "TYPE-04")
def does_not_validate_outputs(dump: Any) -> Any:
    return lambda self, output: output


@fault(WorkflowDefinition, "accept", "RUN-06")
def accepts_any_input(accept: Any) -> Any:
    return lambda self, given=None: json_form.plain(given)


@fault(Step, "bind", "TYPE-05")
def shares_inputs_between_steps(bind: Any) -> Any:
    def broken(self: Any, value: Any, *rest: Any) -> Any:
        args, kwargs = bind(self, value, *rest)
        same = {name: value for name, each in kwargs.items() if each == value}
        return [value if each == value else each for each in args], {**kwargs, **same}

    return broken


@fault(RetryAfter, "__init__", "RETRY-06")
def ignores_retry_after(init: Any) -> Any:
    return lambda self, seconds, message="": init(self, 0, message)


@fault(Step, "resume", "SUSP-06")
def resumes_with_any_data(resume: Any) -> Any:
    return property(lambda self: None)


@fault(Shape, "revive", "RUN-09", "BRANCH-04")
def passes_plain_data_to_callables(revive: Any) -> Any:
    return lambda self, value, where="": value
