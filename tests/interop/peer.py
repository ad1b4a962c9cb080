#!/usr/bin/env python3
"""An FSS 1.0 peer that is as fragile as those of 2019, for interoperability tests.

Written from docs/protocol.md and the recorded vectors alone; section numbers (§) are those of that document. Like the
2019 peers, both roles call `recv(4096)` once for the other side's key and once for each message, and take what comes
for the whole of it: a message that is split, or that shares a read with another, is an error here. Do not make it more
tolerant: finding such things is what it is for. Where 2019 would wait for ever or go on with rubbish, it stops and says
what it expected and what came (one line on standard error, exit status 1).

Only loopback addresses are used. Needs Python 3.11 and PyCryptodome (requirements.txt). See `peer.py --help`.
"""

import argparse
import base64
import contextlib
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import sys
import time
from hashlib import md5, sha256, sha384

from Crypto.Cipher import AES, PKCS1_OAEP
from Crypto.PublicKey import RSA

READ = 4096  # what one recv takes: at most one message (§3)
CHUNK = 1024  # bytes of a file in one F frame (§4)
PAUSE = 0.05  # seconds between two sends that no acknowledgement separates (§3)
TIMEOUT = 20  # seconds for any one socket operation: a test must never hang
# The text that SQLite keeps of the recorded database's table, byte for byte (§9).
CREATE_STORED = """CREATE TABLE stored(
    cookie text NOT NULL UNIQUE,
    path text NOT NULL UNIQUE,
    date text NOT NULL
    )"""

# Error texts (§6).
FAILED = b"Failed to proceed with the selected operation"
WRONG_PASSWORD = b"Invalid password"
ILLEGAL_STATE = b"illegal user state"  # goes out in clear
CANNOT_UPLOAD = b"cannot upload the file"
CANNOT_DOWNLOAD = b"cannot download the file"
ILLEGAL_STATE_CLEAR = b"E\0" + ILLEGAL_STATE + b"\0"


class Wrong(Exception):
    """Something is not as the protocol says."""

    def __init__(self, expected, got):
        if isinstance(got, bytes):
            got = repr(got[:60]) + (f"... ({len(got)} bytes)" if len(got) > 60 else "")
        super().__init__(f"expected {expected}, got {got}")


class Refused(Exception):
    """The server answers a request with this error text: an ordinary refusal, nobody's fault."""

    def __init__(self, text):
        super().__init__(text.decode())
        self.text = text


# --- Secrets and content (§8) -------------------------------------------------------------------------------------


def key_and_iv(password):
    """File key and iv of a password; of an operation code, those that lock `.pk`."""
    key = sha256(password).digest()
    return key, md5(key).digest()


def cbc(password):
    key, iv = key_and_iv(password)
    return AES.new(key, AES.MODE_CBC, iv)  # a new object for every chunk: the iv starts again each time


def verifier(password):
    """`H`: SHA-384 of the file key."""
    return sha384(key_and_iv(password)[0]).digest()


def encrypt_chunk(password, chunk):
    return cbc(password).encrypt(chunk + bytes(range(1, -len(chunk) % 16 + 1)))


def decrypt_content(password, stored):
    """Every 1024 bytes on their own; padding is left on, only the true size tells where the file ends."""
    return b"".join(cbc(password).decrypt(stored[i : i + CHUNK]) for i in range(0, len(stored), CHUNK))


def fin_block(password):
    """The block the 2019 server appends to every file: it takes `FIN` for one more base64 chunk. With the missing `=`
    put in it decodes to 14 83, so that the padded plaintext is 14 83 01 02 .. 0e."""
    return encrypt_chunk(password, base64.b64decode(b"FIN="))


def cut(plain, size):
    if len(plain) < size:
        raise Wrong(f"at least {size} bytes of content", f"{len(plain)}")
    return plain[:size]


def chunk_of(argument):
    """The bytes of an `F` frame's base64 argument: strict, padded, at most 1024 bytes."""
    try:
        chunk = base64.b64decode(argument, validate=True)
    except ValueError:
        raise Wrong("base64", argument) from None
    if len(chunk) > CHUNK or base64.b64encode(chunk) != argument:
        raise Wrong(f"canonical base64 of at most {CHUNK} bytes", argument)
    return chunk


def new_cookie(random):
    return "".join(f"{byte:03d}" for byte in random)


# --- Keys, messages and frames (§2 to §4) -------------------------------------------------------------------------


def public_pem(key):
    return key.public_key().export_key("PEM")


def read_pem(pem, label):
    """The key of a PEM text that begins and ends where it should."""
    begin, end = b"-----BEGIN %b-----\n" % label, b"\n-----END %b-----" % label
    try:
        if pem.startswith(begin) and pem.rstrip().endswith(end):
            return RSA.import_key(pem)
    except (ValueError, IndexError):
        pass
    raise Wrong(f"one PEM {label.decode()} and nothing after it", pem[:30] + b" .. " + pem[-30:])


def seal(public_key, plain):
    """A message: OAEP blocks of the text, then one block of nothing."""
    cipher, size = PKCS1_OAEP.new(public_key), public_key.size_in_bytes() - 42
    pieces = [plain[i : i + size] for i in range(0, len(plain), size)]
    return b"".join(cipher.encrypt(piece) for piece in [*pieces, b""])


def open_blocks(key, wire):
    size, cipher = key.size_in_bytes(), PKCS1_OAEP.new(key)
    if len(wire) % size:
        raise Wrong(f"whole blocks of {size} bytes", wire)
    try:
        return [cipher.decrypt(wire[i : i + size]) for i in range(0, len(wire), size)]
    except ValueError:
        raise Wrong("blocks encrypted to my key", wire) from None


def shown(frame):
    return frame.decode("latin-1").rstrip("\0").replace("\0", " ")


class Link:
    """One connection, seen from one side."""

    def __init__(self, sock, key):
        self.sock, self.key, self.peer = sock, key, None
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self, expected):
        """The one `recv(4096)`."""
        try:
            data = self.sock.recv(READ)
        except OSError as error:  # a timeout too
            raise Wrong(expected, error) from None
        if not data:
            raise Wrong(expected, "end of stream")
        return data

    def receive_key(self):
        self.peer = read_pem(self.read("a public key"), b"PUBLIC KEY")

    def write(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Wrong("the other side to read on", error) from None

    def send(self, frame, before=b""):
        """One message in one write."""
        self.write(before + seal(self.peer, frame))

    def receive(self, expected):
        """One message, as the list of its fields."""
        wire = self.read(expected)
        if wire == ILLEGAL_STATE_CLEAR:
            raise Wrong(expected, f"{shown(wire)!r} in clear")
        *blocks, last = open_blocks(self.key, wire)
        if last or not all(blocks):
            raise Wrong("one message in one read", f"blocks of {[len(b) for b in [*blocks, last]]} bytes")
        frame = b"".join(blocks)
        if not frame.endswith(b"\0") and frame != b"D\0OK":  # the one frame 2019 leaves unfinished
            raise Wrong("a frame that ends with NUL", frame)
        return frame.removesuffix(b"\0").split(b"\0")

    def expect(self, expected, arguments=1):
        """A message beginning with these fields, and then `arguments` more, which are returned."""
        fields, want = self.receive(repr(shown(expected))), expected.split(b"\0")
        if fields[: len(want)] != want or len(fields) != len(want) + arguments:
            raise Wrong(repr(shown(expected)), b" ".join(fields))
        return fields[len(want) :]


# --- Directories (§9, §10) ----------------------------------------------------------------------------------------


def open_database(path, mode="rw"):
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, timeout=TIMEOUT)


class Store:
    """A server directory, used as the 2019 server does: it knows three columns and inserts without naming them."""

    def __init__(self, folder, create=False):
        self.folder = pathlib.Path(folder)
        new = create and not (self.folder / "fssGlobal.db").exists()
        if new:
            self.folder.mkdir(parents=True, exist_ok=True)
        self.database = open_database(self.folder / "fssGlobal.db", "rwc" if new else "rw")
        if new:
            self.database.execute(CREATE_STORED)

    def find(self, cookie):
        """The file's folder, or None."""
        row = self.database.execute("SELECT path FROM stored WHERE cookie = ?", (cookie,)).fetchone()
        return self.folder / row[0] if row else None

    def insert(self, cookie, content, proof):
        folder = self.folder / f"F-{cookie}"
        folder.mkdir()
        (folder / "F").write_bytes(content)
        (folder / "H").write_bytes(proof)
        with self.database:
            today = time.strftime("%Y-%m-%d")
            self.database.execute("INSERT INTO stored VALUES (?, ?, ?)", (cookie, folder.name, today))

    def remove(self, cookie):
        folder = self.find(cookie)
        with self.database:
            self.database.execute("DELETE FROM stored WHERE cookie = ?", (cookie,))
        shutil.rmtree(folder)


def unlock_key(folder, code, check):
    """The private key of a directory: `check` is `.shc` or `.vh`. Strips padding blindly, as 2019 does."""
    folder = pathlib.Path(folder)
    digest = (folder / check).read_bytes()
    if digest != sha384(code).digest():
        raise Wrong(f"SHA-384 of this secret in {check}", digest.hex())
    locked = (folder / ".pk").read_bytes()
    if not locked or len(locked) % 16:
        raise Wrong("whole AES blocks in .pk", f"{len(locked)} bytes")
    pem = cbc(code).decrypt(locked)
    pem = pem[: len(pem) - pem[-1]]
    if pem != pem.rstrip():
        raise Wrong("nothing after the key in .pk", pem[-30:])
    return read_pem(pem, b"RSA PRIVATE KEY")


# --- Server (§5, §6) ----------------------------------------------------------------------------------------------


def serve_upload(link, store, cookie, password, report):
    if store.find(cookie):
        raise Refused(FAILED)  # only with --cookie
    report.update(operation="upload", cookie=cookie)
    link.send(b"R\0" + cookie.encode() + b"\0")
    content, full = b"", True
    while (argument := link.expect(b"F")[0]) != b"FIN":
        if not full:
            raise Wrong("FIN after a short chunk", argument)
        chunk = chunk_of(argument)
        full = len(chunk) == CHUNK
        content += encrypt_chunk(password, chunk)
        report["bytes"] += len(chunk)
        link.send(b"R\0OK\0")
    store.insert(cookie, content + fin_block(password), verifier(password))
    with contextlib.suppress(Wrong):  # the 2019 client is gone by now
        link.send(b"R\0OK\0")


def serve_download(link, store, cookie, password, report):
    report["cookie"] = cookie
    folder = store.find(cookie)
    if folder is None:
        raise Refused(FAILED)
    if (folder / "H").read_bytes() != verifier(password):
        raise Refused(WRONG_PASSWORD)
    report["operation"] = "download"
    content = (folder / "F").read_bytes()
    link.send(b"S\0Approved\0")
    time.sleep(PAUSE)
    for i in range(0, len(content), CHUNK):
        chunk = content[i : i + CHUNK]
        link.send(b"F\0" + base64.b64encode(chunk) + b"\0")
        link.expect(b"D\0OK", 0)
        report["bytes"] += len(chunk)
    link.send(b"F\0FIN\0")
    link.expect(b"D\0OK", 0)


def serve_request(link, store, options, report):
    link.write(public_pem(link.key))
    link.receive_key()
    match link.receive("a request"):
        case [b"U", password]:
            cookie = options.cookie or new_cookie(os.urandom(16))
            serve_upload(link, store, cookie, password, report)
        case [b"D", cookie, *password] if len(password) < 2:  # no password is as good as a wrong one
            serve_download(link, store, cookie.decode("latin-1"), b"".join(password), report)
        case [b"U" | b"D", *_]:
            raise Refused(FAILED)
        case _:
            raise Refused(ILLEGAL_STATE)


def serve_connection(sock, key, store, options):
    """One connection; prints its JSON line. False when the client did something wrong."""
    report = {"operation": "refused", "cookie": None, "bytes": 0, "error": None}
    answer, good, link = None, True, Link(sock, key)
    try:
        serve_request(link, store, options, report)
    except Refused as refusal:
        report["error"], answer = str(refusal), refusal.text
    except (Wrong, OSError) as error:
        report["error"], good = str(error), False
        print(f"peer.py: {error}", file=sys.stderr, flush=True)
        answer = {"upload": CANNOT_UPLOAD, "download": CANNOT_DOWNLOAD}.get(report["operation"])
    with contextlib.suppress(Wrong):  # the client may be gone
        if answer == ILLEGAL_STATE:
            link.write(ILLEGAL_STATE_CLEAR)
        elif answer:
            link.send(b"E\0" + answer + b"\0")
    sock.close()
    if report["operation"] == "download" and options.remove_after_download:
        store.remove(report["cookie"])  # 2019 does so even when the download broke
    print(json.dumps(report), flush=True)
    return good


def run_server(options):
    key, store, good = load_key(options), Store(options.data, create=True), True
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if options.connections:
            listener.settimeout(TIMEOUT)
        print(f"listening {listener.getsockname()[1]}", flush=True)
        served = 0
        while served != options.connections:
            try:
                sock, _ = listener.accept()
            except TimeoutError as error:
                raise Wrong("a connection", error) from None
            good &= serve_connection(sock, key, store, options)
            served += 1
    return 0 if good else 1


# --- Client (§5) --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def request(options, frame, coalesce=False):
    """A link on which keys were exchanged and the request was sent."""
    with socket.create_connection(("127.0.0.1", options.port), TIMEOUT) as sock:
        link = Link(sock, load_key(options))
        pem = public_pem(link.key)
        if not coalesce:
            link.write(pem)
        link.receive_key()
        if not coalesce:
            time.sleep(PAUSE)
        link.send(frame, before=pem if coalesce else b"")
        yield link


def run_upload(options):
    ask = b"U\0" + secret("FSS_PASSWORD") + b"\0"
    with open(options.file, "rb") as file, request(options, ask, options.coalesce) as link:
        [cookie] = link.expect(b"R")
        while chunk := file.read(CHUNK):
            link.send(b"F\0" + base64.b64encode(chunk) + b"\0")
            link.expect(b"R\0OK", 0)
        link.send(b"F\0FIN\0")
        if not options.close_after_fin:
            link.expect(b"R\0OK", 0)
    print(cookie.decode("latin-1"))


def run_download(options):
    password, stored = secret("FSS_PASSWORD"), b""
    with request(options, b"D\0" + options.cookie.encode() + b"\0" + password + b"\0") as link:
        link.expect(b"S\0Approved", 0)
        while (argument := link.expect(b"F")[0]) != b"FIN":
            chunk = chunk_of(argument)
            if not chunk or len(chunk) % 16 or len(stored) % CHUNK:
                raise Wrong("stored chunks of 1024 bytes, the last of whole AES blocks", f"{len(chunk)} bytes")
            stored += chunk
            link.send(b"D\0OK")  # without the last NUL, as recorded
        link.send(b"D\0OK")
    pathlib.Path(options.output).write_bytes(cut(decrypt_content(password, stored), options.size))


# --- Checks without a network -------------------------------------------------------------------------------------


def run_read_server_dir(options):
    password = secret("FSS_PASSWORD")
    folder = Store(options.data).find(options.cookie)
    if folder is None:
        raise Wrong("a row for this cookie in fssGlobal.db", "none")
    if (proof := (folder / "H").read_bytes()) != verifier(password):
        raise Wrong("SHA-384 of the file key in H", proof.hex())
    stored = (folder / "F").read_bytes()
    if len(stored) % 16:
        raise Wrong("whole AES blocks in F", f"{len(stored)} bytes")
    pathlib.Path(options.output).write_bytes(cut(decrypt_content(password, stored), options.size))


def run_read_server_key(options):
    print(public_pem(unlock_key(options.data, secret("FSS_CODE"), ".shc")).decode())


def run_read_profile(options):
    pem = public_pem(unlock_key(options.profile, secret("FSS_PASSWORD"), ".vh")).decode()
    database = open_database(pathlib.Path(options.profile) / "fssLocal.db")
    rows = database.execute("SELECT * FROM cookies ORDER BY date, rowid")
    files = [dict(zip(("cookie", "name", "size", "date"), row, strict=True)) for row in rows]  # all texts, as stored
    print(json.dumps({"public_pem": pem, "files": files}))


def differences(primitives, transcripts):
    """Pairs (ours, recorded), with what they are."""
    for v in primitives["passwords"]:
        secret_bytes = v["password"].encode()
        key, iv = key_and_iv(secret_bytes)
        name = f"password {v['password']!r:.30}"
        yield f"{name}: key", key.hex(), v["file_key"]
        yield f"{name}: iv", iv.hex(), v["file_iv"]
        yield f"{name}: H", verifier(secret_bytes).hex(), v["hash_file_H"]
        yield f"{name}: .shc", sha384(secret_bytes).hexdigest(), v["operation_code_hash_shc_or_vh"]
    for v in primitives["cookies"]:
        yield f"cookie of {v['random']}", new_cookie(bytes.fromhex(v["random"])), v["cookie"]
    for v in primitives["content"]:
        plain = bytes((7 * i + 3) % 256 for i in range(v["plaintext_len"]))
        password = v["password"].encode()
        stored = b"".join(encrypt_chunk(password, plain[i : i + CHUNK]) for i in range(0, len(plain), CHUNK))
        name = f"content of {len(plain)} bytes"
        yield f"{name}: length", len(stored), v["ciphertext_len"]
        yield f"{name}: SHA-256", sha256(stored).hexdigest(), v["ciphertext_sha256"]
        yield f"{name}: tail", stored[-48:].hex(), v["ciphertext_tail"]
        yield f"{name}: decrypted", decrypt_content(password, stored)[: len(plain)], plain
    keys = {}
    for side, v in primitives["keys"].items():
        keys[side] = RSA.import_key(v["pkcs1_pem"])
        yield f"{side}: public key", public_pem(keys[side]).decode(), v["public_pem"]
        pem, code = v["pkcs1_pem"].encode(), v["locked_with"].encode()
        count = 16 - len(pem) % 16
        yield f"{side}: .pk", cbc(code).encrypt(pem + bytes([count]) * count).hex(), v["pk_file"]
    for kind in ("uploads", "downloads"):
        for n, connection in enumerate(transcripts[kind]):
            for m, event in enumerate(connection):
                name, wire = f"{kind}[{n}][{m}]", bytes.fromhex(event["wire"])
                if event["kind"] == "public_key":
                    yield name, public_pem(keys[event["from"]]), wire
                    continue
                blocks = open_blocks(keys["server" if event["from"] == "client" else "client"], wire)
                yield f"{name}: blocks", [block.hex() for block in blocks], event["blocks"]
                messages = [b""]
                for block in blocks:  # an empty block ends a message
                    messages[-1] += block
                    messages += [b""] if not block else []
                yield f"{name}: plaintexts", [message.hex() for message in messages], [*event["plaintexts"], ""]


def run_check_vectors(options):
    folder, checked = pathlib.Path(options.vectors), 0
    load = lambda name: json.loads((folder / name).read_text(encoding="utf-8"))  # noqa: E731
    for name, ours, recorded in differences(load("primitives.json"), load("transcripts.json")):
        checked += 1
        if ours != recorded:
            raise Wrong(f"{name} as recorded, {recorded!r:.60}", f"{ours!r:.60}")
    print(f"{checked} comparisons, no difference")


# --- Command line -------------------------------------------------------------------------------------------------


def secret(variable):
    if not (value := os.environ.get(variable)):
        raise Wrong(f"a secret in the environment variable {variable}", "none")
    return os.fsencode(value)


def load_key(options):
    return RSA.import_key(pathlib.Path(options.key).read_bytes()) if options.key else RSA.generate(2048)


def main():
    parser = argparse.ArgumentParser(description="An FSS 1.0 peer as fragile as those of 2019 (loopback only).")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, text, **options):
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        for option, settings in options.items():
            sub.add_argument("--" + option.replace("_", "-"), **settings)

    text, flag = {"required": True}, {"action": "store_true"}
    number = {"required": True, "type": int}
    key = {"metavar": "PEMFILE", "help": "private RSA key; without it a new one of 2048 bits"}
    command("server", run_server, "serve, one JSON line a connection; bytes are those of the file for an upload, those "
            "stored for a download; status 1 at the end if a client went wrong",
            data=text, connections={"type": int, "metavar": "N"}, key=key,
            cookie={"metavar": "DIGITS", "help": "the cookie every upload gets"}, remove_after_download=flag)
    command("upload", run_upload, "upload a file (FSS_PASSWORD) and print its cookie",
            port=number, file=text, coalesce=flag, close_after_fin=flag, key=key)
    command("download", run_download, "download a file (FSS_PASSWORD)",
            port=number, cookie=text, size=number, output=text, key=key)
    command("check-vectors", run_check_vectors, "compare with primitives.json and transcripts.json", vectors=text)
    command("read-server-dir", run_read_server_dir, "read one file from a server directory (FSS_PASSWORD)",
            data=text, cookie=text, size=number, output=text)
    command("read-server-key", run_read_server_key, "print the public key of a server directory (FSS_CODE)", data=text)
    command("read-profile", run_read_profile, "print a client directory as JSON (FSS_PASSWORD)", profile=text)
    options = parser.parse_args()
    try:
        return options.run(options)
    except (Wrong, OSError, sqlite3.Error) as error:
        print(f"peer.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
