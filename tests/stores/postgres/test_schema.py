"""The tables: made, migrated, checked, and used with the least rights."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest

from drawbar.conformance.store_suite.kit import begin, complete, fan, happened, slot, step, take, together
from drawbar.errors import StoreUnavailable, StoreVersionError
from drawbar.records import Finish, RunStatus
from drawbar_postgres import schema
from drawbar_postgres.options import read_url
from drawbar_postgres.schema import VERSION
from tests.stores.postgres.conftest import Sql, Stores, make
from tests.support.services import unique_name

pytestmark = pytest.mark.anyio


async def test_init_makes_the_tables_and_says_so(postgres_url: str, stores: Stores, sql: Sql) -> None:
    store = stores(postgres_url)
    assert (await store.init()).endswith(f"schema 'drawbar': version {VERSION} created")
    assert (await store.init()).endswith(f"schema 'drawbar': version {VERSION} is there")
    await store.open()
    assert sql("SELECT version FROM drawbar.version") == [(VERSION,)]


async def test_the_first_to_open_makes_them_too(store: object, sql: Sql) -> None:
    assert sql("SELECT version FROM drawbar.version") == [(VERSION,)]


async def test_many_at_once_make_them_once(postgres_url: str, stores: Stores, sql: Sql) -> None:
    several = [stores(postgres_url) for _ in range(8)]
    said = await together([store.init() if i % 2 else store.open() for i, store in enumerate(several)])
    assert not [one for one in said if isinstance(one, BaseException)]
    assert sum("created" in str(one) for one in said) <= 1
    assert sql("SELECT version FROM drawbar.version") == [(VERSION,)]


def test_many_processes_at_once(postgres_url: str) -> None:
    script = "import sys, anyio; from drawbar.plugins import load_store\nprint(anyio.run(load_store(sys.argv[1]).init))"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, postgres_url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(4)
    ]
    said = [one.communicate(timeout=60)[0] for one in running]
    assert [one.returncode for one in running] == [0] * 4, said
    assert sum("created" in one for one in said) == 1


async def test_schemas_side_by_side(postgres_url: str, stores: Stores) -> None:
    one, two = stores(postgres_url, schema="one"), stores(postgres_url, schema="select")
    for store in (one, two):
        await store.open()
    run_id = await begin(one, step("a"))
    assert await two.load(run_id) is None
    assert list(await two.owners()) == []
    assert (await two.due(undelivered=True)).messages == []
    assert await one.load(run_id) is not None


async def test_a_later_migration_is_done_by_init_alone(
    postgres_url: str, stores: Stores, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await begin(stores(postgres_url), step("a")) if await stores(postgres_url).init() else ""
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, "ALTER TABLE drawbar.run ADD extra text;"))
    monkeypatch.setattr(schema, "VERSION", VERSION + 1)
    with pytest.raises(
        StoreVersionError,
        match=f"has version {VERSION} .* works with version {VERSION + 1}: stop .*`drawbar store init --store",
    ):
        await stores(postgres_url).open()
    assert (await stores(postgres_url).init()).endswith(f"version {VERSION + 1} migrated from {VERSION}")
    later = stores(postgres_url)
    await later.open()
    assert await later.load(run_id) is not None
    assert sql("SELECT extra FROM drawbar.run") == [(None,)]


async def test_runs_of_the_first_version_go_on_after_the_migration(
    postgres_url: str, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", (schema.FIRST,))
        patch.setattr(schema, "VERSION", 1)
        await stores(postgres_url).init()
    assert (await stores(postgres_url).init()).endswith(f"version {VERSION} migrated from 1")
    store = stores(postgres_url)
    run_id = await begin(store, step("a"))
    await complete(store, await take(store, run_id, "a"), fan("j", 2, 1))
    await complete(store, await take(store, run_id, "j[0]"), slot("j", 0))
    await complete(store, await take(store, run_id, "j[1]"), slot("j", 1))
    assert (await take(store, run_id, "j")).remaining == 0


async def test_a_migration_that_fails_leaves_nothing(
    postgres_url: str, stores: Stores, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (schema.FIRST + "SELECT 1/0;",))
    with pytest.raises(Exception, match="division by zero"):
        await stores(postgres_url).init()
    assert sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'drawbar'") == [(0,)]


async def test_tables_of_a_newer_version(postgres_url: str, stores: Stores, store: object, sql: Sql) -> None:
    sql("UPDATE drawbar.version SET version = 9")
    for refused in (stores(postgres_url).open, stores(postgres_url).init):
        match = f"has version 9 of the schema 'drawbar'.* only up to version {VERSION}"
        with pytest.raises(StoreVersionError, match=match):
            await refused()


async def test_tables_of_another_program(postgres_url: str, stores: Stores, sql: Sql) -> None:
    sql("CREATE TABLE public.task (id int)")
    with pytest.raises(StoreVersionError, match="schema 'public': relation \"task\" already exists"):
        await stores(postgres_url, schema="public").open()
    assert sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(1,)]


async def test_tables_that_went_away(store: object, stores: Stores, postgres_url: str, sql: Sql) -> None:
    used = stores(postgres_url)
    sql("DROP SCHEMA drawbar CASCADE")
    with pytest.raises(StoreVersionError, match="has no Drawbar tables.*drawbar store init --store postgresql://"):  # noqa: RUF043
        await used.load("r")
    await used.init()
    assert await used.load("r") is None  # the connection is as good as before
    await take(used, await begin(used, step("a")), "a")


def test_the_command(postgres_url: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "drawbar", "store", "init", "--store", postgres_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"version {VERSION} created" in done.stdout


class Role:
    """A role with nothing but what the README tells to grant."""

    def __init__(self, postgres_url: str, sql: Sql) -> None:
        self.name = unique_name("drawbar_test").replace("-", "_")
        self.sql = sql
        parts = urlsplit(postgres_url)
        database = parts.path.strip("/")
        sql(f"CREATE ROLE {self.name} LOGIN PASSWORD 'hidden'")
        sql(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
        sql(f"GRANT CONNECT ON DATABASE {database} TO {self.name}")
        place = parts.netloc.rpartition("@")[2]
        self.url = parts._replace(netloc=f"{self.name}:hidden@{place}").geturl()

    def grant(self) -> None:
        """What the README says, word by word."""
        readme = Path(__file__).parents[3] / "plugins/postgres/README.md"
        block = readme.read_text("utf-8").partition("```sql\n")[2].partition("```")[0]
        assert "GRANT" in block
        for statement in block.replace("drawbar_app", self.name).split(";"):
            if statement.strip().startswith("GRANT") and "DATABASE" not in statement:
                self.sql(statement)

    def drop(self) -> None:
        """Takes it away."""
        self.sql(f"DROP OWNED BY {self.name}")
        self.sql(f"DROP ROLE {self.name}")


@pytest.fixture
def role(postgres_url: str, sql: Sql):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """A role with as few rights as possible."""
    made = Role(postgres_url, sql)
    yield made
    made.drop()


async def test_a_role_that_may_not_create_is_told_what_to_do(role: Role, stores: Stores) -> None:
    with pytest.raises(StoreVersionError, match="this role may not create them: run `drawbar store init") as caught:
        await stores(role.url).open()
    assert "hidden" not in str(caught.value)
    with pytest.raises(StoreUnavailable, match="a role needs CREATE on the database"):
        await stores(role.url).init()


async def test_a_role_without_rights_on_the_tables(role: Role, store: object, stores: Stores) -> None:
    with pytest.raises(StoreUnavailable, match="permission denied for schema drawbar; the README"):
        await stores(role.url).open()


async def test_a_role_with_the_rights_of_the_readme_can_do_everything(
    role: Role, store: object, stores: Stores
) -> None:
    role.grant()
    used = stores(role.url)
    await used.open()
    run_id = await begin(used, step("a"), metadata={"k": 1}, state={"s": 1})
    seen: list[int] = []

    async def watch() -> None:
        seen.append(await used.wait(run_id, 0, 20, settled=True))

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.sleep(0.2)
        await used.send_event(run_id, "go", 1)
        task = await take(used, run_id, "a")
        assert list(await used.renew("me", [(run_id, "a", 1)], 60)) == []
        await complete(used, task, fan("j", 3, 2), state={"s": 2})
        await used.due(undelivered=True)
        for number in range(3):
            await complete(used, await take(used, run_id, f"j[{number}]"), slot("j", number))
        await used.release("me")
        await complete(used, await take(used, run_id, "j"), Finish(RunStatus.COMPLETED))
    assert seen == [len(await happened(used, run_id))]
    assert [run.id for run in await used.runs(metadata={"k": 1})] == [run_id]
    assert await used.init()  # there is nothing to do, so it may
    await anyio.sleep(0.05)
    assert await used.purge(0) == 1


async def test_a_role_with_one_schema_of_its_own(role: Role, stores: Stores, sql: Sql) -> None:
    sql(f"CREATE SCHEMA mine AUTHORIZATION {role.name}")
    used = stores(role.url, schema="mine")
    await used.open()
    await take(used, await begin(used, step("a")), "a")


def test_statements_name_the_schema_of_the_url() -> None:
    texts = schema.Statements(read_url("postgresql://host/app?schema=user").schema)
    assert texts["SELECT a FROM drawbar.run WHERE b = %s AND c = %s"] == (
        b'SELECT a FROM "user".run WHERE b = $1 AND c = $2'
    )
    assert make("postgresql://host/app?schema=user")._statements.channel == "drawbar_user"
