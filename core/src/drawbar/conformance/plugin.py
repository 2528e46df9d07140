"""The pytest plugin of the kit. Pytest loads it in every project, so it imports Drawbar only when the kit is used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from drawbar.conformance.report import Report

KIT = "drawbar.conformance"
# Also where another file takes them in, their asserts shall tell what they saw.
pytest.register_assert_rewrite(*(f"{KIT}.{file.stem}" for file in Path(__file__).parent.glob("test_*.py")))


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the kit's options. The short names are added only if the command line names the kit."""
    group = parser.getgroup("drawbar conformance")
    group.addoption(
        "--conformance-report",
        action="append",
        default=[],
        metavar="FILE",
        help="write the outcome of each clause to a .json or .md file",
    )
    config: Any = pluginmanager.get_plugin("pytestconfig")
    if not any(KIT in str(argument) for argument in config.invocation_params.args):
        return
    group.addoption("--engine", dest="conformance_engine", metavar="NAME", help="the engine under test")
    group.addoption("--store", dest="conformance_store", metavar="URL", help="the store to test it on")
    group.addoption(
        "--setting",
        dest="conformance_setting",
        action="append",
        default=[],
        type=_pair,
        metavar="KEY=VALUE",
        help="a setting of the engine or the core",
    )
    group.addoption(
        "--xfail",
        dest="conformance_xfail",
        action="append",
        default=[],
        type=_pair,
        metavar="CLAUSE=REASON",
        help="a clause that the engine cannot hold, and the reason; it must fail",
    )


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not value:
        raise ValueError(text)
    return key, value


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and stop before the collection if the engine is not installed."""
    config.addinivalue_line("markers", "clause(id): a clause of Drawbar's contract")
    name = config.getoption("conformance_engine", None)
    if name is not None:
        from drawbar.errors import DrawbarError
        from drawbar.plugins import load_engine

        try:
            load_engine(name)
        except DrawbarError as error:
            raise pytest.UsageError(f"--engine {name}: {error}") from None


def _report(config: pytest.Config) -> Report:
    from drawbar.conformance.report import Report

    found = config.stash.get(REPORT, None)
    if found is None:
        found = config.stash[REPORT] = Report()
    return found


REPORT = pytest.StashKey["Report"]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Make `-k JOIN-03` select a clause, and refuse a file that has removed or replaced a clause's test."""
    ours = [item for item in items if item.get_closest_marker("clause")]
    for item in ours:
        item.extra_keyword_matches.update(str(mark.args[0]) for mark in item.iter_markers("clause"))
    if ours:
        from drawbar.conformance.guard import tampered

        if problems := tampered(ours):
            raise pytest.UsageError("\n".join(problems))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Expect a failure from a clause that is declared in `xfail`, and fail it if it holds."""
    marker = pyfuncitem.get_closest_marker("clause")
    reason = _declared(pyfuncitem, marker.args[0]) if marker else None
    try:
        result = yield
    except (Exception, pytest.fail.Exception):
        if reason is None:
            raise
        pytest.xfail(reason)
    if reason is not None:
        pytest.fail(f"the clause holds, but is declared not to ({reason}): remove it from xfail", pytrace=False)
    return result


def _declared(item: pytest.Item, clause: str) -> str | None:
    """Return the declared reason why the engine cannot hold a clause, or None."""
    xfail = getattr(getattr(item, "funcargs", {}).get("engine"), "xfail", None)
    if not xfail:
        return None
    from drawbar.conformance.suite import clauses

    if unknown := sorted(set(xfail) - {each.id for each in clauses()}):
        pytest.fail(f"xfail names clauses that do not exist: {', '.join(unknown)}", pytrace=False)
    reason: str | None = xfail.get(clause)
    return reason


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record the outcome of a clause. A skipped clause counts as failed, unless a service was unreachable."""
    report = yield
    marker = item.get_closest_marker("clause")
    if marker is not None:
        _report(item.config).add(marker.args[0], getattr(item, "funcargs", {}).get("engine"), report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the outcomes of all engines, and write the report files."""
    report = config.stash.get(REPORT, None)
    if report is not None:
        terminalreporter.section("drawbar conformance")
        for line in report.lines():
            terminalreporter.write_line(line)
        for file in config.getoption("conformance_report"):
            report.write(file)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a session that was meant to test an engine but decided no clause."""
    config = session.config
    report = config.stash.get(REPORT, None)
    wanted = report is not None or any(KIT in str(argument) for argument in config.invocation_params.args)
    if wanted and exitstatus == pytest.ExitCode.OK and not config.option.collectonly:
        passed_elsewhere = session.testscollected > (report.count() if report is not None else 0)
        if (report is None or not report.decided()) and not passed_elsewhere:
            session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
