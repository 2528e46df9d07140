"""Workflows that no worker of the tests is told of."""

from drawbar import step, workflow


@step
def greet(name: str) -> str:
    return f"Hello, {name}"


@step(queue="gpu")
def draw(name: str) -> str:
    return name


greets = workflow("greets").then(greet).commit()
draws = workflow("draws").then(greet).then(draw).commit()
