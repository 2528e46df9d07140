# ruff: noqa: D403, D415 -- the directive `use step` is the first line of a docstring, and no sentence
"""What the office does for a newcomer: plain functions on a folder. Nothing in here knows Drawbar.

A function whose docstring starts with the line `use step` is a step; `onboarding.py` loads them with
`load_steps`. The folder stands for a company's services: `directory/` for the accounts, `letters/` for the
printer, `outbox/` for the mail gateway. The gateway fails as often as the file `gateway-outages` says.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass
class Person:
    """A newcomer, as the office knows them."""

    id: str
    name: str
    email: str
    plan: Literal["free", "team"]
    office: Path
    approved_by: str | None = None


class GatewayDownError(ConnectionError):
    """The mail gateway does not answer."""


def register(name: str, email: str, plan: Literal["free", "team"], office: Path) -> Person:
    """use step

    Check a signup and give the newcomer an id.
    """
    name, email = " ".join(name.split()), email.strip().lower()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
        raise ValueError(f"not an address: {email!r}")
    person = Person(re.sub(r"\W+", "-", name.lower()).strip("-"), name, email, plan, office)
    count(f"register {person.id}")
    return person


def create_account(person: Person) -> str:
    """use step

    Enter the newcomer in the directory. Doing it twice changes nothing.
    """
    count(f"account {person.id}")
    entry = {key: value for key, value in asdict(person).items() if key != "office"}
    save(person.office / "directory" / f"{person.id}.json", json.dumps(entry, indent=2) + "\n")
    return person.id


def send_mail(person: Person) -> Path:
    """Hand the welcome mail to the gateway. Made a step in `onboarding.py`, which knows how patient to be.

    Raises:
        GatewayDownError: It does not answer; another try may work.
    """
    count(f"mail {person.id}")
    outages = person.office / "gateway-outages"
    left = int(outages.read_text()) if outages.exists() else 0
    if left:
        outages.write_text(str(left - 1))
        raise GatewayDownError("the mail gateway does not answer")
    text = f"To: {person.email}\nSubject: Welcome, {person.name}\n\nYour account is {person.id}.\n"
    return save(person.office / "outbox" / f"{person.id}.eml", text)


def print_letter(person: Person) -> Path:
    """use step

    Print the letter that is sent by post.
    """
    count(f"letter {person.id}")
    approved = f"\n{person.approved_by} has approved your team plan.\n" if person.approved_by else ""
    text = f"Dear {person.name},\n\nwelcome! Your account is {person.id}.\n{approved}\nThe office\n"
    return save(person.office / "letters" / f"{person.id}.txt", text)


def save(path: Path, text: str) -> Path:
    """Write a file under another name and move it into place, so that a crash never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}-{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    return unfinished.replace(path)


def count(what: str) -> None:
    """Note in the file DRAWBAR_EXAMPLE_COUNTER that a step began; take DRAWBAR_EXAMPLE_PAUSE seconds longer.

    Only to demonstrate crash recovery: it shows from outside which steps ran, and leaves time for a kill.
    """
    if counter := os.environ.get("DRAWBAR_EXAMPLE_COUNTER"):
        with Path(counter).open("a", encoding="utf-8") as lines:
            lines.write(f"{what}\n")
    time.sleep(float(os.environ.get("DRAWBAR_EXAMPLE_PAUSE", "0")))
