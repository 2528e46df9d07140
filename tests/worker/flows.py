"""The workflows that a worker in its own process runs."""

import anyio

from drawbar import step, workflow


@step
def double(value: int) -> int:
    return 2 * value


@step
async def wait(folder: str) -> str:
    """Wait until the folder has a file `leave`."""
    await anyio.Path(folder, "entered").touch()
    while not await anyio.Path(folder, "leave").exists():  # noqa: ASYNC110 - another process makes it
        await anyio.sleep(0.01)
    return folder


quick = workflow("quick", input=int).then(double).commit()
slow = workflow("slow", input=str).then(wait).commit()
