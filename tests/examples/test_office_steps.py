"""The plain functions of the onboarding example, without Drawbar."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from office import GatewayDownError, Person, create_account, print_letter, register, send_mail


@pytest.fixture
def ada(tmp_path: Path) -> Person:
    return register(" Ada  Lovelace", "Ada@Engines.example", "team", tmp_path)


def test_a_signup_is_tidied(ada: Person, tmp_path: Path) -> None:
    assert ada == Person("ada-lovelace", "Ada Lovelace", "ada@engines.example", "team", tmp_path)


@pytest.mark.parametrize("email", ["", "ada", "ada@engines", "ada@x.example, bob@x.example", "a b@x.example"])
def test_an_invalid_address_is_refused(email: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not an address"):
        register("Ada", email, "free", tmp_path)


def test_creating_an_account_twice_changes_nothing(ada: Person, tmp_path: Path) -> None:
    assert create_account(ada) == create_account(ada) == "ada-lovelace"

    assert [entry.name for entry in (tmp_path / "directory").iterdir()] == ["ada-lovelace.json"]
    account = json.loads((tmp_path / "directory" / "ada-lovelace.json").read_text())
    assert account["email"] == "ada@engines.example"
    assert account["approved_by"] is None


def test_mail_gets_through_when_the_gateway_is_up_again(ada: Person, tmp_path: Path) -> None:
    (tmp_path / "gateway-outages").write_text("2")

    for _ in range(2):
        with pytest.raises(GatewayDownError):
            send_mail(ada)
    mail = send_mail(ada)

    assert mail == tmp_path / "outbox" / "ada-lovelace.eml"
    assert mail.read_text().startswith("To: ada@engines.example\nSubject: Welcome, Ada Lovelace\n")


def test_the_letter_says_who_approved(ada: Person) -> None:
    assert "has approved" not in print_letter(ada).read_text()
    ada.approved_by = "Charles"
    assert "Charles has approved your team plan." in print_letter(ada).read_text()
