"""Building blocks for a store on an SQL database: records, statements, `SqlRows` and `SqlReader`.

The stores on SQLite and PostgreSQL are made of these. A store on another SQL database needs a `Dialect`, the tables,
and a `RowsStore` that opens connections and transactions.
"""

from drawbar.stores.sql.dialect import Dialect
from drawbar.stores.sql.reader import SqlReader
from drawbar.stores.sql.records import (
    KIND,
    RUN_COLUMNS,
    RUN_STATUS,
    RUN_VALUES,
    STATUS,
    TASK_COLUMNS,
    TASK_VALUES,
    Row,
    SqlRun,
    SqlTask,
    decode,
    dumps,
    encode,
    fill_task,
    read_run,
    read_task,
)
from drawbar.stores.sql.rows import SqlRows, choose_runs

__all__ = [
    "KIND",
    "RUN_COLUMNS",
    "RUN_STATUS",
    "RUN_VALUES",
    "STATUS",
    "TASK_COLUMNS",
    "TASK_VALUES",
    "Dialect",
    "Row",
    "SqlReader",
    "SqlRows",
    "SqlRun",
    "SqlTask",
    "choose_runs",
    "decode",
    "dumps",
    "encode",
    "fill_task",
    "read_run",
    "read_task",
]
