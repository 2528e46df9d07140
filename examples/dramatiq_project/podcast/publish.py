"""Publish an episode, as the podcast's web page does: `python -m podcast.publish`."""

from drawbar import open_engine
from podcast.tasks import plays
from podcast.workflows import Recording, publish


def main() -> None:
    """Send a message to an actor and run a workflow, side by side."""
    print("played:", plays.send([3, 4, 5]).get_result(block=True, timeout=20_000))
    with open_engine() as engine:
        run = engine.start_sync(publish, Recording(title="teapots", minutes=30))
        print("run:", run.id)
        print(run.result_sync(timeout=20).unwrap().model_dump_json())


if __name__ == "__main__":
    main()
