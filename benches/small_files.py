#!/usr/bin/env python3
"""A directory of many small files with the real programs, against `scp -r` and `tar | ssh` on this machine, in one run.

    small_files.py [--files 10000] [--bytes 2000] [--rounds 3] [--in DIR]       seconds, up and down

Builds the programs first, and starts an OpenSSH server of its own, with keys of its own, on loopback: sshd must be installed,
and it wants root. DIR holds everything; by default /dev/shm, so that no disk is measured. Needs Linux and Python 3.11.
Everything it starts and writes, it ends and removes.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

from programs import Client, build, serving

# Ordinary places where sshd is, which must be started by its whole path.
SSHD = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")


def plant(directory, files, size):
    """So many files of random bytes, a hundred in a directory."""
    for number in range(files):
        place = directory / str(number // 100)
        place.mkdir(parents=True, exist_ok=True)
        (place / str(number % 100)).write_bytes(os.urandom(size))


class Ssh:
    """An OpenSSH server, and how to get there."""

    def __init__(self, directory):
        self.directory = directory / "ssh"
        self.directory.mkdir()
        host, user = self.directory / "host", self.directory / "user"
        for key in (host, user):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = str(free.getsockname()[1])
        config = self.directory / "config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {host}\nAuthorizedKeysFile {user}.pub\nStrictModes no\n"
            "UsePAM no\nPidFile none\nSubsystem sftp internal-sftp\n"
        )
        pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        self.process = subprocess.Popen([SSHD, "-D", "-f", config], stderr=subprocess.DEVNULL)
        known = self.directory / "known_hosts"
        self.options = ["-i", user, "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={known}", "-q"]
        for _ in range(100):
            if subprocess.run(self.command("true")).returncode == 0:
                return
            time.sleep(0.1)
        raise SystemExit("sshd does not answer")

    def command(self, text):
        return ["ssh", "-p", self.port, *self.options, "127.0.0.1", text]

    def copy(self, source, target):
        subprocess.run(["scp", "-r", "-P", self.port, *self.options, source, target], check=True)

    def stream(self, source, target):
        target.mkdir()
        pack = subprocess.Popen(["tar", "-c", "-C", source, "."], stdout=subprocess.PIPE)
        subprocess.run(self.command(f"tar -x -C '{target}'"), stdin=pack.stdout, check=True)
        pack.wait()

    def stream_back(self, source, target):
        target.mkdir()
        pack = subprocess.Popen(self.command(f"tar -c -C '{source}' ."), stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", target], stdin=pack.stdout, check=True)
        pack.wait()


def measure(programs, directory, options):
    source = directory / "source"
    plant(source, options.files, options.bytes)
    there, back = directory / "there", directory / "back"
    times = {}

    def take(name, work):
        started = time.monotonic()
        outcome = work()
        times.setdefault(name, []).append(time.monotonic() - started)
        return outcome

    def same():
        subprocess.run(["diff", "-r", source, back], check=True)
        shutil.rmtree(there, ignore_errors=True)
        shutil.rmtree(back)

    ssh = Ssh(directory)
    try:
        with contextlib.ExitStack() as stack:
            client = Client(programs, directory, stack.enter_context(serving(programs, directory)))
            client.run("info")
            for _ in range(options.rounds):
                _, _, cookie = take("fss up", lambda: client.run("upload", source))
                take("fss down", lambda: client.run("download", cookie, "-o", back))
                same()
                take("scp -r up", lambda: ssh.copy(source, f"127.0.0.1:{there}"))
                take("scp -r down", lambda: ssh.copy(f"127.0.0.1:{there}", back))
                same()
                take("tar | ssh up", lambda: ssh.stream(source, there))
                take("tar | ssh down", lambda: ssh.stream_back(there, back))
                same()
    finally:
        ssh.process.terminate()
        ssh.process.wait()
    for name, values in times.items():
        print(f"{name:15} {statistics.median(values):6.2f} s   ({' '.join(f'{value:.2f}' for value in values)})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--bytes", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in", dest="directory", type=pathlib.Path, default=pathlib.Path("/dev/shm"))
    options = parser.parse_args()
    if SSHD is None:
        parser.error("there is no sshd to compare with: install the OpenSSH server")
    with tempfile.TemporaryDirectory(prefix="fss-small-files.", dir=options.directory) as directory:
        measure(build(), pathlib.Path(directory), options)


if __name__ == "__main__":
    main()
