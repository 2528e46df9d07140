"""The blocking Redis client, for threads without an event loop. It stands on redis-py."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import redis
from redis.exceptions import BusyLoadingError, MovedError, NoScriptError

from drawbar.errors import StoreError, StoreUnavailable
from drawbar_redis.cluster_client import MAX_REDIRECTS
from drawbar_redis.connection import pack_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drawbar_redis.connection import Address, Arg
    from drawbar_redis.options import Options
    from drawbar_redis.scripts import Script


class BlockingClient:
    """A client that blocks the calling thread. Many threads may use it at once.

    Args:
        options: The server.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._node_clients: dict[Address | None, redis.Redis] = {}
        """redis-py's client of each node, each with a pool of connections. None: the configured server."""

    def run_command(self, name: str, *args: Arg) -> Any:
        """Run a plain command.

        Args:
            name: The command's name.
            *args: The command's arguments.

        Returns:
            The reply.

        Raises:
            StoreUnavailable: Redis cannot be reached.
            StoreError: Redis refuses the command.
        """
        return self._follow_redirects(name, lambda client: _call(client, (name, *args)))

    def run_script(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Any:
        """Run a script.

        Args:
            script: The script.
            keys: The script's KEYS.
            args: The script's ARGV.

        Returns:
            The script's reply.

        Raises:
            StoreUnavailable: Redis cannot be reached. It is unknown if the script was carried out.
            StoreError: Redis refuses the script.
        """

        def run(client: redis.Redis) -> Any:
            try:
                return _call(client, ("EVALSHA", script.sha, len(keys), *keys, *args))
            except NoScriptError:
                return _call(client, ("EVAL", script.source, len(keys), *keys, *args))

        return self._follow_redirects(script.name, run)

    def _follow_redirects(self, operation: str, call: Callable[[redis.Redis], Any]) -> Any:
        location = self._options.location
        node: Address | None = None
        try:
            for _ in range(MAX_REDIRECTS):
                try:
                    return call(self._client_of(node))
                except MovedError as error:
                    node = (str(error.host), int(error.port))
        except (redis.ConnectionError, redis.TimeoutError, BusyLoadingError) as error:
            raise StoreUnavailable(f"Redis at {location} cannot be reached: {error}") from error
        except redis.RedisError as error:
            raise StoreError(f"Redis at {location} refuses {operation}: {error}") from error
        raise StoreUnavailable(
            f"the Redis cluster at {location} redirected {operation} {MAX_REDIRECTS} times in a row. "
            "Check it with CLUSTER INFO"
        )

    def _client_of(self, node: Address | None) -> redis.Redis:
        client = self._node_clients.get(node)
        if client is None:
            settings = self._options.redis_py_settings()
            if node is not None:
                settings |= {"host": node[0], "port": node[1]}
            with self._lock:
                client = self._node_clients.setdefault(node, redis.Redis(**settings))
        return client

    def close(self) -> None:
        """Close all connections."""
        for client in self._node_clients.values():
            client.close()


def _call(client: redis.Redis, command: Sequence[Arg]) -> Any:
    """Send a command and return its reply.

    This goes past redis-py's `execute_command`, which takes longer than Redis itself.
    """
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_packed_command([pack_command(command)], check_health=False)  # type: ignore[no-untyped-call]
        return connection.read_response()
    except BaseException as error:
        if not isinstance(error, redis.ResponseError):
            # The reply may still come. The next user of this connection must not read it as its own.
            connection.disconnect()  # type: ignore[no-untyped-call]
        raise
    finally:
        pool.release(connection)
