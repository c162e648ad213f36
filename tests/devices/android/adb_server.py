"""A server on loopback that speaks adb's host protocol, so that the real adb is what answers.

https://android.googlesource.com/platform/packages/modules/adb/+/refs/heads/main/OVERVIEW.TXT,
SERVICES.TXT and shell_protocol.h beside them describe it.
"""

import socketserver
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

VERSION = b"0029"  # 41, of adb 1.0.41; another one would have the client end this server
STDOUT, EXIT = 1, 3


@dataclass
class Devices:
    """What is connected: the state by serial number, and what a device answers.

    `shell` has the output by a part of the command, the first that fits counts; `install` is what
    the package manager says.
    """

    states: Mapping[str, str]
    shell: list[tuple[str, str]] = field(default_factory=list)
    install: str = "Success\n"


@contextmanager
def serving(devices: Devices) -> Iterator[str]:
    """Gives its address, for ADB_SERVER_SOCKET."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            _answer_all(self, devices)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"tcp:127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _answer_all(connection: socketserver.StreamRequestHandler, devices: Devices) -> None:
    while (length := connection.rfile.read(4)) and len(length) == 4:
        request = connection.rfile.read(int(length, 16)).decode()
        if not _answer(connection, devices, request):
            return


def _answer(connection: socketserver.StreamRequestHandler, devices: Devices, request: str) -> bool:
    """Whether another request follows on the same connection."""
    say = connection.wfile.write
    chosen, request = _of_a_device(request)
    if chosen is not None and devices.states.get(chosen) != "device":
        message = f"device '{chosen}' not found"
        say(b"FAIL" + _counted(message.encode()))
    elif request == "version":
        say(b"OKAY" + _counted(VERSION))
    elif request == "devices":
        lines = "".join(f"{serial}\t{state}\n" for serial, state in devices.states.items())
        say(b"OKAY" + _counted(lines.encode()))
    elif request == "features":
        say(b"OKAY" + _counted(b"shell_v2,cmd"))
    elif request == "transport":
        say(b"OKAY")
        return True
    elif request == "tport":
        say(b"OKAY" + struct.pack("<Q", 1))
        return True
    elif request.startswith("shell,v2"):
        command = request.partition(":")[2]
        out = next((out for part, out in devices.shell if part in command), "")
        say(b"OKAY" + _packet(STDOUT, out.encode()) + _packet(EXIT, b"\0"))
    elif request.startswith("exec:cmd package"):
        size = int(request.split("-S")[1].split()[0].strip("'"))
        say(b"OKAY")
        connection.rfile.read(size)
        say(devices.install.encode())
    else:
        say(b"FAIL" + _counted(f"unknown request {request}".encode()))
    return False


def _of_a_device(request: str) -> tuple[str | None, str]:
    """The serial number that a request names, and the rest of it."""
    for start, rest in (
        ("host:transport:", "transport"),
        ("host:tport:serial:", "tport"),
    ):
        if request.startswith(start):
            return request.removeprefix(start), rest
    if request.startswith("host-serial:"):
        _, serial, rest = request.split(":", 2)
        return serial, rest
    return None, request.removeprefix("host:")


def _counted(content: bytes) -> bytes:
    return f"{len(content):04x}".encode() + content


def _packet(kind: int, content: bytes) -> bytes:
    return struct.pack("<BI", kind, len(content)) + content
