#!/usr/bin/env python3
"""One transfer with the real programs against a plain TCP copy of the same file, in one run, and the peak memory of each side.

    throughput.py [--mib 2048] [--rounds 3] [--in DIR]        rates, in MiB/s, and their ratio to the plain copy
    throughput.py --memory [--gib 10] [--in DIR]              peak memory at 1 MiB and at 10 GiB of zeros (a sparse file)

Builds the programs first. DIR holds source, store and copies: three times the size; by default /dev/shm, so that no disk is
measured. Needs Linux and Python 3.11. Everything it starts and writes, it ends and removes.
"""

import argparse
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from programs import Client, build, serving

PIECE = 256 * 1024
MIB = 1024 * 1024


def plain_copy(source, target):
    """Seconds that a bare TCP connection over loopback takes for the same file."""
    listener = socket.create_server(("127.0.0.1", 0))

    def receive():
        connection, _ = listener.accept()
        room = memoryview(bytearray(PIECE))
        with open(target, "wb", buffering=0) as file:
            while count := connection.recv_into(room):
                file.write(room[:count])

    receiver = threading.Thread(target=receive)
    receiver.start()
    started = time.monotonic()
    room = memoryview(bytearray(PIECE))
    with socket.create_connection(listener.getsockname()) as connection, open(source, "rb", buffering=0) as file:
        while count := file.readinto(room):
            connection.sendall(room[:count])
    receiver.join()
    listener.close()
    return time.monotonic() - started


def warm(directory, mib):
    """Memory for what is written next: a virtual machine may have to ask its host for it, which is slow, and unfair to whoever
    comes first."""
    with open(directory / "warm", "wb", buffering=0) as file:
        for _ in range(mib):
            file.write(bytes(MIB))
    (directory / "warm").unlink()


def rates(programs, directory, mib, rounds):
    source, copy = directory / "source", directory / "copy"
    with open(source, "wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
    results = {"plain TCP": [], "upload": [], "download": []}
    with serving(programs, directory) as server:
        client = Client(programs, directory, server)
        # Profile and server are made known, and the first key exchange is done.
        client.run("info")
        for _ in range(rounds):
            warm(directory, mib)
            results["plain TCP"].append(mib / plain_copy(source, copy))
            copy.unlink()
            warm(directory, mib)
            seconds, _, cookie = client.run("upload", source)
            results["upload"].append(mib / seconds)
            warm(directory, mib)
            seconds, _, _ = client.run("download", cookie, "-o", copy)
            results["download"].append(mib / seconds)
            if subprocess.run(["cmp", source, copy]).returncode != 0:
                sys.exit("the file that came back is another")
            copy.unlink()
            client.run("delete", cookie)
    bound = statistics.median(results["plain TCP"])
    for name, values in results.items():
        median = statistics.median(values)
        print(f"{name:10} {median:6.0f} MiB/s   {median / bound:.2f}   ({' '.join(f'{value:.0f}' for value in values)})")


def memory(programs, directory, gib):
    print("peak memory in MiB          client up   client down   server up   server down")
    first = None
    for name, size in [("1 MiB", MIB), (f"{gib} GiB", gib * 1024 * MIB)]:
        source, copy = directory / "source", directory / "copy"
        with open(source, "wb") as file:
            file.truncate(size)
        peaks = []
        with serving(programs, directory) as server:
            client = Client(programs, directory, server)
            client.run("info")
            _, up, cookie = client.run("upload", source)
            server_up = server.peak()
        # Another process, so that the peak of a download is its own; the store is new, so the file goes up again.
        with serving(programs, directory) as server:
            (directory / "profile" / "known_servers").unlink()
            client = Client(programs, directory, server)
            _, _, cookie = client.run("upload", source)
            _, down, _ = client.run("download", cookie, "-o", copy)
            server_down = server.peak()
            if copy.stat().st_size != size:
                sys.exit("the file that came back is another")
        shutil.rmtree(directory / "profile")
        source.unlink()
        copy.unlink()
        peaks = [up / 1024, down / 1024, server_up / 1024, server_down / 1024]
        print(f"{name:24} {peaks[0]:12.1f} {peaks[1]:13.1f} {peaks[2]:11.1f} {peaks[3]:13.1f}", flush=True)
        first = first or peaks
    print(f"{'more':24} {peaks[0] - first[0]:12.1f} {peaks[1] - first[1]:13.1f} "
          f"{peaks[2] - first[2]:11.1f} {peaks[3] - first[3]:13.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--gib", type=int, default=10)
    parser.add_argument("--in", dest="directory", type=pathlib.Path, default=pathlib.Path("/dev/shm"))
    options = parser.parse_args()
    programs = build()
    with tempfile.TemporaryDirectory(prefix="fss-throughput.", dir=options.directory) as directory:
        if options.memory:
            memory(programs, pathlib.Path(directory), options.gib)
        else:
            rates(programs, pathlib.Path(directory), options.mib, options.rounds)


if __name__ == "__main__":
    main()
