"""Graphs that cannot work. Each line that ends in `# wrong` is one, and a type checker has to object to it."""

from drawbar import workflow
from tests.checkers.right_graphs import (
    Job,
    Signup,
    User,
    count,
    fetch,
    greet,
    half,
    inner,
    on_day,
    promote,
    shout,
    signup,
    users,
    whole_job,
)


def is_job(job: Job) -> bool:
    return job.size > 1


def on_job(job: Job) -> float:
    return job.size


def of_three(user: User, ctx: object, more: object) -> bool:
    return True


users.then(whole_job)  # wrong
users.then(greet).then(half)  # wrong
users.then(greet).then(count)  # wrong
users.then(greet).then(inner)  # wrong
signup.then(on_day).then(fetch)  # wrong
signup.then(promote)  # wrong
users.foreach(greet)  # wrong
signup.then(on_day).foreach(half)  # wrong
users.map(lambda user: user.tags).foreach(half)  # wrong
users.map(lambda user: user.tags).foreach(greet)  # wrong
users.map(lambda user: user.nmae)  # wrong
users.map(on_job)  # wrong
users.choose((is_job, promote))  # wrong
users.branch((is_job, promote))  # wrong
users.choose((of_three, promote))  # wrong
users.choose(promote)  # wrong
users.do_until(whole_job, bool)  # wrong
users.then(greet).do_while(half, bool)  # wrong
users.wait_for("paid", type=Job).then(greet)  # wrong
users.wait_for("paid", type=int).then(shout)  # wrong
users.wait_for("paid", type=list[Job]).foreach(greet)  # wrong
users.sleep("a minute")  # wrong
workflow("out", input=Signup, output=User).then(on_day).commit()  # wrong
workflow("out", input=Signup, output=str).then(fetch).commit()  # wrong
workflow("out", input=Signup, output=list[int]).then(fetch).then(greet).commit()  # wrong
workflow("out", input=list[User], output=str).foreach(greet).commit()  # wrong
