"""The programs, built and run: what the scripts here measure with."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def build():
    command = ["cargo", "build", "--quiet", "--release", "--example", "server", "--example", "client"]
    subprocess.run(command, cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "examples"


class Server:
    """A server program with an empty store."""

    def __init__(self, programs, directory):
        environment = os.environ | {"FSS_CODE": "the code"}
        command = [programs / "server", "--listen", "127.0.0.1:0", "--data", directory / "store"]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.address = self.process.stdout.readline().split()[-1]

    def peak(self):
        """Peak memory in KiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1])

    def stop(self):
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def serving(programs, directory):
    server = Server(programs, directory)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory / "store", ignore_errors=True)


class Client:
    def __init__(self, programs, directory, server):
        self.program = programs / "client"
        self.environment = os.environ | {
            "FSS_PASSWORD": "the password",
            "FSS_PROFILE": str(directory / "profile"),
            "FSS_SERVER": server.address,
            "FSS_QUIET": "1",
        }

    def run(self, *arguments):
        """Seconds, peak memory in KiB, and what was printed."""
        started = time.monotonic()
        process = subprocess.Popen(
            [self.program, *arguments], env=self.environment, stdout=subprocess.PIPE, text=True
        )
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"client {arguments[0]} failed")
        return time.monotonic() - started, usage.ru_maxrss, output.strip()
