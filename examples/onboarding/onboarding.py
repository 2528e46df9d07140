"""Welcome a new colleague: register, approve a team plan, then create account, mail and letter at the same time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from office import GatewayDownError, Person, send_mail
from pydantic import AfterValidator, BaseModel, ConfigDict

from drawbar import Context, Retry, load_steps, step, workflow

office = load_steps("office")
mail = step(send_mail, id="mail", retry=Retry(max_attempts=4, delay=0.2, backoff=2, on=(GatewayDownError,)))


FromHere = Annotated[Path, AfterValidator(Path.absolute)]
"""A path, made absolute when the run is started: a worker may run in another folder."""


class Signup(BaseModel):
    """The form that a new colleague fills in."""

    model_config = ConfigDict(validate_default=True)

    name: str
    email: str
    plan: Literal["free", "team"] = "free"
    office: FromHere = Path("out")


class Decision(BaseModel):
    """The answer to an approval: the data of `drawbar runs resume`."""

    approved: bool
    by: str


class Welcome(BaseModel):
    """The result of a signup."""

    status: Literal["welcome", "declined"]
    person: str
    account: str | None = None
    mail: Path | None = None
    letter: Path | None = None


@step(resume=Decision)
def approve(person: Person, ctx: Context) -> Person:
    """Ask for an approval. The suspended run occupies no worker until the answer comes."""
    decision = ctx.resume_data
    if decision is None:
        ctx.suspend({"question": f"May {person.name} have a team plan?"})
    if not decision.approved:
        ctx.bail(Welcome(status="declined", person=person.id))
    person.approved_by = decision.by
    return person


def wants_team_plan(person: Person) -> bool:
    """Return True if the plan needs an approval: only a team plan costs money."""
    return person.plan == "team"


onboarding = (
    workflow("onboarding", input=Signup, output=Welcome)
    .then(office.register)
    .choose((wants_team_plan, approve))
    .parallel(
        account=office.create_account,
        mail=mail,
        letter=office.print_letter,
    )
    .map(lambda done, ctx: Welcome(status="welcome", person=done["account"], **done))
    .commit()
)
