"""The service as a process, or several: settings in, requests answered until a signal ends it.

Binds the socket itself, so that a port in use is a sentence and port 0 can be printed; uvicorn runs the workers.
Settings reach them through the environment, because each makes its own application. Importing this module loads
neither the engine nor uvicorn: ``OMP_NUM_THREADS`` has to be set before libraries read it, and a parent of several
workers needs no engine.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import ipaddress
import json
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any

from engine.errors import DaogouError, SettingsError
from engine.settings import Settings, load_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.tenants import Tenants

__all__ = ["begin_worker", "serve", "worker_app"]

_BACKLOG = 2048
_GRACE_S = 10


def worker_app() -> FastAPI | Tenants:
    """Return the application of one worker process, from the settings in its environment."""
    from api.app import create_service

    return create_service(begin_worker())


def begin_worker() -> Settings:
    """Set when and how this worker process ends, and return the settings in its environment. To be called in its main thread."""
    from api.draining import drain_before_end

    settings = load_settings()
    _end_with_parent()
    drain_before_end(settings.drain_s)
    return settings


def _end_with_parent() -> None:
    """Have this worker end when the process that started it is gone: uvicorn's would keep the port for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def serve(settings: Settings, *, app: str = "api.server:worker_app", log_requests: bool = False) -> None:
    """Serve until SIGINT or SIGTERM, then finish what was begun. Prints the address on stderr once it answers.

    ``app`` is the import string of a function that returns the application. Sets ``DAOGOU_…``,
    ``OMP_NUM_THREADS`` (unless set) and, for several workers, ``PROMETHEUS_MULTIPROC_DIR`` for this process and its
    children.

    Raises:
        SettingsError: the address cannot be used.
    """
    listener = _listen(settings.host, settings.port)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.update(_environment(settings))
    threading.Thread(target=_announce, args=(listener.getsockname(), settings), daemon=True).start()
    if settings.workers == 1:
        _run(listener, settings, app, log_requests)
        return
    with tempfile.TemporaryDirectory(prefix="daogou-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        try:
            _run(listener, settings, app, log_requests)
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]


def _run(listener: socket.socket, settings: Settings, app: str, log_requests: bool) -> None:
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    config = uvicorn.Config(
        app,
        factory=True,
        interface="asgi3",
        workers=settings.workers,
        loop="auto",  # uvloop where there is one
        http="api.protocol:BoundedHttpProtocol",
        ws="none",
        lifespan="on",
        log_config=_logging(log_requests),
        access_log=False,  # its lines have the query in them
        proxy_headers=False,  # a client could name its own address
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE_S,
    )
    if settings.workers == 1:
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run([listener])
    else:
        Multiprocess(config, [listener]).run()


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket: clients that come while the engine is being opened wait in its queue."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise SettingsError(
            f"host: {host!r} is no address of this machine ({error}). Use 127.0.0.1, or 0.0.0.0 for all interfaces."
        ) from error
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.set_inheritable(True)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise SettingsError(
                f"port: {port} on {host} is in use by another program. Stop it, or choose another port (0 finds one)."
            ) from error
        raise SettingsError(
            f"host, port: {host}:{port} cannot be listened on ({error.strerror}). Choose another address."
        ) from error
    return listener


def _environment(settings: Settings) -> dict[str, str]:
    """Return the settings as the environment variables that give them back."""
    values = settings.model_dump(mode="json")
    return {
        f"DAOGOU_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


def _announce(address: tuple[Any, ...], settings: Settings) -> None:
    """Print the address once a worker answers there, with what it serves."""
    every = ipaddress.ip_address(address[0].partition("%")[0]).is_unspecified
    host = ("::1" if ":" in address[0] else "127.0.0.1") if every else address[0]
    url = f"http://{f'[{host}]' if ':' in host else host}:{address[1]}"
    connection = http.client.HTTPConnection(host, address[1])
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        ready = json.loads(response.read())
    except (OSError, ValueError, http.client.HTTPException):
        return
    finally:
        connection.close()
    if settings.tenants:
        what = f"{ready['shops']} shops" if response.status == 200 else ready.get("detail", "not ready")
    elif response.status == 200:
        what = f"snapshot {ready['snapshot']}, {ready['products']} products"
    else:
        what = f"store {settings.store}: {ready.get('detail', 'not ready')}"
    print(f"daogou is serving {url}{' on all interfaces' if every else ''} ({what})", file=sys.stderr, flush=True)


def _logging(log_requests: bool) -> dict[str, Any]:
    """Return a logging configuration: one line an event on stderr, requests only when asked for or failed."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "loggers": {
            "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
            "daogou": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            "daogou.request": {"level": "INFO" if log_requests else "WARNING"},
        },
    }


if __name__ == "__main__":
    try:
        serve(load_settings())
    except DaogouError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
