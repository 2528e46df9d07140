"""Makes steps of functions: the decorator `step`, and what it refuses."""

# `id` and `input` are the words of the interface.
# ruff: noqa: A002

from __future__ import annotations

import functools
import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from drawbar.errors import StepError
from drawbar.steps.ids import checked_id
from drawbar.steps.policy import Policy, Retry, RunIn
from drawbar.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")
_UNSET: Any = object()


@overload
def step(
    fn: Callable[P, R],
    /,
    *,
    id: str | None = None,
    retry: Retry | int | None = None,
    timeout: float | timedelta | None = None,
    fallback: Any = ...,
    run_in: RunIn | None = None,
    queue: str | None = None,
    input: Any = None,
    output: Any = None,
    resume: Any = None,
) -> Step[P, R]: ...


@overload
def step(
    fn: None = None,
    /,
    *,
    id: str | None = None,
    retry: Retry | int | None = None,
    timeout: float | timedelta | None = None,
    fallback: Any = ...,
    run_in: RunIn | None = None,
    queue: str | None = None,
    input: Any = None,
    output: Any = None,
    resume: Any = None,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...


def step(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    id: str | None = None,
    retry: Retry | int | None = None,
    timeout: float | timedelta | None = None,
    fallback: Any = _UNSET,
    run_in: RunIn | None = None,
    queue: str | None = None,
    input: Any = None,
    output: Any = None,
    resume: Any = None,
) -> Any:
    """Makes a step of a function: as a decorator, with or without options, or by a call.

    ::

        @step
        async def fetch_user(user_id: str) -> User: ...

        @step(retry=3, timeout=30)
        def send_email(to: str, body: str) -> Receipt: ...

        resize = step(imaging.resize, id="resize")

    Args:
        fn: The function; sync or async, from any module. Or a step (of `load_steps`, say): then what is given here
            takes the place of what it has.
        id: Its id in a workflow; left out, the function's name.
        retry: How often it is tried: a `Retry`, or a number of attempts.
        timeout: How long an attempt may take, in seconds or as a timedelta.
        fallback: The output when the attempts are used up: a value, or a step that gets the same input.
        run_in: Where a sync function runs: in a `"thread"` (default), `"inline"` in the event loop, in a `"process"`.
        queue: A queue of its own, on engines that have queues.
        input: The type of the value, in place of the annotations of the parameters.
        output: The type of the output, in place of the return annotation.
        resume: The type of the data that a suspended task is resumed with.

    Raises:
        StepError: It cannot be a step; says why, and what to do.
    """
    policy = _policy(retry, timeout, fallback, run_in, queue)

    def make(fn: Callable[..., Any]) -> Step[..., Any]:
        if isinstance(fn, Step):
            named = fn if id is None else fn.with_id(id)
            made = named.but(_over(policy, fn.policy, run_in), input=input, output=output, resume=resume)
        else:
            _check_callable(fn)
            made = Step(fn, id=_id_of(fn, id), policy=policy, input=input, output=output, resume=resume)
        if made.is_async and made.policy.run_in == "process":
            raise StepError(
                f"step {made.id!r} is async and runs in the event loop: run_in='process' is for sync ones"
            )
        return made

    return make if fn is None else make(fn)


def as_step(thing: Any, id: str | None = None) -> Step[..., Any]:
    """A step as it is, or one made of a plain function (under another id than its name)."""
    if isinstance(thing, Step):
        return thing
    _check_callable(thing)  # None, too, for which `step` means something else
    return cast("Step[..., Any]", step(thing, id=id))


def _policy(retry: Any, timeout: Any, fallback: Any, run_in: Any, queue: Any) -> Policy:
    if isinstance(timeout, timedelta):
        timeout = timeout.total_seconds()
    if timeout is not None and (
        isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0
    ):
        raise StepError(f"step(timeout={timeout!r}): give seconds, more than 0, or a timedelta")
    if retry is not None and (isinstance(retry, bool) or not isinstance(retry, int | Retry)):
        raise StepError(f"step(retry={retry!r}): give a Retry(…), or a number of attempts")
    run_in = "thread" if run_in is None else run_in
    if run_in not in ("thread", "inline", "process"):
        raise StepError(f"step(run_in={run_in!r}): 'thread', 'inline' or 'process'")
    if queue is not None and (not isinstance(queue, str) or not queue):
        raise StepError(f"step(queue={queue!r}): the name of a queue")
    given = fallback is not _UNSET
    if given and callable(fallback):
        # Nothing goes by its id, so that a lambda needs none.
        fallback = as_step(fallback, "fallback" if getattr(fallback, "__name__", "") == "<lambda>" else None)
    elif type(fallback).__module__.startswith(("drawbar.graph.", "drawbar.authoring.")):
        raise StepError("step(fallback=…): a value or one step; a workflow or chain cannot stand in for a step")
    return Policy(
        retry=Retry.of(retry),
        timeout=timeout,
        run_in=run_in,
        queue=queue,
        has_fallback=given,
        fallback=fallback if given else None,
    )


def _over(given: Policy, had: Policy, run_in: RunIn | None) -> Policy:
    """The policy a step had, but for what is given."""
    return Policy(
        retry=given.retry or had.retry,
        timeout=had.timeout if given.timeout is None else given.timeout,
        run_in=had.run_in if run_in is None else run_in,
        queue=given.queue or had.queue,
        has_fallback=given.has_fallback or had.has_fallback,
        fallback=given.fallback if given.has_fallback else had.fallback,
    )


def _check_callable(fn: Any) -> None:
    name = getattr(fn, "__qualname__", None) or repr(fn)
    if inspect.isawaitable(fn):
        if inspect.iscoroutine(fn):
            fn.close()  # or Python warns that it was never awaited
        raise StepError(f"{name} was called: give the function itself, without parentheses")
    if inspect.isclass(fn):
        raise StepError(f"{name} is a class; give a function that makes one")
    if not callable(fn):
        raise StepError(f"{fn!r} cannot be called; a step is made of a function")
    plain = fn
    while isinstance(plain, functools.partial):
        plain = plain.func
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        raise StepError(f"{name} is a generator; a step returns one value: return a list, or use ctx.emit()")
    if (
        inspect.isfunction(plain)
        and next(iter(inspect.signature(plain).parameters), "") == "self"
        and plain is fn
    ):
        raise StepError(f"{name} is a method of no object; give a bound one: step(obj.{plain.__name__})")


def _id_of(fn: Any, given: str | None) -> str:
    if given is not None:
        return checked_id(given, "step", StepError)
    plain = fn
    while isinstance(plain, functools.partial):
        plain = plain.func
    name = getattr(plain, "__name__", None)
    if name is None:
        raise StepError(f"{fn!r} has no name: give it an id, step(…, id='…')")
    if name == "<lambda>":
        raise StepError("a lambda has no name: give it an id, step(lambda …, id='…'), or use .map(lambda …)")
    return checked_id(name, "step", StepError)
