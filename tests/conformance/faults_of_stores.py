"""Stores that do what a store must not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from drawbar.records import Due, FanOut, RunStatus, TaskStatus
from drawbar.stores import control, places, transitions
from drawbar.stores.change import Change
from drawbar.stores.memory.rows import MemoryReader, MemoryRows
from tests.conformance.breaking import fault


def _claims_as_if_scheduled(*wrong: TaskStatus) -> Any:
    def replace(claim: Any) -> Any:
        def broken(rows: Any, run_id: str, address: str, *rest: Any) -> Any:
            run = rows.run(run_id)
            task = rows.task(run, address) if run is not None else None
            if task is not None and task.status in wrong:
                task.status = TaskStatus.SCHEDULED
            return claim(rows, run_id, address, *rest)

        return broken

    return replace


@fault(transitions, "claim", "IDEM-02", "IDEM-07")
def claims_what_runs(claim: Any) -> Any:
    return _claims_as_if_scheduled(TaskStatus.RUNNING)(claim)


@fault(transitions, "claim", "IDEM-01")
def claims_what_is_done(claim: Any) -> Any:
    return _claims_as_if_scheduled(TaskStatus.COMPLETED)(claim)


@fault(transitions, "claim", "IDEM-03")
def claims_what_is_suspended(claim: Any) -> Any:
    return _claims_as_if_scheduled(TaskStatus.SUSPENDED)(claim)


@fault(transitions, "claim", "IDEM-03")
def claims_joins_that_wait(claim: Any) -> Any:
    return _claims_as_if_scheduled(TaskStatus.JOINING)(claim)


@fault(transitions, "claim", "TIMER-07")
def claims_what_sleeps(claim: Any) -> Any:
    return _claims_as_if_scheduled(TaskStatus.SLEEPING)(claim)


def _claimed(change: Any) -> Any:
    """Does something to every task that is claimed, in place too."""

    def replace(claim: Any) -> Any:
        def broken(*args: Any, **options: Any) -> Any:
            claimed = claim(*args, **options)
            task = getattr(claimed, "task", None) or getattr(claimed, "next", None)
            if task is not None:
                change(task)
            return claimed

        return broken

    return replace


@fault(transitions, "claim", "RETRY-02")
def counts_no_failures(claim: Any) -> Any:
    return _claimed(lambda task: setattr(task, "failures", 0))(claim)


@fault(transitions, "claim", "RETRY-11")
def knows_only_the_first_start(claim: Any) -> Any:
    def broken(rows: Any, run_id: str, address: str, *rest: Any) -> Any:
        run = rows.run(run_id)
        task = rows.task(run, address) if run is not None else None
        first = task.started_at if task is not None else None
        claimed = claim(rows, run_id, address, *rest)
        if first is not None and claimed.task is not None:
            rows.task(run, address).started_at = first
        return claimed

    return broken


@fault(Change, "_settle", "RETRY-10")
def runs_while_it_waits_for_a_retry(settle: Any) -> Any:
    def broken(self: Any) -> None:
        settle(self)
        if self.run.timed and self.rows.among(self.run, (TaskStatus.RETRYING,)):
            self.run.status = RunStatus.RUNNING

    return broken


@fault(transitions, "claim", "SUSP-02", "SUSP-09")
def forgets_what_was_suspended_with(claim: Any) -> Any:
    return _claimed(lambda task: setattr(task, "payload", None))(claim)


@fault(transitions, "claim", "SUSP-02", "EVT-06")
def forgets_what_came_from_outside(claim: Any) -> Any:
    return _claimed(lambda task: setattr(task, "data", None))(claim)


@fault(transitions, "claim", "RECV-04", lives=None)
def counts_no_deaths(claim: Any) -> Any:
    return _claimed(lambda task: setattr(task, "lost", 0))(claim)


def _committed(change: Any) -> Any:
    """Does something to every transition."""

    def replace(commit: Any) -> Any:
        def broken(rows: Any, transition: Any) -> Any:
            change(rows, transition)
            return commit(rows, transition)

        return broken

    return replace


@fault(transitions, "commit", "STATE-01", "BIND-05")
def merges_no_state(commit: Any) -> Any:
    return _committed(lambda rows, transition: setattr(transition, "state", None))(commit)


@fault(transitions, "commit", "STATE-05")
def drops_the_state_of_what_suspends(commit: Any) -> Any:
    def change(rows: Any, transition: Any) -> None:
        if transition.status is TaskStatus.SUSPENDED:
            transition.state = None

    return _committed(change)(commit)


@fault(transitions, "commit", "EVT-04")
def tells_of_no_suspension(commit: Any) -> Any:
    def change(rows: Any, transition: Any) -> None:
        if transition.status is TaskStatus.SUSPENDED:
            transition.events = ()

    return _committed(change)(commit)


@fault(transitions, "commit", "EACH-09")
def counts_the_suspended_as_busy(commit: Any) -> Any:
    def change(rows: Any, transition: Any) -> None:
        if transition.status is TaskStatus.SUSPENDED:
            rows.task(rows.run(transition.run_id), transition.address).fan = None

    return _committed(change)(commit)


@fault(places.Places, "fall", "EACH-11")
def frees_the_innermost_place_alone(fall: Any) -> Any:
    def broken(self: Any, fan: str | None, to: int) -> None:
        join = self._join(fan) if fan is not None else None
        if join is not None:
            outer, join.fan = join.fan, None
            fall(self, fan, to)
            join.fan = outer

    return broken


@fault(places.Places, "fall", "EACH-12")
def counts_the_sleeping_as_busy(fall: Any) -> Any:
    def broken(self: Any, fan: str | None, to: int) -> None:
        join = self._join(fan) if fan is not None else None
        if join is not None:
            limit, join.places = join.places, join.places or 1000
            fall(self, fan, to)
            join.places = limit

    return broken


@fault(places.Places, "fall", "EACH-12")
def frees_the_places_of_a_limit_too(fall: Any) -> Any:
    def broken(self: Any, fan: str | None, to: int) -> None:
        fall(self, fan, to)
        if fan is not None and to is places.TIMED and self._operation.rows.task(self._operation.run, fan).places:
            self._operation.pull(fan)

    return broken


@fault(places, "is_full", "EACH-13")
def resumes_without_a_place(is_full: Any) -> Any:
    return lambda join: False


@fault(MemoryRows, "resumed", "EACH-13")
def lets_the_newest_resume_go_first(resumed: Any) -> Any:
    def broken(self: Any, run: Any, join: str) -> Any:
        return next(reversed(run.turns.get(join, {}).values()), None)

    return broken


@fault(transitions, "commit", "SUSP-08")
def forgets_resume_data_on_retries(commit: Any) -> Any:
    def change(rows: Any, transition: Any) -> None:
        if transition.status is TaskStatus.RETRYING:
            rows.task(rows.run(transition.run_id), transition.address).data = None

    return _committed(change)(commit)


@fault(transitions, "commit", "JOIN-04", "JOIN-02")
def joins_one_short(commit: Any) -> Any:
    def change(rows: Any, transition: Any) -> None:
        if isinstance(transition.next, FanOut) and transition.next.total > 1:
            transition.next.total -= 1

    return _committed(change)(commit)


@fault(transitions, "commit", "EACH-02")
def has_no_window(commit: Any) -> Any:
    def change(rows: Any, transition: Any) -> None:
        if isinstance(transition.next, FanOut):
            transition.next.window = transition.next.total

    return _committed(change)(commit)


@fault(transitions, "commit", "BAIL-03")
def cancels_nothing_on_bail(commit: Any) -> Any:
    return _committed(lambda rows, transition: setattr(transition, "bail", None))(commit)


@fault(transitions, "commit", "EVT-01", "EVT-05")
def tells_everything_twice(commit: Any) -> Any:
    def change(rows: Any, transition: Any) -> None:
        transition.events = [event for event in transition.events for _ in range(2)]

    return _committed(change)(commit)


@fault(transitions, "commit", "RECV-08", lives=None)
def lets_everybody_commit(commit: Any) -> Any:
    def change(rows: Any, transition: Any) -> None:
        run = rows.run(transition.run_id)
        task = rows.task(run, transition.address)
        if task is not None:
            transition.attempt = task.attempt

    return _committed(change)(commit)


@fault(transitions, "create", "RUN-04")
def replaces_runs(create: Any) -> Any:
    def broken(rows: Any, new: Any) -> Any:
        if rows.run(new.id) is not None:
            rows.drop(new.id)
        return create(rows, new)

    return broken


@fault(transitions, "create", "META-01", "RUN-12", lives="TYPE-02")
def forgets_the_metadata(create: Any) -> Any:
    def broken(rows: Any, new: Any) -> Any:
        new.metadata = {}
        return create(rows, new)

    return broken


@fault(transitions.Change, "cancel", "FAIL-02", "CANC-03")
def ends_runs_whose_tasks_go_on(cancel: Any) -> Any:
    return lambda self, tasks, *, keep: None


@fault(transitions, "create", "RUN-05")
def sees_no_conflict(create: Any) -> Any:
    def broken(rows: Any, new: Any) -> Any:
        run, created = create(rows, new)
        run.workflow_id, run.input = new.workflow_id, new.input
        return run, created

    return broken


@fault(control, "due", "IDEM-04", "TIMER-01", "RETRY-03")
def finds_nothing_due(due: Any) -> Any:
    return lambda rows, limit, *, undelivered: Due((), None)


@fault(control, "cancel", "CANC-01", "CANC-02")
def is_deaf_to_cancel(cancel: Any) -> Any:
    return lambda rows, run_id, reason, callback: (True, ())


@fault(control, "cancel", "CANC-04")
def cancels_what_has_ended(cancel: Any) -> Any:
    def broken(rows: Any, run_id: str, reason: Any, callback: bool) -> Any:
        cancel(rows, run_id, reason, callback)
        return True, ()

    return broken


@fault(control, "send_event", "EVT-12")
def wakes_every_ear(send_event: Any) -> Any:
    def broken(rows: Any, run_id: str, name: str, payload: Any) -> Any:
        ready = list(send_event(rows, run_id, name, payload))
        while rows.listening(rows.run(run_id), name) is not None:
            ready += send_event(rows, run_id, name, payload)
        return ready

    return broken


@fault(control, "send_event", "EVT-10")
def takes_events_after_the_end(send_event: Any) -> Any:
    return lambda rows, run_id, *rest: () if rows.run(run_id).status.finished else send_event(rows, run_id, *rest)


@fault(control, "retry", "AGAIN-01")
def does_everything_again(retry: Any) -> Any:
    def broken(rows: Any, run_id: str) -> Any:
        run = rows.run(run_id)
        for task in rows.among(run, [TaskStatus.COMPLETED]):
            if task.kind.value == "step":
                task.status, task.was = TaskStatus.CANCELLED, TaskStatus.RUNNING
        return retry(rows, run_id)

    return broken


@fault(MemoryRows, "held", "EACH-06", "EACH-02")
def pulls_nothing(held: Any) -> Any:
    return lambda self, run, join: None


@fault(MemoryRows, "post", "EVT-07")
def keeps_no_mail(post: Any) -> Any:
    return lambda self, run, event, payload: None


@fault(MemoryRows, "merge", "STATE-01", "STATE-03")
def replaces_the_state(merge: Any) -> Any:
    def broken(self: Any, run: Any, state: Any) -> None:
        run.state = dict(state)

    return broken


@fault(MemoryReader, "tasks", "RUN-02", "LOOP-03")
def reverses_the_order_of_tasks(tasks: Any) -> Any:
    return lambda self, run_id, statuses: [*tasks(self, run_id, statuses)][::-1]


@fault(MemoryReader, "runs", "META-02")
def ignores_the_metadata_filter(runs: Any) -> Any:
    return lambda self, workflow_id, status, metadata, limit: runs(self, workflow_id, status, None, limit)


@fault(MemoryReader, "runs", "META-02")
def lists_the_oldest_first(runs: Any) -> Any:
    return lambda self, *filters: [*runs(self, *filters)][::-1]


@fault(MemoryReader, "events", "EVT-02")
def leaves_gaps_between_events(events: Any) -> Any:
    def broken(self: Any, run_id: str, after: int, limit: int) -> Any:
        return [replace(event, seq=event.seq + event.seq // 4) for event in events(self, run_id, after, limit)]

    return broken
