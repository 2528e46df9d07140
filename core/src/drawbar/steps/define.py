"""The decorator `step`: it makes steps of functions, and rejects what cannot be a step."""

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
from drawbar.steps.step import Step, StepSequence
from drawbar.values.numbers import is_duration

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
    """Make a step of a function: as a decorator, with or without options, or by a call.

    ::

        @step
        async def fetch_user(user_id: str) -> User: ...

        @step(retry=3, timeout=30)
        def send_email(to: str, body: str) -> Receipt: ...

        resize = step(imaging.resize, id="resize")

    Args:
        fn: The function, sync or async, from any module. Or a step, for example one of `load_steps`: the options given
            here then replace those of the step.
        id: Id of the step in a workflow. Default: the function's name.
        retry: The retry policy: a `Retry`, or the number of attempts. Default: the `retry=` of the workflow, else one
            attempt.
        timeout: Longest time of one attempt, in seconds or as a timedelta. Default: no limit.
        fallback: The output when all attempts have failed: a value, or a step that gets the same input. Default: the
            run fails.
        run_in: The place where a sync function runs: `"thread"` (default), `"inline"` in the event loop, or
            `"process"`.
        queue: The queue of this step, on engines that have queues. Default: the queue of the setting `queue`.
        input: The type of the value, in place of the annotations of the parameters.
        output: The type of the output, in place of the return annotation.
        resume: The type of the data that a suspended task is resumed with. Default: any JSON.

    Returns:
        The step; without `fn`, a decorator that makes it.

    Raises:
        StepError: The function cannot be a step, or an option is wrong. The message says why, and what to do.
    """
    policy = _policy(retry, timeout, fallback, run_in, queue)

    def make(fn: Callable[..., Any]) -> Step[..., Any]:
        if isinstance(fn, Step):
            named = fn if id is None else fn.with_id(id)
            made = named.but(_merged_policy(policy, fn.policy, run_in), input=input, output=output, resume=resume)
        else:
            _check_callable(fn)
            made = Step(fn, id=_id_of(fn, id), policy=policy, input=input, output=output, resume=resume)
        if made.is_async and made.policy.run_in == "process":
            raise StepError(
                f"step {made.id!r} is async and runs in the event loop: run_in='process' is for sync functions"
            )
        return made

    return make if fn is None else make(fn)


def as_step(thing: Any, id: str | None = None) -> Step[..., Any]:
    """Return a step as it is, or make one of a plain function.

    Args:
        thing: The step or function.
        id: Id of a step made of a function. Default: the function's name.

    Raises:
        StepError: It is neither a step nor a function that can be one.
    """
    if isinstance(thing, Step):
        return thing
    _check_callable(thing)  # Also rejects None, for which `step` returns a decorator.
    return cast("Step[..., Any]", step(thing, id=id))


def _policy(retry: Any, timeout: Any, fallback: Any, run_in: Any, queue: Any) -> Policy:
    if isinstance(timeout, timedelta):
        timeout = timeout.total_seconds()
    if timeout is not None and not (is_duration(timeout) and timeout > 0):
        raise StepError(f"step(timeout={timeout!r}): give seconds, more than 0, or a timedelta; at most 100 years")
    if retry is not None and (isinstance(retry, bool) or not isinstance(retry, int | Retry)):
        raise StepError(f"step(retry={retry!r}): give a Retry(…), or a number of attempts")
    run_in = "thread" if run_in is None else run_in
    if run_in not in ("thread", "inline", "process"):
        raise StepError(f"step(run_in={run_in!r}): give 'thread', 'inline' or 'process'")
    if queue is not None and (not isinstance(queue, str) or not queue):
        raise StepError(f"step(queue={queue!r}): give the name of a queue")
    given = fallback is not _UNSET
    if given and callable(fallback):
        # The id of a fallback is not used in addresses, so a lambda needs none.
        fallback = as_step(fallback, "fallback" if getattr(fallback, "__name__", "") == "<lambda>" else None)
    elif isinstance(fallback, StepSequence):
        raise StepError("step(fallback=…): give a value or one step; a workflow or chain cannot be a fallback")
    return Policy(
        retry=Retry.of(retry),
        timeout=timeout,
        run_in=run_in,
        queue=queue,
        has_fallback=given,
        fallback=fallback if given else None,
    )


def _merged_policy(given: Policy, existing: Policy, run_in: RunIn | None) -> Policy:
    """Return the policy of an existing step, with the options that are given now in place of its own."""
    return Policy(
        retry=given.retry or existing.retry,
        timeout=existing.timeout if given.timeout is None else given.timeout,
        run_in=existing.run_in if run_in is None else run_in,
        queue=given.queue or existing.queue,
        has_fallback=given.has_fallback or existing.has_fallback,
        fallback=given.fallback if given.has_fallback else existing.fallback,
    )


def _check_callable(fn: Any) -> None:
    name = getattr(fn, "__qualname__", None) or repr(fn)
    if inspect.isawaitable(fn):
        if inspect.iscoroutine(fn):
            fn.close()  # Otherwise Python warns that it was never awaited.
        raise StepError(f"{name} was called: give the function itself, without parentheses")
    if inspect.isclass(fn):
        raise StepError(f"{name} is a class; give a function that makes an instance")
    if not callable(fn):
        raise StepError(f"{fn!r} cannot be called; a step is made of a function")
    plain = fn
    while isinstance(plain, functools.partial):
        plain = plain.func
    if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
        raise StepError(f"{name} is a generator; a step returns one value: return a list, or use ctx.emit()")
    if inspect.isfunction(plain) and next(iter(inspect.signature(plain).parameters), "") == "self" and plain is fn:
        raise StepError(f"{name} is an unbound method; give a bound one: step(obj.{plain.__name__})")


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
