"""The tables. They are created where there are none."""

from drawbar_mysql.rows import MySqlRows

# Texts are compared byte by byte, and spaces at their end count; MySQL and MariaDB have different names for it. An
# index has at most 3072 bytes, and a character counts as four: this gives the lengths of ids, addresses and slots.
# Tasks are looked up by plan and time (`due`), by owner, and by status in a run: held ones, waiting ones, children.
TABLES = """
CREATE TABLE IF NOT EXISTS drawbar_run (
    id VARCHAR(190) PRIMARY KEY, n BIGINT NOT NULL AUTO_INCREMENT UNIQUE, workflow_id VARCHAR(400) NOT NULL,
    fingerprint VARCHAR(190) NOT NULL, status VARCHAR(16) NOT NULL, seq BIGINT NOT NULL DEFAULT 0,
    active BIGINT NOT NULL DEFAULT 0, timed BIGINT NOT NULL DEFAULT 0, suspended BIGINT NOT NULL DEFAULT 0,
    forked_from VARCHAR(190), created_at DOUBLE NOT NULL, started_at DOUBLE, finished_at DOUBLE,
    input LONGTEXT, output LONGTEXT, error LONGTEXT, state LONGTEXT, metadata LONGTEXT,
    KEY by_workflow (workflow_id, n), KEY by_status (status, n), KEY finished (finished_at));
CREATE TABLE IF NOT EXISTS drawbar_task (
    run VARCHAR(190) NOT NULL, address VARCHAR(400) NOT NULL, n BIGINT NOT NULL AUTO_INCREMENT UNIQUE,
    plan VARCHAR(190) NOT NULL, kind VARCHAR(16) NOT NULL, status VARCHAR(16) NOT NULL,
    attempt BIGINT NOT NULL DEFAULT 0,
    failures BIGINT NOT NULL DEFAULT 0, lost BIGINT NOT NULL DEFAULT 0, queue TEXT, fan VARCHAR(400),
    parent VARCHAR(400), event VARCHAR(400), wake_at DOUBLE, delay DOUBLE, was VARCHAR(16), owner VARCHAR(400),
    dispatches BIGINT NOT NULL DEFAULT 0, total BIGINT NOT NULL DEFAULT 0, remaining BIGINT NOT NULL DEFAULT 0,
    started_at DOUBLE, finished_at DOUBLE, places BIGINT NOT NULL DEFAULT 0, timed BIGINT NOT NULL DEFAULT 0,
    suspended BIGINT NOT NULL DEFAULT 0, waits_at VARCHAR(400), turn BIGINT NOT NULL DEFAULT 0,
    input LONGTEXT, output LONGTEXT, error LONGTEXT, payload LONGTEXT, data LONGTEXT,
    PRIMARY KEY (run, address), KEY due (finished_at, plan, wake_at), KEY by_owner (owner), KEY by_status (status),
    KEY held (run, status, fan, n), KEY waiting (run, status, event, n),
    KEY resumed (run, status, waits_at, turn, n), KEY children (run, status, parent, n));
CREATE TABLE IF NOT EXISTS drawbar_slot (
    run VARCHAR(190) NOT NULL, join_address VARCHAR(400) NOT NULL, slot VARCHAR(170) NOT NULL, value LONGTEXT,
    PRIMARY KEY (run, join_address, slot));
CREATE TABLE IF NOT EXISTS drawbar_mail (
    n BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, run VARCHAR(190) NOT NULL, event VARCHAR(400) NOT NULL,
    payload LONGTEXT, KEY by_event (run, event, n));
CREATE TABLE IF NOT EXISTS drawbar_event (
    run VARCHAR(190) NOT NULL, first BIGINT NOT NULL, count BIGINT NOT NULL, at DOUBLE NOT NULL,
    body LONGTEXT NOT NULL, PRIMARY KEY (run, first));
"""


def create_tables(rows: MySqlRows) -> bool:
    """Create the tables. Return False if they were there; the user needs no right to create any then."""
    if rows.ask("SHOW TABLES LIKE 'drawbar_event'", ()):  # the last one
        return False
    ((version,),) = rows.ask("SELECT version()", ())
    collation = "utf8mb4_nopad_bin" if "MariaDB" in version else "utf8mb4_0900_bin"
    for statement in TABLES.split(";")[:-1]:
        rows.tell(f"{statement} ENGINE = InnoDB, COLLATE = {collation}", ())
    return True
