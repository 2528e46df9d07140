"""`drawbar store`: prepare and clean the store."""

from __future__ import annotations

import click

from drawbar.cli.options import Flags, settings_options
from drawbar.cli.session import open_store, require_durable_store, run_async


@click.group()
def store() -> None:
    """Prepare and clean the store."""


@store.command()
@settings_options
def init(flags: Flags) -> None:
    """Create or migrate the store's schema."""
    run_async(_init, flags)


async def _init(flags: Flags) -> None:
    from drawbar.plugins.registry import load_store

    # Do not open the store: that fails while its schema is missing.
    url = require_durable_store(flags)
    click.echo(await load_store(url).init())


@store.command()
@click.option(
    "--older-than", required=True, metavar="TIME", help="Minimum time since the end of a run: 30d, 12h, 3600 (seconds)."
)
@settings_options
def purge(older_than: str, flags: Flags) -> None:
    """Delete ended runs with their tasks and events."""
    run_async(_purge, older_than, flags)


async def _purge(older_than: str, flags: Flags) -> None:
    from pydantic import TypeAdapter, ValidationError

    from drawbar.settings.load import Seconds

    try:
        seconds: float = TypeAdapter(Seconds).validate_python(older_than)
    except ValidationError:
        raise click.UsageError(f"--older-than {older_than}: write 30d, 12h, 15m or seconds") from None
    async with open_store(flags) as client:
        click.echo(f"{await client.store.purge(seconds)} runs deleted")
