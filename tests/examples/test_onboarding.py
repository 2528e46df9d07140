"""The onboarding example: a new colleague gets an account, a mail and a letter, after an approval if needed."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest
from onboarding import Decision, Signup, Welcome, onboarding

from drawbar import open_engine
from tests.examples.conftest import Command, in_process


@in_process
def test_a_free_plan_needs_no_approval(tmp_path: Path) -> None:
    signup = Signup(name="Grace Hopper", email="grace@cobol.example", office=tmp_path)

    welcome = onboarding.run_sync(signup, engine="local", store="memory://").unwrap()

    assert welcome.status == "welcome"
    assert json.loads((tmp_path / "directory" / "grace-hopper.json").read_text())["plan"] == "free"
    assert welcome.mail is not None
    assert welcome.mail.read_text().startswith("To: grace@cobol.example")
    assert welcome.letter is not None
    assert "Dear Grace Hopper" in welcome.letter.read_text()


@in_process
def test_the_mail_is_tried_until_the_gateway_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAWBAR_EXAMPLE_COUNTER", str(tmp_path / "counter"))
    (tmp_path / "gateway-outages").write_text("3")

    result = onboarding.run_sync(
        {"name": "Grace Hopper", "email": "grace@cobol.example", "office": tmp_path},
        engine="local",
        store="memory://",
    )

    assert result.status == "completed"
    assert result.steps["mail"].attempts == 4
    counted = (tmp_path / "counter").read_text().splitlines()
    assert counted.count("mail grace-hopper") == 4
    assert counted.count("account grace-hopper") == counted.count("letter grace-hopper") == 1
    assert [mail.name for mail in (tmp_path / "outbox").iterdir()] == ["grace-hopper.eml"]


@in_process
def test_a_gateway_that_stays_down_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "gateway-outages").write_text("99")

    result = onboarding.run_sync(
        {"name": "Grace Hopper", "email": "grace@cobol.example", "office": tmp_path},
        engine="local",
        store="memory://",
    )

    assert result.status == "failed"
    assert result.steps["mail"].attempts == 4
    assert not (tmp_path / "outbox").exists()


@in_process
def test_a_declined_signup_creates_no_account(tmp_path: Path) -> None:
    async def decline() -> Welcome:
        signup = Signup(name="Ada", email="ada@engines.example", plan="team", office=tmp_path)
        async with open_engine("local", store="memory://") as engine:
            run = await engine.start(onboarding, signup)
            waiting = await run.result(timeout=20)
            assert waiting.suspended == {"approve": {"question": "May Ada have a team plan?"}}
            await run.resume(Decision(approved=False, by="Charles"))
            return (await run.result(timeout=20)).unwrap()

    assert anyio.run(decline).status == "declined"
    assert list(tmp_path.iterdir()) == []


def test_approval_from_the_command_line(examples: Path, command: Command, tmp_path: Path) -> None:
    file = f"{examples}/onboarding/onboarding.py"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "gateway-outages").write_text("2")

    asked = command("run", f"{file}:onboarding", "--input", f"@{examples}/onboarding/ada.json", "--json")

    assert asked.returncode == 3, asked.stderr
    suspended = json.loads(asked.stdout)
    assert suspended["status"] == "suspended"
    assert suspended["suspended"] == {"approve": {"question": "May Ada Lovelace have a team plan?"}}
    assert not (tmp_path / "out" / "directory").exists()

    resume = ("runs", "resume", suspended["run_id"], "--workflows", file, "--wait", "--json")
    refused = command(*resume, "--data", '{"approved": "perhaps"}')
    assert refused.returncode == 2
    assert "approve" in refused.stderr
    resumed = command(*resume, "--data", '{"approved": true, "by": "Charles"}')

    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["output"]["status"] == "welcome"
    account = json.loads((tmp_path / "out" / "directory" / "ada-lovelace.json").read_text())
    assert account["approved_by"] == "Charles"
    assert "Charles has approved" in (tmp_path / "out" / "letters" / "ada-lovelace.txt").read_text()
    assert (tmp_path / "out" / "outbox" / "ada-lovelace.eml").exists()
    assert (tmp_path / "out" / "gateway-outages").read_text() == "0"
