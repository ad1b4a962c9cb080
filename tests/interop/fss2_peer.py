#!/usr/bin/env python3
"""An FSS/2 peer, server and client, for interoperability tests of the program that was written in Rust.

Written from docs/protocol.md alone (§2, §3, §13 to §25); section numbers (§) are those of that document. Keys, records,
proofs and sealed files are those of fss2.py, RSA blocks those of peer.py. It is synchronous, serves one connection
after the other, and strict: where the other side does what the document does not allow, it says so and stops.

    fss2_peer.py server --key server.pem --dir DIR          prints `listening PORT`, serves until it is killed
    fss2_peer.py client --key client.pem --server HOST:PORT [--pin SHA256:...] COMMAND ...

Keys are RSA-2048 in PEM, made where missing. A client command prints one JSON line: its result and status 0, or
{"error": code, "retry": n} and 3 for an `E` of the server, or {"fault": reason} and 4 for what the client found wrong
itself (integrity, protocol, a connection that broke). `script` reads commands from standard input, one JSON list of
words a line, such as ["upload", "FILE", "--password-env", "VAR"], and runs them over one connection.

What it leaves out: FSS 1.0 as a server (files of 1.0 can be downloaded and deleted, with --fss1), retention other than
forever, quotas, limits on load; as it serves one connection at a time there is nothing to supersede. For tests only: it
guards its secrets no better than fss2.py. Needs Python 3.11 and requirements.txt.
"""

import argparse
import contextlib
import hashlib
import hmac
import ipaddress
import json
import math
import os
import pathlib
import re
import secrets
import select
import signal
import socket
import struct
import subprocess
import sys
import time

import blake3
from Crypto.Cipher import PKCS1_OAEP
from Crypto.Hash import SHA384
from Crypto.PublicKey import RSA
from Crypto.Signature import pss
from Crypto.Util.number import GCD, inverse, isPrime

import peer as fss1
from fss2 import (
    CHUNK,
    HEADER,
    NUMBER_MAX,
    PIECE,
    SEALED_MAX,
    SEALED_MIN,
    Opener,
    Refused,
    Sealer,
    base64_decode,
    base64_encode,
    binding,
    chunk_open,
    chunk_seal,
    cookie_check,
    decoy,
    decoy_secret,
    derive_keys,
    frame_encode,
    frame_parse,
    header_encode,
    header_parse,
    hello_encode,
    hello_parse,
    key_schedule,
    metadata_encode,
    metadata_parse,
    number_decode,
    proof,
    signature_check,
    to_be_signed,
    transcript_hash,
    x25519_public,
    x25519_shared,
)

BEGIN, END = b"-----BEGIN PUBLIC KEY-----", b"-----END PUBLIC KEY-----"
PEM_MAX = 4096  # §2.4
SPACE = b"\t\n\v\f\r "
MESSAGE_MAX = 4096  # bytes of an RSA message (§3.5)
WINDOW = 8 * 2**20  # §17.7, §18.7
FULL = 4 * PIECE  # the most that one `F` carries
ACK = 2**20  # of a download (§18.7)
CHECKPOINT = 256 * PIECE  # §22.3
LEASE = 24 * 3600  # §17.16
LIST_MAX = 256  # §19.1
HANDSHAKE, IDLE, PATIENCE = 10, 60, 90  # seconds: server's, server's, client's
LINGER = 2, 2**20  # §6.5
RETURNS_MAX = 3  # claims given back (§25.7)
SENTENCES = {  # §20.4
    "refused": "No such file, or the wrong password.",
    "not-a-member": "This server is for its members.",
    "quota": "The file does not fit into your quota.",
    "no-room": "The server has no room.",
    "too-large": "The file is larger than this server takes.",
    "too-many-attempts": "Too many attempts.",
    "too-many-uploads": "Too many unfinished uploads.",
    "too-many-files": "You have as many files here as one key may have.",
    "superseded": "Another connection resumed this upload.",
    "busy": "The server is busy.",
    "version": "This version is not spoken here.",
    "bad-request": "The request is not valid.",
    "name-taken": "This name is not available.",
    "bad-invite": "The invite is not valid.",
    "idle": "Nothing came for too long.",
    "storage": "The storage has failed.",
    "protocol": "The protocol was broken.",
}
ENDING = ("protocol", "idle", "version", "superseded")  # they end the connection, whatever is going on (§20.2)


class Told(Exception):
    """The other side sent an `E`."""

    def __init__(self, code, retry, sentence):
        super().__init__(f"told {code}: {sentence!r}")
        self.code, self.retry = code, retry


class Answer(Exception):
    """This `E` is the server's answer, and nobody's fault."""

    def __init__(self, code, retry=None):
        super().__init__(code)
        self.code, self.retry = code, retry


class Gone(Exception):
    """The connection ended where it must not; `clean` where it may (§14.7)."""

    def __init__(self, clean=False):
        super().__init__("the connection ended in the middle")
        self.clean = clean


class Idle(Exception):
    """Nothing came for too long."""


# --- Forms of arguments (§15.6) ---


def fixed(size):
    """base64 of so many bytes."""

    def decode(text):
        raw = base64_decode(text)
        if len(raw) != size:
            raise Refused(f"not {size} bytes", "bad-request")
        return raw

    return decode


def digest_decode(text):
    if not re.fullmatch(rb"[0-9a-f]{64}", text):
        raise Refused("not 32 bytes in hex", "bad-request")
    return bytes.fromhex(text.decode())


def positive(text):
    number = number_decode(text)
    if number < 1:
        raise Refused("less than 1", "bad-request")
    return number


def value(named, name, form, required=True):
    """An argument in its form; None where one that may be left out is."""
    if name in named:
        return form(named[name])
    if required:
        raise Refused(f"no {name.decode()}=", "bad-request")
    return None


def number(n):
    return b"%d" % n


def given(**arguments):
    """Named arguments of a frame, without those that are None."""
    return {name.replace("_", "-").encode(): text for name, text in arguments.items() if text is not None}


def optional_number(n):
    return None if n is None else number(n)


# --- Keys (§2, §13.1, §13.2) ---


def load_key(path):
    path = pathlib.Path(path)
    if path.exists():
        return RSA.import_key(path.read_bytes())
    key = RSA.generate(2048)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.export_key("PEM", pkcs=8) + b"\n")
    return key


def spki(key):
    return key.public_key().export_key("DER")


def fingerprint(der):
    return hashlib.sha256(der).digest()


def shown(der):
    return "SHA256:" + base64_encode(fingerprint(der)).decode().rstrip("=")


def key_of(der, identity=True):
    """An RSA key of the one encoding that FSS/2 allows; an identity has the exponent 65537 (§13.1)."""
    try:
        key = RSA.import_key(der)
    except (ValueError, IndexError, TypeError):
        raise Refused("not a public key") from None
    exponent = key.e == 65537 if identity else key.e % 2 == 1 and 3 <= key.e < 2**33
    if key.has_private() or spki(key) != der or not exponent or key.n % 2 == 0:
        raise Refused("a public key that FSS/2 does not take")
    if not 2048 <= key.n.bit_length() <= 4096:
        raise Refused("a key too small or too large")
    return key


class TransportKeys:
    """One for each connection, all of one modulus (§2.9)."""

    def __init__(self):
        self.base, self.used = RSA.generate(2048), set()

    def next(self):
        order = (self.base.p - 1) * (self.base.q - 1)
        while True:
            e = 65537 + 1 + secrets.randbelow(2**23 - 65538)
            if e not in self.used and isPrime(e) and GCD(e, order) == 1:
                self.used.add(e)
                return RSA.construct((self.base.n, e, inverse(e, order), self.base.p, self.base.q))


def receive_key(wire, identity):
    """The other side's key (§2.3, §2.4); nothing behind its END line is waited for."""
    while True:
        have = bytes(wire.buffer[:PEM_MAX])
        if have[: len(BEGIN)] != BEGIN[: len(have)]:
            raise Refused("no public key")
        if (end := have.find(END)) >= 0:
            break
        if len(have) == PEM_MAX:
            raise Refused("a public key without end")
        wire.need(len(have) + 1)
    wire.take(end + len(END))
    return key_of(base64_decode(have[len(BEGIN) : end].translate(None, SPACE)), identity)


# --- The stream ---


class Wire:
    """A socket and what has come of it. It reads while it writes (§14.8)."""

    def __init__(self, sock):
        self.sock, self.buffer, self.ended, self.deadline = sock, bytearray(), False, math.inf
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def allow(self, seconds):
        self.deadline = time.monotonic() + seconds

    def pump(self, seconds):
        """Read once, waiting at most so long; whether something happened."""
        if self.ended or not select.select([self.sock], [], [], max(0, seconds))[0]:
            return False
        try:
            data = self.sock.recv(2**18)
        except BlockingIOError:
            return False
        except OSError:  # reset: what came before it may be read still
            data = b""
        self.buffer += data
        self.ended = not data
        return True

    def need(self, count):
        while len(self.buffer) < count:
            if self.ended:
                raise Gone(clean=not self.buffer)
            if not self.pump(self.deadline - time.monotonic()) and not self.ended:
                raise Idle

    def take(self, count):
        self.need(count)
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def write(self, data):
        data = memoryview(data)
        while data:
            readers = [] if self.ended or len(self.buffer) > 4 * WINDOW else [self.sock]
            readable, writable, _ = select.select(readers, [self.sock], [], IDLE)
            if readable:
                self.pump(0)
            if writable:
                try:
                    data = data[self.sock.send(data) :]
                except BlockingIOError:
                    continue
                except OSError:
                    raise Gone from None
            elif not readable:
                raise Idle

    def linger(self):
        """Close so that what was sent last can still be read (§6.5)."""
        end, left = time.monotonic() + LINGER[0], LINGER[1]
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            while left > 0 and not self.ended and self.pump(end - time.monotonic()):
                left -= len(self.buffer)
                self.buffer.clear()
        self.sock.close()

    def abort(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


# --- RSA messages (§3), for the hellos ---


def block_open(key, block):
    try:
        return PKCS1_OAEP.new(key).decrypt(block)
    except ValueError:
        return None


def first_block(wire, key):
    """The first block, looked for behind white space (§2.7); None if there is none."""
    size = key.size_in_bytes()
    wire.need(size)
    start = bytes(wire.buffer[:16])
    run = len(start) - len(start.lstrip(SPACE))
    line = 1 if start[:1] == b"\n" else 2 if start[:2] == b"\r\n" else 0
    for at in list(dict.fromkeys((0, line, run, max(run - 1, 0))))[:3]:
        wire.need(at + size)
        if (piece := block_open(key, bytes(wire.buffer[at : at + size]))) is not None:
            wire.take(at + size)
            return piece
    return None


def message_rest(wire, key, first, most):
    """The pieces of a message up to its end mark; None if one does not open or there are more than `most`."""
    pieces = [first]
    while pieces[-1]:
        if len(pieces) > most:
            return None
        pieces.append(block_open(key, wire.take(key.size_in_bytes())))
    return None if pieces[-1] is None else pieces[:-1]


def refusal_parse(frame):
    """A `Told` of an `E` (§20.1), with or without record."""
    flag, positional, named, _ = frame
    assert flag == b"E"
    if len(positional) != 1:
        raise Refused("an E without its one sentence")
    code = value(named, b"code", bytes).decode("ascii", "backslashreplace")
    return Told(code, value(named, b"retry", number_decode, required=False), positional[0])


def refusal_frame(code, retry=None):
    return frame_encode(b"E", [SENTENCES[code].encode()], given(code=code.encode(), retry=optional_number(retry)))


# --- Records and frames (§14, §15) ---


class Channel:
    """A connection behind its hellos: frames, sealed."""

    def __init__(self, wire, keys, mine, theirs, patience):
        self.wire, self.patience, self.binding = wire, patience, None  # known with the server's identity
        self.sealer = Sealer(keys[f"{mine}_key"], keys[f"{mine}_iv"])
        self.opener = Opener(keys[f"{theirs}_key"], keys[f"{theirs}_iv"])

    def send(self, flag, positional=(), named=None, data=None, before=b""):
        self.send_frame(frame_encode(flag, positional, named, data), before)

    def send_frame(self, frame, before=b""):
        try:
            self.wire.write(before + self.sealer.seal(frame))
        except Gone:
            with contextlib.suppress(Gone):
                while True:  # what came before may say why (§14.8)
                    self.receive()
            raise

    def whole(self):
        """The length of the next record if it is there in full; it is checked before more is waited for (§14.1)."""
        if len(self.wire.buffer) < 4:
            return None
        length = int.from_bytes(self.wire.buffer[:4], "big")
        if not SEALED_MIN <= length <= SEALED_MAX:
            raise Refused("record length out of bounds", "protocol")
        return None if len(self.wire.buffer) < 4 + length else length

    def receive(self):
        """The next frame, as `frame_parse` gives it; an `E` is raised."""
        self.wire.allow(self.patience)
        while (length := self.whole()) is None:
            self.wire.need(len(self.wire.buffer) + 1)
        frame = frame_parse(self.opener.open(self.wire.take(4 + length))[0])
        if frame[0] == b"E":
            raise refusal_parse(frame)
        return frame

    def ready(self):
        """The frames that have come, without waiting."""
        self.wire.pump(0)
        while self.whole():
            yield self.receive()
            self.wire.pump(0)

    def expect(self, flag, positional=None):
        """`(positional, named)` of the next frame, which has this flag and, if given, these positional arguments."""
        got, texts, named, _ = self.receive()
        if got != flag or (positional is not None and texts != positional):
            raise Refused(f"a frame {got!r} {texts!r:.60} where {flag!r} {positional!r:.60} belongs", "protocol")
        return texts, named


# --- Chain and checkpoints (§22) ---


class Chain:
    """The chain of what was fed to it; it may begin at a checkpoint."""

    def __init__(self, header, offset=0, d=None):
        self.d, self.offset = blake3.blake3(header).digest() if d is None else d, offset
        self.rest = bytearray()

    def feed(self, data):
        """The checkpoints `(offset, chain)` that the data reaches."""
        self.rest += data
        while len(self.rest) >= PIECE:
            self.d = blake3.blake3(self.d + self.rest[:PIECE]).digest()
            del self.rest[:PIECE]
            self.offset += PIECE
            if self.offset % CHECKPOINT == 0:
                yield self.offset, self.d

    def final(self):
        return blake3.blake3(self.d + self.rest).digest() if self.rest else self.d


# --- Sealed content, as a stream (§21) ---


def percent_encode(raw):
    """The name of a file that is not UTF-8 (§21.7)."""
    text = raw.decode("utf-8", "surrogateescape").replace("%", "%25")
    return re.sub("[\udc80-\udcff]", lambda match: f"%{ord(match[0]) - 0xDC00:02X}", text)


def file_metadata(path):
    raw, about = os.fsencode(path.name), path.stat()
    try:
        fields = [("name", raw.decode("utf-8"))]
    except UnicodeDecodeError:
        fields = [("name", percent_encode(raw)), ("name-encoding", "percent")]
    fields.append(("size", str(about.st_size)))
    if about.st_mtime_ns >= 0:
        fields.append(("mtime", str(about.st_mtime_ns // 10**9)))
    fields += [("mode", f"{about.st_mode & 0o7777:o}"), ("kind", "file"), ("encoding", "identity")]
    return metadata_encode(fields)


def metadata_check(metadata):
    """The fields of metadata, each in its form."""
    fields = metadata_parse(metadata)
    for name, form in (
        ("size", r"0|[1-9][0-9]{0,18}"),
        ("mtime", r"0|[1-9][0-9]{0,18}"),
        ("mode", r"[0-7]{1,4}"),
        ("name-encoding", r"percent"),
    ):
        if name in fields and not re.fullmatch(form, fields[name]):
            raise Refused(f"metadata with a malformed {name}")
    if int(fields.get("size", 0)) > NUMBER_MAX or int(fields.get("mtime", 0)) > NUMBER_MAX:
        raise Refused("metadata with a number out of range")
    return fields


class Source:
    """A file to be sealed: its plaintext is length, metadata and content."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        metadata = file_metadata(self.path)
        self.start = struct.pack(">I", len(metadata)) + metadata
        self.content = self.path.stat().st_size
        self.chunks = -(-(len(self.start) + self.content) // CHUNK)
        self.size = len(self.start) + self.content + (PIECE - CHUNK) * self.chunks

    def pieces(self, content_key, header, index):
        """The pieces from one on; nonces are new each time."""
        with self.path.open("rb") as file:
            for at in range(index, self.chunks):
                start = self.start if at == 0 else b""
                file.seek(max(0, at * CHUNK - len(self.start)))
                want = min(CHUNK, len(self.start) + self.content - at * CHUNK)
                chunk = start + file.read(want - len(start))
                if len(chunk) != want:
                    raise Refused("the file has changed")
                yield chunk_seal(content_key, header, at, at == self.chunks - 1, secrets.token_bytes(12), chunk)


class Unsealer:
    """Takes the stored bytes from a piece on, writes the content, whose chunks are all checked first."""

    def __init__(self, content_key, header, size, offset, out):
        self.key, self.header, self.out = content_key, header, out
        self.last, self.index, self.rest = (size - 1) // PIECE, -(-offset // PIECE), bytearray()
        self.fields, self.written = None, 0

    def feed(self, data):
        self.rest += data
        while len(self.rest) >= PIECE:
            self.open(PIECE)

    def finish(self):
        if self.rest:
            self.open(len(self.rest))
        if self.index != self.last + 1:
            raise Refused("the last chunk is missing")
        if self.fields and self.fields["encoding"] == "identity":
            if int(self.fields.get("size", self.written)) != self.written:
                raise Refused("the content has not the size of its metadata")

    def open(self, count):
        chunk = chunk_open(self.key, self.header, self.index, self.index == self.last, bytes(self.rest[:count]))
        del self.rest[:count]
        if self.index == 0:
            chunk = self.begin(chunk)
        self.index += 1
        self.written += len(chunk)
        self.out.write(chunk)

    def begin(self, chunk):
        """The content within the first chunk, behind the metadata."""
        length = int.from_bytes(chunk[:4], "big")
        if len(chunk) < 4 or 4 + length > len(chunk):
            raise Refused("metadata does not end within the first chunk")
        self.fields = metadata_check(chunk[4 : 4 + length])
        return chunk[4 + length :]


# --- Guessing (§16.3 to §16.9) ---


class Guesses:
    """Failures by cookie and by source, counted before anything is verified."""

    FREE = {"cookie": (3, 30), "source": (10, 600)}

    def __init__(self):
        self.table = {}  # key -> [failures, end of the delay, time of the last attempt]

    def rest(self, key):
        entry = self.table.get(key)
        if entry and time.monotonic() - entry[2] > 3600:
            del self.table[key]
            entry = None
        return entry[1] - time.monotonic() if entry else 0

    def begin(self, cookie, source, owner=False):
        keys = [("source", source)] + ([("cookie", cookie)] if cookie is not None else [])
        rest = max(self.rest(key) for key in keys if not (owner and key[0] == "cookie"))
        if rest > 0:
            raise Answer("too-many-attempts", max(1, math.ceil(rest)))
        for key in keys:
            entry = self.table.setdefault(key, [0, 0, 0])
            free, most = self.FREE[key[0]]
            entry[0] += 1
            entry[2] = time.monotonic()
            if entry[0] > free:
                entry[1] = entry[2] + min(most, 2 ** min(20, entry[0] - free - 1))

    def succeeded(self, cookie, source):
        self.table.pop(("cookie", cookie), None)
        if entry := self.table.get(("source", source)):
            entry[0], entry[1] = max(0, entry[0] - 1), 0


# --- Store of the server ---


class Store:
    """A folder: `<cookie>.part` or `.sealed` (header and content), `<cookie>.verifier`, `<cookie>.json`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        for cookie in self.cookies():
            record = self.get(cookie)
            if record and not record["pending"]:
                while record["claimed"] > record["committed"] and record["returned"] < RETURNS_MAX:
                    self.give_back(record)  # those that were open when the server ended (§25.7)
                self.settle(record)

    def cookies(self):
        return [path.stem for path in self.folder.glob("*.json") if path.stem.isdigit()]

    def path(self, cookie, kind):
        return self.folder / f"{cookie}.{kind}"

    def content(self, record):
        return self.path(record["cookie"], "part" if record["pending"] else "sealed")

    def get(self, cookie):
        """The record of a cookie, pending or not; none whose time has come."""
        try:
            record = json.loads(self.path(cookie, "json").read_text())
        except FileNotFoundError:
            return None
        end = record["lease"] if record["pending"] else record["expires"]
        if end is not None and end <= time.time():
            self.remove(cookie)
            return None
        return record

    def visible(self, cookie):
        record = self.get(cookie)
        if record is None or record["pending"]:
            return None
        return None if record["downloads"] is not None and record["claimed"] >= record["downloads"] else record

    def verifier(self, record):
        return self.path(record["cookie"], "verifier").read_bytes()

    def header(self, record):
        with self.content(record).open("rb") as file:
            return file.read(HEADER)

    def save(self, record):
        self.save_json(self.path(record["cookie"], "json"), record)

    @staticmethod
    def save_json(path, what):
        scratch = path.with_suffix(".tmp")
        with scratch.open("w") as file:
            json.dump(what, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)

    def create(self, header, verifier, owner, **asked):
        cookie = fss1.new_cookie(secrets.token_bytes(16))
        record = {"cookie": cookie, "pending": True, "owner": owner.hex(), **asked, "checkpoints": {}}
        record |= {"chain": None, "stored": None, "expires": None, "lease": int(time.time()) + LEASE}
        record |= {"claimed": 0, "committed": 0, "returned": 0}
        self.path(cookie, "part").write_bytes(header)
        self.path(cookie, "verifier").write_bytes(verifier)
        self.save(record)
        return record

    def complete(self, record, size, chain):
        now = int(time.time())
        self.path(record["cookie"], "part").replace(self.path(record["cookie"], "sealed"))
        record |= {"pending": False, "size": size, "chain": chain.hex(), "stored": now, "order": time.time_ns()}
        record |= {"expires": expiry(record), "lease": None, "checkpoints": {}}
        self.save(record)

    def remove(self, cookie):
        for kind in ("json", "sealed", "part", "verifier"):
            self.path(cookie, kind).unlink(missing_ok=True)

    def give_back(self, record):
        """A claim whose connection ended; the fourth counts as used up."""
        if record["returned"] < RETURNS_MAX:
            record["claimed"] -= 1
            record["returned"] += 1
            self.save(record)

    def settle(self, record):
        if record["downloads"] is not None and record["claimed"] >= record["downloads"]:
            self.remove(record["cookie"])

    def owned(self, owner):
        """The completed files of a key, oldest first."""
        records = [self.visible(cookie) for cookie in self.cookies()]
        return sorted((r for r in records if r and r["owner"] == owner.hex()), key=lambda r: r["order"])


def expiry(record):
    """When a file completed now expires; no later than a number can say."""
    return None if record["keep"] is None else min(NUMBER_MAX, int(time.time()) + record["keep"])


class Users:
    """Who has signed up, and the one invite that there may be (§19.4 to §19.7)."""

    def __init__(self, folder, invite):
        self.path = pathlib.Path(folder) / "users.json"
        known = json.loads(self.path.read_text()) if self.path.exists() else {"users": {}, "used": []}
        self.users, self.used = known["users"], known["used"]
        self.members, self.invite = invite is not None, hashlib.sha384(invite).hexdigest() if invite else None

    def good(self, invite):
        token = hashlib.sha384(invite).hexdigest()
        return self.invite is not None and token == self.invite and token not in self.used

    def add(self, key, name, invite):
        self.users[key.hex()] = name
        if invite:
            self.used.append(hashlib.sha384(invite).hexdigest())
        Store.save_json(self.path, {"users": self.users, "used": self.used})

    def name(self, key):
        return self.users.get(key.hex())


# --- Server ---


class Server:
    def __init__(self, options):
        self.key, self.transport, self.store = load_key(options.key), TransportKeys(), Store(options.dir)
        self.secret = decoy_secret(self.key.export_key("DER", pkcs=8))
        invite = None if options.members_invite is None else bytes.fromhex(options.members_invite)
        self.users, self.guesses = Users(options.dir, invite), Guesses()
        self.largest, self.window = options.largest_file, options.window

    def run(self, port):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with socket.create_server(("127.0.0.1", port)) as listener:
            print(f"listening {listener.getsockname()[1]}", flush=True)
            while True:
                sock, address = listener.accept()
                with sock:
                    self.serve(Wire(sock), address[0])

    def serve(self, wire, source):
        try:
            channel, client = self.greet(wire)
            if channel:
                Conversation(self, channel, client, source).run()
        except (Refused, Gone, Idle, OSError) as fault:
            if not getattr(fault, "clean", False):
                complain(fault)

    def greet(self, wire):
        """The handshake (§13.1 to §13.10): the channel and the client's DER; nothing if it was refused."""
        wire.allow(HANDSHAKE)
        transport = self.transport.next()
        wire.write(fss1.public_pem(transport))
        client = receive_key(wire, identity=True)
        piece = first_block(wire, transport)
        hello = b"" if piece is None else piece
        flag = hello.split(b"\0")[0]
        if flag != b"H":
            if flag in (b"", b"U", b"D"):
                wire.write(fss1.seal(client, b"E\0" + fss1.FAILED + b"\0"))  # §6.1, §13.12
            else:
                wire.write(fss1.ILLEGAL_STATE_CLEAR)
            wire.linger()
            return None, None
        share, secret = secrets.token_bytes(32), secrets.token_bytes(32)
        answer = hello_encode(b"R", x25519_public(share), secret)
        try:
            theirs, _ = hello_parse(hello, b"H")
            if spki(client) in (spki(transport), spki(self.key)):
                raise Refused("the client's key is the server's", "protocol")
            shared = x25519_shared(share, theirs)
        except Refused as fault:
            complain(fault)
            wire.write(fss1.seal(client, refusal_frame(fault.code)))
            wire.linger()
            return None, None
        keys = key_schedule(spki(client), spki(transport), hello, answer, shared)
        channel = Channel(wire, keys, "server", "client", IDLE)
        th = transcript_hash(spki(client), spki(transport), spki(self.key), hello, answer)
        channel.binding = binding(keys["prk"], th)
        signature = pss.new(self.key, salt_bytes=48).sign(SHA384.new(to_be_signed(th)))
        who = given(identity=base64_encode(spki(self.key)), signature=base64_encode(signature))
        limits = given(largest_file=number(self.largest), window=number(self.window))
        channel.send(b"K", (), who | limits, before=fss1.seal(client, answer))  # together (§13.8)
        wire.take(transport.size_in_bytes())  # the end mark of the hello, which nobody opens (§13.6)
        return channel, spki(client)


def complain(fault):
    print(f"fss2_peer.py: {fault or type(fault).__name__}", file=sys.stderr, flush=True)


class Conversation:
    """One connection of the server, behind the handshake."""

    def __init__(self, server, channel, client, source):
        self.channel, self.store, self.users, self.guesses = channel, server.store, server.users, server.guesses
        self.largest, self.window, self.secret = server.largest, server.window, server.secret
        self.client, self.begun = fingerprint(client), False
        address = ipaddress.ip_address(source)
        self.source = address if address.version == 4 else ipaddress.ip_network((address, 64), strict=False)

    def run(self):
        while True:
            code, retry = None, None
            try:
                self.begun = None  # no request is open
                frame = self.channel.receive()
                self.begun = False
                self.request(*frame)
                continue
            except Answer as answer:
                code, retry = answer.code, answer.retry
            except Refused as fault:
                complain(fault)
                code = fault.code or "protocol"
            except Idle:
                code = "idle"
            except Told as told:
                complain(told)
                return self.channel.wire.linger()
            except Gone as gone:
                if self.begun is None:
                    raise
                raise Gone from gone  # within an operation no end is clean
            self.channel.send_frame(refusal_frame(code, retry))
            if self.begun is not False or code in ENDING:
                return self.channel.wire.linger()

    def request(self, flag, positional, named, _):
        if flag == b"D" and positional == [b"OK"]:
            raise Refused("an acknowledgement of nothing", "protocol")
        handlers = {b"U": (0, self.upload), b"D": (1, self.download), b"X": (1, self.delete)}
        handlers |= {b"L": (0, self.list), b"N": (1, self.sign_up), b"I": (0, self.information)}
        if flag not in handlers:
            raise Refused(f"a frame {flag!r} out of turn", "protocol")
        count, handler = handlers[flag]
        if len(positional) != count:
            raise Refused("positional arguments", "bad-request")
        handler(*positional, named)

    def members_only(self):
        if self.users.members and not self.users.name(self.client):
            raise Answer("not-a-member")

    def prove(self, cookie, record, proved, also=True):
        """Refuses unless there is a record and the proof is good for it (§16.3, §18.3)."""
        text = cookie.decode()
        owner = record is not None and record["owner"] == self.client.hex()
        self.guesses.begin(text, self.source, owner)
        verifier = self.store.verifier(record) if record else decoy(self.secret, cookie)[2]
        good = hmac.compare_digest(proof(verifier, self.channel.binding, cookie), proved or bytes(48))
        if not (good and proved and record and also):
            raise Answer("refused")
        self.guesses.succeeded(text, self.source)

    # Upload (§17)

    def upload(self, named):
        header = value(named, b"seal", fixed(HEADER))
        header_parse(header)
        if b"cookie" in named:
            return self.resume(header, named)
        verifier, size = value(named, b"verifier", fixed(48)), value(named, b"size", number_decode, required=False)
        keep = value(named, b"keep", positive, required=False)
        downloads = value(named, b"downloads", positive, required=False)
        self.members_only()
        if size is not None and size > self.largest:
            raise Answer("too-large")
        record = self.store.create(header, verifier, self.client, size=size, keep=keep, downloads=downloads)
        self.accept(record, 0, None)
        self.take(record, Chain(header))

    def resume(self, header, named):
        cookie = value(named, b"cookie", cookie_check)
        proved, asked = value(named, b"proof", fixed(48)), value(named, b"offset", number_decode)
        self.members_only()
        record = self.store.get(cookie.decode())
        if record and not record["pending"]:
            record = self.store.visible(cookie.decode())
        self.prove(cookie, record, proved, also=record is not None and self.store.header(record) == header)
        if not record["pending"]:
            return self.repeat(record)
        at = max((int(n) for n in record["checkpoints"] if int(n) <= asked), default=0)
        d = bytes.fromhex(record["checkpoints"][str(at)]) if at else None
        record["checkpoints"] = {n: text for n, text in record["checkpoints"].items() if int(n) <= at}
        record["lease"] = int(time.time()) + LEASE
        self.store.save(record)
        self.accept(record, at, d)
        self.take(record, Chain(header, at, d))

    def accept(self, record, offset, d):
        """The first `R`."""
        expires = expiry(record) if record["pending"] else record["expires"]
        named = given(offset=number(offset), window=number(self.window), expires=optional_number(expires))
        named |= given(chain=d.hex().encode() if offset else None)
        self.channel.send(b"R", [record["cookie"].encode()], named)
        self.begun = True

    def receive_data(self):
        flag, _, _, data = self.channel.receive()
        if flag != b"F":
            raise Refused(f"a frame {flag!r} within an upload", "protocol")
        return data

    def take(self, record, chain):
        received = acknowledged = chain.offset
        with self.store.content(record).open("r+b") as file:
            file.truncate(HEADER + received)
            file.seek(0, os.SEEK_END)
            while data := self.receive_data():
                received += len(data)
                if record["size"] is not None and received > record["size"]:
                    raise Refused("more than its size", "bad-request")
                if received > self.largest:
                    raise Answer("too-large")
                file.write(data)
                for at, d in chain.feed(data):
                    file.flush()
                    os.fsync(file.fileno())
                    record["checkpoints"][str(at)] = d.hex()
                    record["lease"] = int(time.time()) + LEASE
                    self.store.save(record)
                if (received - acknowledged) * 8 >= self.window:
                    self.channel.send(b"R", [b"OK"], given(offset=number(received)))
                    acknowledged = received
            if record["size"] not in (None, received):
                raise Refused("less than its size", "bad-request")
            file.flush()
            os.fsync(file.fileno())
        self.store.complete(record, received, chain.final())
        self.finish(record)

    def finish(self, record):
        final = given(offset=number(record["size"]), chain=record["chain"].encode())
        self.channel.send(b"R", [b"OK"], final)

    def repeat(self, record):
        """A resume of what was completed (§17.13)."""
        self.accept(record, record["size"], bytes.fromhex(record["chain"]))
        if self.receive_data():
            raise Refused("data behind a completed upload", "bad-request")
        self.finish(record)

    # Download (§18)

    def download(self, cookie, named):
        cookie_check(cookie)
        record = self.store.visible(cookie.decode())
        if b"proof" not in named:
            return self.challenge(cookie, record)
        proved = value(named, b"proof", fixed(48))
        offset = value(named, b"offset", number_decode, required=False) or 0
        self.prove(cookie, record, proved)
        size = record["size"]
        if offset > size or (offset % PIECE and offset != size):
            raise Refused("no such offset", "bad-request")
        committed = False
        record["claimed"] += 1
        self.store.save(record)
        try:
            self.serve(record, offset)
            committed = True
        finally:
            if committed:
                record["committed"] += 1
                self.store.save(record)
            else:
                self.store.give_back(record)
            self.store.settle(record)

    def challenge(self, cookie, record):
        header = self.store.header(record) if record else header_encode(*decoy(self.secret, cookie)[:2])
        self.channel.send(b"S", [b"Challenge"], given(seal=base64_encode(header)))

    def serve(self, record, offset):
        size, sent, taken = record["size"], offset, offset
        named = given(size=number(size), chain=record["chain"].encode(), expires=optional_number(record["expires"]))
        self.channel.send(b"S", [b"Approved"], named)
        self.begun = True
        with self.store.content(record).open("rb") as file:
            file.seek(HEADER + offset)
            while sent < size:
                for frame in self.channel.ready():
                    taken = self.taken(frame, taken, sent, size)
                while taken + WINDOW == sent:
                    taken = self.taken(self.channel.receive(), taken, sent, size)
                data = file.read(min(FULL, taken + WINDOW - sent))
                if not data:
                    raise Answer("storage")
                self.channel.send(b"F", data=data)
                sent += len(data)
        for frame in self.channel.ready():
            taken = self.taken(frame, taken, sent, size)
        self.channel.send(b"F")
        while (taken := self.taken(self.channel.receive(), taken, sent, None)) != size:
            pass

    @staticmethod
    def taken(frame, before, sent, whole):
        """What a `D OK` says; `whole` is the size as long as it must not be acknowledged (§18.8)."""
        flag, positional, named, _ = frame
        if flag != b"D" or positional != [b"OK"]:
            raise Refused(f"a frame {flag!r} within a download", "protocol")
        offset = value(named, b"offset", number_decode)
        if not before <= offset <= sent or offset == whole:
            raise Refused("an acknowledgement of what was not sent, or backwards", "bad-request")
        return offset

    # The others (§19)

    def delete(self, cookie, named):
        cookie_check(cookie)
        proved = value(named, b"proof", fixed(48), required=False)
        record = self.store.visible(cookie.decode())
        if not (record and record["owner"] == self.client.hex()):
            self.prove(cookie, record, proved)
        self.store.remove(cookie.decode())
        self.channel.send(b"R", [b"OK"])

    def list(self, named):
        after = value(named, b"after", cookie_check, required=False)
        self.members_only()
        records = self.store.owned(self.client)
        if after is not None:
            places = [n for n, record in enumerate(records) if record["cookie"] == after.decode()]
            if not places:
                raise Answer("refused")
            records = records[places[0] + 1 :]
        for record in records[:LIST_MAX]:
            left = None if record["downloads"] is None else record["downloads"] - record["claimed"]
            about = given(size=number(record["size"]), stored=number(record["stored"]))
            about |= given(expires=optional_number(record["expires"]), downloads=optional_number(left))
            self.channel.send(b"R", [record["cookie"].encode()], about)
        self.channel.send(b"R", [b"END"], given(more=b"1" if len(records) > LIST_MAX else None))

    def user(self):
        name = self.users.name(self.client)
        used = sum(record["size"] for record in self.store.owned(self.client))
        return given(name=name.encode(), quota=number(NUMBER_MAX), used=number(used)) if name else {}

    def sign_up(self, name, named):
        invite = value(named, b"invite", fixed(32), required=False)
        if invite:
            self.guesses.begin(None, self.source)
        if not self.users.name(self.client):
            if not (self.users.good(invite) if invite else not self.users.members):
                raise Answer("bad-invite")
            if not re.fullmatch(rb"[A-Za-z0-9._-]{1,64}", name) or name.decode() in self.users.users.values():
                raise Answer("name-taken")
            self.users.add(self.client, name.decode(), invite)
        if invite:
            self.guesses.succeeded(None, self.source)
        self.channel.send(b"R", [b"OK"], self.user())

    def information(self, _):
        limits = given(largest_file=number(self.largest), window=number(self.window))
        self.channel.send(b"R", [b"OK"], limits | self.user())


# --- Client ---


class Client:
    """One connection of the client."""

    def __init__(self, options):
        self.key, self.begun, self.channel = load_key(options.key), False, None
        self.pin = options.pin
        host, _, port = options.server.rpartition(":")
        self.wire = Wire(socket.create_connection((host.strip("[]"), int(port)), PATIENCE))

    def greet(self):
        """The handshake (§13)."""
        self.wire.allow(PATIENCE)
        self.wire.write(fss1.public_pem(self.key))
        transport = receive_key(self.wire, identity=False)
        if spki(transport) == spki(self.key):
            raise Refused("the server's key is this client's own")  # §13.3
        share, secret = secrets.token_bytes(32), secrets.token_bytes(32)
        hello = hello_encode(b"H", x25519_public(share), secret)
        self.wire.write(fss1.seal(transport, hello))
        answer = self.answer()
        shared = x25519_shared(share, hello_parse(answer, b"R")[0])
        keys = key_schedule(spki(self.key), spki(transport), hello, answer, shared)
        channel = Channel(self.wire, keys, "client", "server", PATIENCE)
        named = channel.expect(b"K", [])[1]
        self.server = value(named, b"identity", base64_decode)
        key_of(self.server)
        if self.server in (spki(transport), spki(self.key)):
            raise Refused("the server's identity is a key that decrypts")  # §13.9
        th = transcript_hash(spki(self.key), spki(transport), self.server, hello, answer)
        signature_check(self.server, th, value(named, b"signature", base64_decode))
        if self.pin and self.pin != shown(self.server):
            raise Refused("the server's key is not the pinned one")
        self.limits, channel.binding = self.read_limits(named), binding(keys["prk"], th)
        self.channel = channel  # only now may a record be sent

    def answer(self):
        """The server's hello, or its refusal (§13.10, §13.11)."""
        clear = fss1.ILLEGAL_STATE_CLEAR
        self.wire.need(len(clear))
        if self.wire.buffer.startswith(clear):
            raise Refused("the server perhaps speaks only FSS 1.0")
        first = first_block(self.wire, self.key)
        if first and first.startswith(b"R\0"):
            self.wire.take(self.key.size_in_bytes())  # the end mark, which nobody opens (§13.6)
            return first
        pieces = first and message_rest(self.wire, self.key, first, MESSAGE_MAX // self.key.size_in_bytes() - 1)
        if not pieces or not first.startswith(b"E"):
            raise Refused("no hello")
        raise refusal_parse(frame_parse(b"".join(pieces)))

    @staticmethod
    def read_limits(named):
        limits = {"largest-file": value(named, b"largest-file", number_decode)}
        return limits | {"window": value(named, b"window", positive)}

    def ends(self, told):
        return self.begun or told.code in ENDING or told.code not in SENTENCES

    def give_up(self):
        """After a fault of the server's (§20.3)."""
        with contextlib.suppress(Gone, Idle, Told, Refused, OSError):
            if self.channel:
                self.channel.send_frame(refusal_frame("protocol"))
                self.wire.linger()
        self.wire.sock.close()

    def prove(self, verifier, cookie):
        return base64_encode(proof(verifier, self.channel.binding, cookie))

    # Upload (§17)

    def upload(self, options):
        password, source = password_of(options), Source(options.file)
        header = header_encode(secrets.token_bytes(16), secrets.token_bytes(32))
        keys = derive_keys(header, password)
        named = given(seal=base64_encode(header), verifier=base64_encode(keys["verifier"]))
        named |= given(keep=optional_number(options.keep), downloads=optional_number(options.downloads))
        named |= given(size=None if options.no_size else number(source.size))
        self.channel.send(b"U", (), named)
        cookie, offset, window, _, expires = self.accepted()
        if offset:
            raise Refused("a new upload that does not begin at 0")
        upload = Upload(self.channel, Chain(header), window)
        if not upload.push(source.pieces(keys["content_key"], header, 0), options.stop_after):
            upload.settle()
            self.wire.abort()
            noted = {at: d.hex() for at, d in upload.noted.items()}
            last = max(noted, default=0)
            about = {"cookie": cookie.decode(), "header": header.hex(), "offset": last, "chain": noted.get(last)}
            return about | {"sent": upload.sent, "checkpoints": noted}
        upload.finish(source.size)
        return self.uploaded(cookie, upload, header, expires)

    def uploaded(self, cookie, upload, header, expires):
        self.begun = False
        about = {"cookie": cookie.decode(), "chain": upload.chain.final().hex(), "size": upload.sent}
        return about | {"header": header.hex(), "expires": expires}

    def accepted(self):
        """Of the first `R`: cookie, offset, window, chain and expiry."""
        texts, named = self.channel.expect(b"R")
        if len(texts) != 1:
            raise Refused("an R without its one cookie")
        cookie, offset = cookie_check(texts[0]), value(named, b"offset", number_decode)
        d = value(named, b"chain", digest_decode, required=offset != 0)
        if d is not None and offset == 0:
            raise Refused("a chain at offset 0")
        self.begun = True
        window, expires = value(named, b"window", positive), value(named, b"expires", number_decode, required=False)
        return cookie, offset, window, d, expires

    def resume(self, options):
        password, source = password_of(options), Source(options.file)
        header, cookie = bytes.fromhex(options.header), cookie_check(options.cookie.encode())
        noted = {int(at): bytes.fromhex(d) for at, d in json.loads(options.checkpoints or "{}").items()}
        if options.chain:
            noted[options.offset] = bytes.fromhex(options.chain)
        keys = derive_keys(header, password)
        named = given(seal=base64_encode(header), proof=self.prove(keys["verifier"], cookie), cookie=cookie)
        self.channel.send(b"U", (), named | given(offset=number(options.offset)))
        same, offset, window, d, expires = self.accepted()
        if same != cookie:
            raise Refused("a resume of another cookie")
        if offset != source.size and (offset > options.offset or offset % CHECKPOINT):
            raise Refused("a resume at an offset that was not asked for")
        if offset in noted and noted[offset] != d:
            raise Refused("the chain is not that of this client")  # where another client would begin anew (§17.10)
        upload = Upload(self.channel, Chain(header, offset, d), window)
        upload.push(source.pieces(keys["content_key"], header, -(-offset // PIECE)), None)
        upload.finish(source.size)
        about = self.uploaded(cookie, upload, header, expires)
        return about | {"offset": offset, "compared": offset in noted}

    # Download (§18)

    def challenge(self, cookie):
        """The header that the server gives for a cookie."""
        self.channel.send(b"D", [cookie])
        _, named = self.channel.expect(b"S", [b"Challenge"])
        if b"format" in named:
            raise Refused("the server says that this is a file of FSS 1.0")  # §18.11
        header = value(named, b"seal", fixed(HEADER))
        header_parse(header)
        return header

    def header(self, options, cookie):
        """The header to prove with; one that is known must be the server's too (§18.4)."""
        known = options.header and bytes.fromhex(options.header)
        if known and options.no_challenge:
            return known
        header = self.challenge(cookie)
        if known and header != known:
            raise Refused("the header is not the one that is known")
        return header

    def approved(self, options, cookie, verifier):
        """`(size, chain, expires)` behind a good proof."""
        offset = number(options.offset) if options.offset is not None else None
        self.channel.send(b"D", [cookie], given(proof=self.prove(verifier, cookie), offset=offset))
        _, named = self.channel.expect(b"S", [b"Approved"])
        self.begun = True
        if named.get(b"format") != (b"1.0" if options.fss1 else None):
            raise Refused("the approval is of another format")
        size, final = value(named, b"size", number_decode), value(named, b"chain", digest_decode, not options.fss1)
        if options.expect_chain and final.hex() != options.expect_chain:
            raise Refused("the chain is not the one that is known")
        return size, final, value(named, b"expires", number_decode, required=False)

    def download(self, options):
        cookie = cookie_check(options.cookie.encode())
        if options.fss1:
            return self.download_old(options, cookie)
        header, offset = self.header(options, cookie), options.offset or 0
        keys = derive_keys(header, password_of(options))
        size, final, expires = self.approved(options, cookie, keys["verifier"])
        if size < offset or not (size % PIECE == 0 or size % PIECE > PIECE - CHUNK) or size == 0:
            raise Refused("no sealed file has this size")
        chain = Chain(header, offset, options.chain and bytes.fromhex(options.chain))
        with written(options.out) as out:
            unsealer = Unsealer(keys["content_key"], header, size, offset, out)
            for data in self.content(offset, size):
                list(chain.feed(data))
                unsealer.feed(data)
            unsealer.finish()
            if (offset == 0 or options.chain) and chain.final() != final:
                raise Refused("the chain does not agree with the content")
            out.flush()
            decode(out, unsealer.fields)
        self.commit(size)
        about = {"cookie": options.cookie, "size": size, "chain": final.hex(), "header": header.hex()}
        return about | {"expires": expires, "metadata": unsealer.fields}

    def content(self, offset, size):
        """The bytes of a download, acknowledged once they were taken."""
        received = taken = offset
        while True:
            flag, _, _, data = self.channel.receive()
            if flag != b"F":
                raise Refused(f"a frame {flag!r} within a download")
            if not data:
                break
            received += len(data)
            if received > size or received > taken + WINDOW:
                raise Refused("more than the size or the window")
            yield data
            if received - taken >= ACK and received < size:  # the last is `commit`'s
                self.channel.send(b"D", [b"OK"], given(offset=number(received)))
                taken = received
        if received != size:
            raise Refused("less than the size")

    def commit(self, size):
        self.channel.send(b"D", [b"OK"], given(offset=number(size)))
        self.begun = False

    def download_old(self, options, cookie):
        """A file of FSS 1.0 (§18.10), whole."""
        password = password_of(options)
        size, final, expires = self.approved(options, cookie, fss1.verifier(password))
        chain, offset, stored = Chain(b"", options.offset or 0), options.offset or 0, b""
        for data in self.content(offset, size):
            list(chain.feed(data))
            stored += data
        if final is not None and offset == 0 and chain.final() != final:
            raise Refused("the chain does not agree with the content")
        if len(stored) % 16 or (options.size is not None and size < options.size):
            raise Refused("no file of FSS 1.0, or not of that size")
        plain = fss1.decrypt_content(password, stored)
        if options.size is not None:
            plain = plain[: max(0, options.size - offset)]
        pathlib.Path(options.out).write_bytes(plain)
        self.commit(size)
        return {"cookie": options.cookie, "size": size, "chain": final and final.hex(), "expires": expires}

    # The others (§19)

    def delete(self, options):
        cookie, named = cookie_check(options.cookie.encode()), {}
        if options.password_env:
            password = password_of(options)
            old = fss1.verifier(password) if options.fss1 else None
            verifier = old or derive_keys(self.header(options, cookie), password)["verifier"]
            named = given(proof=self.prove(verifier, cookie))
        self.channel.send(b"X", [cookie], named)
        self.channel.expect(b"R", [b"OK"])
        return {"deleted": options.cookie}

    def list(self, _):
        files, after = [], None
        while True:
            self.channel.send(b"L", (), given(after=after))
            count = 0
            while (got := self.channel.expect(b"R"))[0] != [b"END"]:
                [after], named, count = *got, count + 1
                forms = {"size": True, "stored": True, "expires": False, "downloads": False}
                numbers = {name: value(named, name.encode(), number_decode, must) for name, must in forms.items()}
                files.append({"cookie": cookie_check(after).decode(), **numbers})
            if count > LIST_MAX or got[1].get(b"more", b"1") != b"1" or (b"more" in got[1] and not count):
                raise Refused("a list that is not as it should be")
            if b"more" not in got[1]:
                return {"files": files}

    @staticmethod
    def user(named):
        if b"name" not in named:
            return {}
        about = {"name": named[b"name"].decode("utf-8", "backslashreplace")}
        return about | {name: value(named, name.encode(), number_decode) for name in ("quota", "used")}

    def sign_up(self, options):
        invite = options.invite and base64_encode(bytes.fromhex(options.invite))
        self.channel.send(b"N", [options.name.encode()], given(invite=invite or None))
        named = self.channel.expect(b"R", [b"OK"])[1]
        value(named, b"name", bytes)
        return self.user(named)

    def info(self, _):
        self.channel.send(b"I")
        named = self.channel.expect(b"R", [b"OK"])[1]
        keys = {"server": shown(self.server), "client": shown(spki(self.key))}
        return self.read_limits(named) | self.user(named) | keys | {"hello": self.limits}


class Upload:
    """Sends content within the window, and notes the chain at each checkpoint (§17.7, §17.14)."""

    def __init__(self, channel, chain, window):
        self.channel, self.chain, self.window = channel, chain, window
        self.sent = self.acknowledged = chain.offset
        self.noted = {}

    def push(self, pieces, stop_after):
        """Whether all of it was sent."""
        batch = b""
        for piece in pieces:
            self.noted.update(self.chain.feed(piece))
            batch += piece
            if len(batch) == FULL:
                if not self.push_batch(batch, stop_after):
                    return False
                batch = b""
        return self.push_batch(batch, stop_after)

    def push_batch(self, data, stop_after):
        stop = stop_after is not None and self.sent + len(data) >= stop_after
        data = data[: stop_after - self.sent] if stop else data
        while data:
            data = data[self.push_some(data) :]
        if stop:
            self.noted = {at: d for at, d in self.noted.items() if at <= self.sent}
        return not stop

    def push_some(self, data):
        """Sends what the window takes, in whole pieces if it can; how much it was."""
        for frame in self.channel.ready():
            self.acknowledge(frame)
        while True:
            room = self.acknowledged + self.window - self.sent
            if room < len(data) and room >= PIECE:
                room -= room % PIECE
            owed = (self.sent - self.acknowledged) * 8 >= self.window  # an acknowledgement is sure to come
            if room >= min(PIECE, len(data)) or (room > 0 and not owed):
                break
            self.acknowledge(self.channel.receive())
        self.channel.send(b"F", data=data[:room])
        self.sent += min(room, len(data))
        return min(room, len(data))

    def acknowledge(self, frame, final=False):
        """Of an `R OK`; whether it is the final one."""
        flag, positional, named, _ = frame
        if flag != b"R" or positional != [b"OK"]:
            raise Refused(f"a frame {flag!r} within an upload")
        offset = value(named, b"offset", number_decode)
        if not self.acknowledged <= offset <= self.sent:
            raise Refused("an acknowledgement of what was not sent, or backwards")
        self.acknowledged = offset
        d = value(named, b"chain", digest_decode, required=False)
        if d is None:
            return False
        if not final:
            raise Refused("a final acknowledgement before the end")
        if (offset, d) != (self.sent, self.chain.final()):
            raise Refused("the server's chain or offset is not this client's")  # §17.9
        return True

    def finish(self, size):
        if self.sent != size:
            raise Refused("not all was sent")
        self.channel.send(b"F")
        while not self.acknowledge(self.channel.receive(), final=True):
            pass

    def settle(self):
        """Waits for what the server is sure to acknowledge, so that it has come there."""
        while (self.sent - self.acknowledged) * 8 >= self.window:
            self.acknowledge(self.channel.receive())


def password_of(options):
    if not options.password_env:
        raise ValueError("a password is needed")
    return fss1.secret(options.password_env)


@contextlib.contextmanager
def written(path):
    """A file that is there only when it is whole."""
    path = pathlib.Path(path)
    scratch = path.with_name(path.name + ".part")
    try:
        with scratch.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def decode(out, fields):
    """Undoes zstd in place, with the program of that name (§21.8, §21.9)."""
    if fields is None or fields["encoding"] == "identity":
        return
    done = subprocess.run(["zstd", "-dcq", "--", out.name], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise Refused("the content is not zstd")
    if "size" in fields and len(done.stdout) != int(fields["size"]):
        raise Refused("the decoded content has not the size of its metadata")
    out.seek(0)
    out.truncate()
    out.write(done.stdout)


# --- Command line ---


def attempt(client, run):
    """Runs one command and prints its line, if it has one; its status, and whether the connection lives."""
    try:
        if (about := run()) is not None:
            print(json.dumps(about), flush=True)
        return 0, client.wire.sock.fileno() >= 0
    except Told as told:
        print(json.dumps({"error": told.code, "retry": told.retry}), flush=True)
        return 3, not client.ends(told)
    except (Refused, Gone, Idle) as fault:
        print(json.dumps({"fault": str(fault) or "nothing came for too long"}), flush=True)
        return 4, False


def perform(client, options):
    return getattr(client, options.command.replace("-", "_"))(options)


def run_client(options, parser):
    client = Client(options)
    status, _ = attempt(client, client.greet)
    if status == 0 and options.command == "script":
        status = run_script(client, parser)
    elif status == 0:
        status, _ = attempt(client, lambda: perform(client, options))
    if status == 4:
        client.give_up()
    client.wire.sock.close()
    return status


def run_script(client, parser):
    """Status 0 if the connection lived to the end of the script, whatever was refused on it."""
    for line in sys.stdin:
        options = parser.parse_args(["client", "--key=", "--server=", *json.loads(line)])
        status, alive = attempt(client, lambda: perform(client, options))  # noqa: B023
        if not alive:
            return status
    return 0


def arguments():
    parser = argparse.ArgumentParser(description="An FSS/2 peer (loopback only as a server).")
    roles = parser.add_subparsers(required=True, dest="role")
    server = roles.add_parser("server")
    server.add_argument("--key", required=True)
    server.add_argument("--dir", required=True)
    server.add_argument("--port", type=int, default=0)
    server.add_argument("--members-invite", metavar="HEX", help="for members only; this is the one invite")
    server.add_argument("--largest-file", type=int, default=NUMBER_MAX)
    server.add_argument("--window", type=int, default=WINDOW)
    client = roles.add_parser("client")
    client.add_argument("--key", required=True)
    client.add_argument("--server", required=True, metavar="HOST:PORT")
    client.add_argument("--pin", metavar="SHA256:...")
    commands = client.add_subparsers(required=True, dest="command")

    def command(name, *positional, secret=True, **options):
        sub = commands.add_parser(name)
        for argument in positional:
            sub.add_argument(argument)
        if secret is not None:
            sub.add_argument("--password-env", metavar="VAR", required=secret)
        for option, settings in options.items():
            sub.add_argument("--" + option.replace("_", "-"), **settings)

    text, count, flag, must = {}, {"type": int}, {"action": "store_true"}, {"required": True}
    command("upload", "file", keep=count, downloads=count, no_size=flag, stop_after=count)
    resuming = {"header": must, "cookie": must, "offset": {"type": int, "required": True}}
    command("resume", "file", **resuming, chain=text, checkpoints={"metavar": "JSON", "help": "as upload printed them"})
    known = {"header": text, "no_challenge": {**flag, "help": "with --header: prove at once"}, "fss1": flag}
    command("download", "cookie", "out", **known, offset=count, size={**count, "help": "of a file of FSS 1.0"},
            chain={"help": "the chain at --offset"}, expect_chain={"help": "the final chain, as far as it is known"})
    command("delete", "cookie", secret=False, **known)
    command("sign-up", "name", secret=None, invite=text)
    for name in ("list", "info", "script"):
        command(name, secret=None)
    return parser


def main():
    parser = arguments()
    options = parser.parse_args()
    try:
        if options.role == "server":
            return Server(options).run(options.port)
        return run_client(options, parser)
    except (fss1.Wrong, OSError, ValueError) as error:
        print(f"fss2_peer.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
