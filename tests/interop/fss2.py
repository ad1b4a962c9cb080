#!/usr/bin/env python3
"""The cryptographic and framing core of FSS/2, a second time and independently, for test vectors.

Written from docs/protocol.md alone (§13 to §16, §18.2, §21, §22); section numbers (§) are those of that document. It
shares nothing with the program under test, so that where both give the same bytes the document says what they do. It
is strict and simple, holds whole files in memory, and guards no secrets: it is for tests only.

    fss2.py vectors DIR     writes the vectors; twice gives the same files, for nothing in them is random
    fss2.py check DIR       verifies them: computes everything again from the inputs that they state

The RSA keys are those of the recorded vectors, tests/vectors/v1, and tests/vectors/v2/transport_key.pem. Needs Python 3.11, cryptography and blake3
(requirements.txt).
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import json
import pathlib
import re
import struct
import sys

import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

RATCHET = 2**20  # records under one key (§14.4)
SEALED_MIN, SEALED_MAX = 18, 263_184  # bytes of a record behind its length (§14.1)
NUMBER_MAX = 2**63 - 1  # §15.6
ARGUMENTS_MAX = 32  # of a frame (§15.2)
HEADER = 64  # bytes (§21.2)
CHUNK = 65_536  # bytes of plaintext (§21.5)
NONCE, TAG = 12, 16
PIECE = NONCE + CHUNK + TAG  # a full chunk, sealed (§21.5)
METADATA_MAX = 32_768  # bytes (§21.7)
NAMED = re.compile(rb"([a-z0-9-]+)=(.*)", re.DOTALL)  # §15.2


class Refused(Exception):
    """The other side sent what the document does not allow. `code` is that of §20 where one is sent."""

    def __init__(self, reason, code=None):
        super().__init__(reason)
        self.code = code


# --- Forms of values (§15.6) ---


def base64_encode(raw):
    return base64.b64encode(raw)


def base64_decode(text):
    """Standard alphabet, padded, canonical, no white space."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("not base64", "bad-request") from None
    if base64.b64encode(raw) != text:
        raise Refused("base64 is not canonical", "bad-request")
    return raw


def number_decode(text):
    if not re.fullmatch(rb"0|[1-9][0-9]{0,18}", text) or int(text) > NUMBER_MAX:
        raise Refused("not a number", "bad-request")
    return int(text)


def cookie_check(text):
    if not re.fullmatch(rb"[0-9]{1,48}", text):
        raise Refused("not a cookie", "bad-request")
    return text


# --- HKDF, RFC 5869, with SHA-384 throughout ---


def hkdf_extract(salt, ikm):
    return hmac.digest(salt, ikm, "sha384")


def hkdf_expand(prk, info, length):
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(prk, block + info + bytes([counter]), "sha384")
        out, counter = out + block, counter + 1
    return out[:length]


def hkdf(salt, ikm, info, length):
    return hkdf_expand(hkdf_extract(salt, ikm), info, length)


# --- Hello and keys (§13) ---


def hello_encode(flag, share, secret):
    """The plaintext of a hello; `flag` is `H` from the client and `R` from the server (§13.5)."""
    return b"%s\0FSS/2\0share=%s\0secret=%s\0" % (flag, base64_encode(share), base64_encode(secret))


def hello_parse(plaintext, flag):
    """`(share, secret)` of a hello: exactly these arguments, in this order, and nothing else (§13.6)."""
    parts = plaintext.split(b"\0")
    if parts[0] != flag:
        raise Refused("not a hello of that side", "protocol")
    if len(parts) < 2 or parts[1] != b"FSS/2":
        raise Refused("another version", "version")  # §13.10: decided by the first argument alone
    if len(parts) != 5 or parts[4] != b"":
        raise Refused("not two arguments behind the version, each ended by NUL", "protocol")
    values = []
    for part, name in zip(parts[2:4], (b"share=", b"secret=")):
        if not part.startswith(name):
            raise Refused(f"no {name.decode()} where it belongs", "protocol")
        try:
            value = base64_decode(part[len(name) :])
        except Refused as fault:
            raise Refused(str(fault), "protocol") from None
        if len(value) != 32:
            raise Refused(f"{name.decode()} is not 32 bytes", "protocol")
        values.append(value)
    return tuple(values)


def x25519_public(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def x25519_shared(private, share):
    """The shared value; one that is all zero is refused (§13.7)."""
    try:
        shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError:  # the library's own refusal of a zero result
        shared = bytes(32)
    if shared == bytes(32):
        raise Refused("the shared value is zero", "protocol")
    return shared


def lengths_and(*parts):
    return b"".join(struct.pack(">I", len(y)) + y for y in parts)


def key_schedule(client_der, transport_der, client_hello, server_hello, shared):
    """The keys of a connection, by name (§13.7)."""
    salt = hashlib.sha384(lengths_and(client_der, transport_der, client_hello, server_hello)).digest()
    client_secret, server_secret = hello_parse(client_hello, b"H")[1], hello_parse(server_hello, b"R")[1]
    prk = hkdf_extract(salt, shared + client_secret + server_secret)
    client, server = hkdf_expand(prk, b"fss/2 client", 44), hkdf_expand(prk, b"fss/2 server", 44)
    return {
        "salt": salt,
        "prk": prk,
        "client_key": client[:32],
        "client_iv": client[32:],
        "server_key": server[:32],
        "server_iv": server[32:],
    }


def transcript_hash(client_der, transport_der, identity_der, client_hello, server_hello):
    """`th` (§13.7)."""
    return hashlib.sha384(lengths_and(client_der, transport_der, identity_der, client_hello, server_hello)).digest()


def binding(prk, th):
    """The binding of proofs (§13.7)."""
    return hkdf_expand(prk, b"fss/2 binding" + th, 32)


def to_be_signed(th):
    """What the server's identity signs, with RSASSA-PSS, SHA-384 and a salt of 48 bytes (§13.8)."""
    return b"fss/2 server identity\0" + th


PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)


def signature_check(identity_der, th, signature):
    """The signature in a `K` (§13.9)."""
    try:
        serialization.load_der_public_key(identity_der).verify(signature, to_be_signed(th), PSS, hashes.SHA384())
    except InvalidSignature:
        raise Refused("the signature is not that of the identity") from None


# --- Records (§14) ---


class Direction:
    """The key, iv and count of one direction; the count is never reset (§14.3, §14.4)."""

    def __init__(self, key, iv, ratchet=RATCHET):
        self.key, self.iv, self.ratchet, self.count = key, iv, ratchet, 0

    def next(self):
        """The cipher and nonce of the next record, which is counted."""
        if self.count and self.count % self.ratchet == 0:
            both = hkdf(b"", self.key + self.iv, b"fss/2 next", 44)
            self.key, self.iv = both[:32], both[32:]
        low = int.from_bytes(self.iv[4:], "big") ^ self.count
        self.count += 1
        return AESGCM(self.key), self.iv[:4] + struct.pack(">Q", low)


class Sealer(Direction):
    def seal(self, frame):
        length = struct.pack(">I", len(frame) + TAG)
        if not SEALED_MIN <= len(frame) + TAG <= SEALED_MAX:
            raise ValueError("no record has this size")
        cipher, nonce = self.next()
        return length + cipher.encrypt(nonce, frame, length)


class Opener(Direction):
    def open(self, stream):
        """`(frame, rest)` of what begins with a record, or None if more of it has to come."""
        if len(stream) < 4:
            return None
        length = int.from_bytes(stream[:4], "big")
        if not SEALED_MIN <= length <= SEALED_MAX:  # before anything is buffered for it
            raise Refused("record length out of bounds", "protocol")
        if len(stream) < 4 + length:
            return None
        cipher, nonce = self.next()
        try:
            frame = cipher.decrypt(nonce, stream[4 : 4 + length], stream[:4])
        except InvalidTag:
            raise Refused("record does not open", "protocol") from None
        return frame, stream[4 + length :]


# --- Frames (§15) ---


def frame_encode(flag, positional=(), named=None, data=None):
    """All bytes but strings: `flag` one letter; `data` makes an `F`."""
    if flag == b"F":
        return b"F\0" + (data or b"")
    arguments = [*positional, *(name + b"=" + value for name, value in (named or {}).items())]
    frame = b"".join(part + b"\0" for part in (flag, *arguments))
    frame_parse(frame)
    return frame


def frame_parse(frame):
    """`(flag, positional, named, data)`; `data` is None but for an `F`."""
    if not re.match(rb"[A-Za-z]\0", frame):
        raise Refused("no flag", "protocol")
    flag, rest = frame[:1], frame[2:]
    if flag == b"F":
        return flag, [], {}, rest
    if rest and not rest.endswith(b"\0"):
        raise Refused("the last NUL is missing", "protocol")
    arguments = rest[:-1].split(b"\0") if rest else []
    if len(arguments) > ARGUMENTS_MAX:
        raise Refused("too many arguments", "protocol")
    positional, named = [], {}
    for argument in arguments:
        match = NAMED.fullmatch(argument)
        if not match:
            if named:
                raise Refused("a positional argument behind a named one", "protocol")
            positional.append(argument)
        elif match[1] in named:
            raise Refused("a name occurs twice", "protocol")
        else:
            named[match[1]] = match[2]
    return flag, positional, named, None


# --- Proof (§16.2) and decoy (§18.2) ---


def proof(verifier, binding, cookie):
    return hmac.digest(verifier, b"fss/2 proof\0" + binding + cookie_check(cookie), "sha384")


def decoy_secret(private_key_pkcs8):
    numbers = serialization.load_der_private_key(private_key_pkcs8, password=None).private_numbers()
    primes = sorted((numbers.p, numbers.q), reverse=True)
    minimal = [prime.to_bytes((prime.bit_length() + 7) // 8, "big") for prime in primes]
    return hkdf(b"", b"".join(minimal), b"fss/2 decoy secret", 32)


def decoy(secret, cookie):
    """`(salt, file id, verifier)` for a cookie that is not known."""
    both = hkdf(b"", secret, b"fss/2 decoy\0" + cookie_check(cookie), 48)
    return both[:16], both[16:], hkdf(b"", secret, b"fss/2 decoy verifier\0" + cookie, 48)


# --- Sealed content (§21) ---


def header_encode(salt, file_id, memory_log2=16, passes=3, lanes=1):
    header = b"FSS2" + bytes([1, 1, memory_log2, passes, lanes, 16]) + bytes(6) + salt + file_id
    header_parse(header)
    return header


def header_parse(header):
    """The fields of a header, all of which are checked before any work is done (§21.2)."""
    if len(header) != HEADER:
        raise Refused("a header is 64 bytes", "bad-request")
    version, derivation, memory_log2, passes, lanes, chunk_log2 = header[4:10]
    for good, reason in (
        (header[:4] == b"FSS2", "wrong magic"),
        (version == 1, "unknown version"),
        (derivation == 1, "unknown key derivation"),
        (16 <= memory_log2 <= 18, "memory out of bounds"),
        (3 <= passes <= 10, "passes out of bounds"),
        (1 <= lanes <= 4, "lanes out of bounds"),
        (chunk_log2 == 16, "wrong chunk size"),
        (header[10:16] == bytes(6), "padding is not zero"),
    ):
        if not good:
            raise Refused(reason, "bad-request")
    return {
        "memory_log2": memory_log2,
        "passes": passes,
        "lanes": lanes,
        "salt": header[16:32],
        "file_id": header[32:],
    }


def derive_keys(header, password):
    """`master`, `content_key`, `auth` and `verifier` (§21.4)."""
    if not 1 <= len(password) <= 1024 or b"\0" in password:
        raise ValueError("a password is 1 to 1024 bytes without NUL")
    at = header_parse(header)
    master = Argon2id(
        salt=at["salt"], length=32, iterations=at["passes"], lanes=at["lanes"], memory_cost=2 ** at["memory_log2"]
    ).derive(password)
    auth = hkdf(at["file_id"], master, b"fss/2 auth", 32)
    return {
        "master": master,
        "content_key": hkdf(at["file_id"], master, b"fss/2 content", 32),
        "auth": auth,
        "verifier": hashlib.sha384(auth).digest(),
    }


def chunk_seal(content_key, header, index, last, nonce, chunk):
    return nonce + AESGCM(content_key).encrypt(nonce, chunk, header + struct.pack(">QB", index, last))


def chunk_open(content_key, header, index, last, piece):
    if not NONCE + 1 + TAG <= len(piece) <= PIECE:
        raise Refused("a piece of this size cannot be")
    try:
        return AESGCM(content_key).decrypt(piece[:NONCE], piece[NONCE:], header + struct.pack(">QB", index, last))
    except InvalidTag:
        raise Refused(f"piece {index} does not open") from None


def metadata_encode(fields):
    """Of `(name, value)` strings, in the order given (§21.7)."""
    metadata = b"".join(f"{name}={value}".encode() + b"\0" for name, value in fields)
    metadata_parse(metadata)
    return metadata


def metadata_parse(metadata):
    if len(metadata) > METADATA_MAX:
        raise Refused("metadata is too long")
    if metadata and not metadata.endswith(b"\0"):
        raise Refused("the last NUL of the metadata is missing")
    fields = {}
    for part in metadata.split(b"\0")[:-1]:
        match = NAMED.fullmatch(part)
        if not match:
            raise Refused("metadata is not name=value")
        try:
            name, value = match[1].decode(), match[2].decode()
        except UnicodeDecodeError:
            raise Refused("metadata is not UTF-8") from None
        if name in fields:
            raise Refused("metadata has a name twice")
        fields[name] = value
    for name, values in (("kind", ("file", "directory")), ("encoding", ("identity", "zstd"))):
        if fields.get(name) not in values:
            raise Refused(f"metadata without a known {name}")
    return fields


def pieces_of(stored):
    """The pieces of the bytes behind a header; the chunks of a plaintext likewise with their own size (§22.1)."""
    return [stored[at : at + PIECE] for at in range(0, len(stored), PIECE)]


def plaintext_seal(content_key, header, plaintext, nonces):
    """The pieces of a plaintext, which is never empty: it begins with the length of the metadata (§21.5)."""
    chunks = [plaintext[at : at + CHUNK] for at in range(0, len(plaintext), CHUNK)]
    assert len(nonces) == len(chunks)
    return [
        chunk_seal(content_key, header, index, index == len(chunks) - 1, nonce, chunk)
        for index, (nonce, chunk) in enumerate(zip(nonces, chunks))
    ]


def file_plaintext(metadata, content):
    return struct.pack(">I", len(metadata)) + metadata + content


def sealed_open(content_key, header, stored):
    """`(metadata bytes, content)` of a sealed file; `stored` is what lies behind the header."""
    header_parse(header)
    pieces = pieces_of(stored)
    if not pieces:
        raise Refused("no last chunk")
    plaintext = b""
    for index, piece in enumerate(pieces):
        plaintext += chunk_open(content_key, header, index, index == len(pieces) - 1, piece)
        if index == 0:  # the metadata is whole within the first chunk (§21.7)
            if len(plaintext) < 4:
                raise Refused("no metadata length")
            length = int.from_bytes(plaintext[:4], "big")
            if length > METADATA_MAX:
                raise Refused("metadata is too long")
            if 4 + length > len(plaintext):
                raise Refused("metadata is longer than the first chunk")
            metadata_parse(plaintext[4 : 4 + length])
    return plaintext[4 : 4 + length], plaintext[4 + length :]


# --- Chain (§22) ---


def chain(header, stored):
    """The final chain of a file; the header of a file of FSS 1.0 is empty (§18.10)."""
    d = blake3.blake3(header).digest()
    for piece in pieces_of(stored):
        d = blake3.blake3(d + piece).digest()
    return d


# --- Vectors: inputs ---

V1 = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "v1" / "primitives.json"
TRANSPORT_KEY = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "v2" / "transport_key.pem"


def made(name, size):
    """Fixed bytes that look random: SHA-256 of the name and a counter."""
    blocks = (hashlib.sha256(name.encode() + struct.pack(">I", n)).digest() for n in range(size // 32 + 1))
    return b"".join(blocks)[:size]


def pattern(size):
    return bytes((i * 7 + i // 251) % 256 for i in range(size))


def recorded_keys():
    """`{side: (SubjectPublicKeyInfo DER, PKCS#8 DER)}` of the recorded peers, and of a transport key."""
    keys = {}
    pems = {side: key["pkcs1_pem"] for side, key in json.loads(V1.read_text())["keys"].items()}
    for side, pem in (pems | {"transport": TRANSPORT_KEY.read_text()}).items():
        private = serialization.load_pem_private_key(pem.encode(), None)
        public = private.public_key()
        keys[side] = (
            public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
            private.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
    return keys


# --- Vectors: each `*_case` computes a case from its inputs, for writing and for checking ---


def key_schedule_case(given):
    keys = {k: bytes.fromhex(given[k]) for k in KEY_SCHEDULE_INPUTS}
    client_share = x25519_public(keys["client_share_private"])
    server_share = x25519_public(keys["server_share_private"])
    client_hello = hello_encode(b"H", client_share, keys["client_secret"])
    server_hello = hello_encode(b"R", server_share, keys["server_secret"])
    assert len(client_hello) == len(server_hello) == 111
    shared = x25519_shared(keys["client_share_private"], hello_parse(server_hello, b"R")[0])
    assert shared == x25519_shared(keys["server_share_private"], hello_parse(client_hello, b"H")[0])
    client_der, transport_der, identity_der = (keys[f"{k}_der"] for k in ("client_key", "transport_key", "identity"))
    schedule = key_schedule(client_der, transport_der, client_hello, server_hello, shared)
    th = transcript_hash(client_der, transport_der, identity_der, client_hello, server_hello)
    signature_check(identity_der, th, keys["signature"])
    out = {
        "client_share": client_share,
        "server_share": server_share,
        "client_hello": client_hello,
        "server_hello": server_hello,
        "shared": shared,
        **schedule,
        "th": th,
        "signed": to_be_signed(th),
        "binding": binding(schedule["prk"], th),
    }
    return {**{k: given[k] for k in ("name", *KEY_SCHEDULE_INPUTS)}, **{k: v.hex() for k, v in out.items()}}


KEY_SCHEDULE_INPUTS = (
    "client_key_der",
    "transport_key_der",
    "identity_der",
    "client_share_private",
    "server_share_private",
    "client_secret",
    "server_secret",
    "signature",
)


def key_schedule_cases():
    rsa = recorded_keys()
    for name, client, identity in (("recorded", "client", "server"), ("roles-exchanged", "server", "client")):
        roles = {"client_key_der": client, "transport_key_der": "transport", "identity_der": identity}
        given = {"name": name, **{field: rsa[side][0].hex() for field, side in roles.items()}}
        for field in KEY_SCHEDULE_INPUTS[3:-1]:
            given[field] = made(f"key_schedule {name} {field}", 32).hex()
        given["signature"] = signature_made(given, rsa[identity][1], b"key_schedule " + name.encode()).hex()
        yield key_schedule_case(given)


def signature_made(given, private_pkcs8, label, digest="sha384", salt_length=48):
    """RSASSA-PSS (RFC 8017, 9.1.1) with a salt that is not random, so that the vectors are always the same."""
    raw = {k: bytes.fromhex(v) for k, v in given.items() if k != "name"}
    hellos = [
        hello_encode(flag, x25519_public(raw[f"{side}_share_private"]), raw[f"{side}_secret"])
        for flag, side in ((b"H", "client"), (b"R", "server"))
    ]
    th = transcript_hash(raw["client_key_der"], raw["transport_key_der"], raw["identity_der"], *hellos)
    return pss_sign(private_pkcs8, to_be_signed(th), made(label.decode() + " salt", 64)[:salt_length], digest)


def pss_sign(private_pkcs8, message, salt, digest="sha384"):
    numbers = serialization.load_der_private_key(private_pkcs8, None).private_numbers()
    n, size = numbers.public_numbers.n, (numbers.public_numbers.n.bit_length() + 7) // 8
    h = hashlib.new(digest, bytes(8) + hashlib.new(digest, message).digest() + salt).digest()
    db = bytes(size - len(salt) - len(h) - 2) + b"\1" + salt
    mask = b"".join(hashlib.new(digest, h + struct.pack(">I", i)).digest() for i in range(-(-len(db) // len(h))))
    masked = int.from_bytes(db, "big") ^ int.from_bytes(mask[: len(db)], "big")
    masked &= (1 << (8 * len(db) - 1)) - 1  # the modulus has 8 * size bits
    encoded = masked.to_bytes(len(db), "big") + h + b"\xbc"
    return pow(int.from_bytes(encoded, "big"), numbers.d, n).to_bytes(size, "big")


def records_case(given):
    key, iv, interval = bytes.fromhex(given["key"]), bytes.fromhex(given["iv"]), given["ratchet_interval"]
    sealer, opener, records = Sealer(key, iv, interval), Opener(key, iv, interval), []
    for number, record in enumerate(given["records"]):
        plaintext = bytes.fromhex(record["plaintext"])
        wire = sealer.seal(plaintext)
        assert opener.open(wire) == (plaintext, b"")
        under = {"key": sealer.key.hex(), "iv": sealer.iv.hex()}
        records.append({"number": number, "plaintext": plaintext.hex(), "wire": wire.hex(), "under": under})
    return {**{k: given[k] for k in ("name", "key", "iv", "ratchet_interval")}, "records": records}


def records_cases():
    end, start = frame_encode(b"F"), frame_encode(b"D", [b"123456789"])
    limits = frame_encode(b"K", [], {b"largest-file": b"9223372036854775807", b"window": b"8388608"})
    several = [frame_encode(b"F", data=pattern(3 * n)) for n in range(8)]
    for name, interval, plaintexts in (("plain", RATCHET, [limits, end, start]), ("two-ratchets", 3, several)):
        both = made(f"records {name}", 44)
        yield records_case({
            "name": name,
            "key": both[:32].hex(),
            "iv": both[32:].hex(),
            "ratchet_interval": interval,
            "records": [{"plaintext": p.hex()} for p in plaintexts],
        })


def proof_case(given):
    made_proof = proof(bytes.fromhex(given["verifier"]), bytes.fromhex(given["binding"]), given["cookie"].encode())
    return {**{k: given[k] for k in ("name", "verifier", "binding", "cookie")}, "proof": made_proof.hex()}


def decoy_case(given):
    secret = decoy_secret(bytes.fromhex(given["server_key_pkcs8"]))
    salt, file_id, verifier = decoy(secret, given["cookie"].encode())
    return {
        **{k: given[k] for k in ("name", "server_key_pkcs8")},
        "decoy_secret": secret.hex(),
        "cookie": given["cookie"],
        "salt": salt.hex(),
        "file_id": file_id.hex(),
        "verifier": verifier.hex(),
        "header": header_encode(salt, file_id).hex(),
    }


COOKIES = {"one-digit": "0", "usual": "314159265358979323846264338327950288", "longest": "9" * 48}


def proof_cases():
    for name, cookie in COOKIES.items():
        verifier, binding = made(f"proof {name} verifier", 48), made(f"proof {name} binding", 32)
        yield proof_case({"name": name, "verifier": verifier.hex(), "binding": binding.hex(), "cookie": cookie})


def decoy_cases():
    for name, cookie in COOKIES.items():
        yield decoy_case({"name": name, "server_key_pkcs8": recorded_keys()["server"][1].hex(), "cookie": cookie})


def sealed_case(given):
    header = header_encode(
        bytes.fromhex(given["salt"]),
        bytes.fromhex(given["file_id"]),
        *(given[k] for k in ("memory_log2", "passes", "lanes")),
    )
    keys = derive_keys(header, given["password"].encode())
    metadata, content = bytes.fromhex(given["metadata"]), pattern(given["size"])
    metadata_parse(metadata)
    plaintext = file_plaintext(metadata, content)
    pieces = plaintext_seal(keys["content_key"], header, plaintext, [bytes.fromhex(n) for n in given["nonces"]])
    stored = b"".join(pieces)
    assert sealed_open(keys["content_key"], header, stored) == (metadata, content)
    assert len(stored) == len(plaintext) + 28 * len(pieces)
    return {
        **{k: given[k] for k in ("name", "password", "memory_log2", "passes", "lanes", "salt", "file_id")},
        "header": header.hex(),
        **{k: v.hex() for k, v in keys.items()},
        "metadata": metadata.hex(),
        "size": given["size"],
        "plaintext_size": len(plaintext),
        "nonces": given["nonces"],
        "pieces": [
            {
                "size": len(piece),
                "sha256": hashlib.sha256(piece).hexdigest(),
                **({"bytes": piece.hex()} if len(piece) <= 1024 else {}),
            }
            for piece in pieces
        ],
        "stored_size": len(stored),
        "chain": chain(header, stored).hex(),
    }


def metadata_of(name, size):
    return metadata_encode([
        ("name", name),
        ("size", str(size)),
        ("mtime", "1577836800"),
        ("mode", "644"),
        ("kind", "file"),
        ("encoding", "identity"),
    ])


def sealed_cases():
    five = 5  # digits of a size near a chunk's, so that the metadata of it has the same length
    room = CHUNK - 4 - len(metadata_of("full.bin", 10 ** (five - 1)))
    for name, label, size, password in (
        ("empty", "empty", 0, "correct horse battery staple"),
        ("one-byte", "eins.bin", 1, "Pässwörd 密码"),
        ("one-chunk-full", "full.bin", room, "correct horse battery staple"),
        ("one-chunk-and-one-byte", "full.bin", room + 1, "correct horse battery staple"),
        ("three-chunks", "größer.bin", 150_000, "x"),
    ):
        metadata = metadata_of(label, size)
        count = -(-(4 + len(metadata) + size) // CHUNK)
        yield sealed_case({
            "name": name,
            "password": password,
            "memory_log2": 16,
            "passes": 3,
            "lanes": 1,
            "salt": made(f"sealed salt of {password}", 16).hex(),
            "file_id": made(f"sealed {name} file id", 32).hex(),
            "metadata": metadata.hex(),
            "size": size,
            "nonces": [made(f"sealed {name} nonce {n}", NONCE).hex() for n in range(count)],
        })


def chain_case(given):
    done = chain(bytes.fromhex(given["header"]), pattern(given["size"]))
    return {**{k: given[k] for k in ("name", "header", "size")}, "chain": done.hex()}


def chain_cases():
    sealed = header_encode(made("chain salt", 16), made("chain file id", 32)).hex()
    for kind, header in (("sealed", sealed), ("1.0", "")):
        for size in (0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 200_000):
            yield chain_case({"name": f"{kind}-{size}", "header": header, "size": size})


# --- Vectors: what is to be refused ---


def negative_case(given):
    """`given` with what this module says of it: `error`, and `code` if one is sent."""
    raw, what = bytes.fromhex(given["bytes"]), given["what"]
    field = {k: bytes.fromhex(given[k]) for k in ("key", "iv", "header", "content_key", "private") if k in given}
    try:
        if what == "header":
            header_parse(raw)
        elif what == "hello":
            hello_parse(raw, given["from"].encode())
        elif what == "signature":
            signature_check(bytes.fromhex(given["identity"]), bytes.fromhex(given["th"]), raw)
        elif what == "share":
            x25519_shared(field["private"], raw)
        elif what == "frame":
            named = frame_parse(raw)[2]
            if "number" in given:
                number_decode(named[given["number"].encode()])
        elif what == "record":
            opener, opened = Opener(field["key"], field["iv"], given["ratchet_interval"]), 0
            while result := opener.open(raw):
                raw, opened = result[1], opened + 1
                assert opened <= given["opened"]
        elif what == "sealed":
            sealed_open(field["content_key"], field["header"], raw)
        else:
            raise AssertionError(f"what is {what}?")
    except Refused as fault:
        if what == "record":
            assert opened == given["opened"], given["name"]
        code = {"code": fault.code} if fault.code else {}
        rest = {k: v for k, v in given.items() if k not in ("error", "code")}
        return {**rest, "error": str(fault), **code}
    raise AssertionError(f"{given['name']} was not refused")


def negative_headers():
    good = header_encode(made("negative salt", 16), made("negative file id", 32))

    def changed(at, value):
        return good[:at] + bytes([value]) + good[at + 1 :]

    yield "header_truncated", good[:-1]
    yield "header_empty", b""
    yield "header_too_long", good + b"\0"
    yield "header_wrong_magic", changed(3, ord("1"))
    yield "header_wrong_version", changed(4, 2)
    yield "header_version_zero", changed(4, 0)
    yield "header_wrong_kdf", changed(5, 2)
    yield "header_kdf_memory_too_small", changed(6, 15)
    yield "header_kdf_memory_too_large", changed(6, 19)
    yield "header_kdf_memory_hostile", changed(6, 255)
    yield "header_passes_too_few", changed(7, 2)
    yield "header_passes_too_many", changed(7, 11)
    yield "header_passes_hostile", changed(7, 255)
    yield "header_lanes_zero", changed(8, 0)
    yield "header_lanes_too_many", changed(8, 5)
    yield "header_wrong_chunk_size", changed(9, 17)
    for at in range(10, 16):
        yield "header_nonzero_padding" + (f"_at_{at}" if at > 10 else ""), changed(at, 1)


def negative_hellos():
    share, secret = x25519_public(made("negative private", 32)), made("negative secret", 32)
    good = hello_encode(b"H", share, secret)
    s, t = base64_encode(share), base64_encode(secret)
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    loose = t[:-2] + bytes([alphabet[alphabet.index(t[-2]) | 1]]) + b"="
    yield "hello_without_secret", b"H\0FSS/2\0share=%s\0" % s
    yield "hello_share_31_bytes", hello_encode(b"H", share[:31], secret)
    yield "hello_share_33_bytes", hello_encode(b"H", share + b"\0", secret)
    yield "hello_secret_empty", hello_encode(b"H", share, b"")
    yield "hello_extra_argument", good + b"more=1\0"
    yield "hello_extra_empty_argument", good + b"\0"
    yield "hello_bytes_behind_last_nul", good + b"x"
    yield "hello_without_last_nul", good[:-1]
    yield "hello_wrong_version", good.replace(b"FSS/2", b"FSS/3")
    yield "hello_wrong_version_and_arguments", b"H\0FSS/3\0else\0"
    yield "hello_base64_unpadded", b"H\0FSS/2\0share=%s\0secret=%s\0" % (s.rstrip(b"="), t)
    yield "hello_base64_not_canonical", b"H\0FSS/2\0share=%s\0secret=%s\0" % (s, loose)
    yield "hello_base64_white_space", b"H\0FSS/2\0share=%s\0secret=%s \0" % (s, t)
    yield "hello_arguments_swapped", b"H\0FSS/2\0secret=%s\0share=%s\0" % (t, s)
    yield "hello_share_twice", b"H\0FSS/2\0share=%s\0share=%s\0" % (s, s)
    yield "hello_reflected", hello_encode(b"R", share, secret)


def negative_signatures():
    """`(name, th, signature)`; the identity is the recorded server's key."""
    keys, th, salt = recorded_keys(), made("negative th", 48), made("negative salt of a signature", 48)
    private, message = keys["server"][1], to_be_signed(th)
    good = pss_sign(private, message, salt)
    signature_check(keys["server"][0], th, good)
    yield "signature_of_another_connection", made("another th", 48), good
    yield "signature_by_the_client", th, pss_sign(keys["client"][1], message, salt)
    yield "signature_by_the_transport_key", th, pss_sign(keys["transport"][1], message, salt)
    yield "signature_without_label", th, pss_sign(private, th, salt)
    yield "signature_label_without_nul", th, pss_sign(private, b"fss/2 server identity" + th, salt)
    yield "signature_salt_empty", th, pss_sign(private, message, b"")
    yield "signature_salt_32_bytes", th, pss_sign(private, message, salt[:32])
    yield "signature_salt_64_bytes", th, pss_sign(private, message, salt + salt[:16])
    yield "signature_sha256", th, pss_sign(private, message, salt, "sha256")
    yield "signature_sha512", th, pss_sign(private, message, salt, "sha512")
    key = serialization.load_der_private_key(private, None)
    yield "signature_pkcs1_v1_5", th, key.sign(message, padding.PKCS1v15(), hashes.SHA384())
    yield "signature_flipped_bit", th, good[:100] + bytes([good[100] ^ 1]) + good[101:]
    yield "signature_too_short", th, good[:-1]
    yield "signature_too_long", th, good + b"\0"
    yield "signature_empty", th, b""
    yield "signature_zero", th, bytes(256)
    modulus = key.public_key().public_numbers().n
    above = int.from_bytes(good, "big") + modulus
    if above < 1 << 2048:
        yield "signature_above_the_modulus", th, above.to_bytes(256, "big")


def negative_frames():
    yield "frame_empty", b""
    yield "frame_flag_alone", b"I"
    yield "frame_flag_not_a_letter", b"1\0"
    yield "frame_flag_of_two_letters", b"LL\0"
    yield "frame_data_without_nul", b"Fdata"
    yield "frame_name_twice", b"D\0OK\0offset=1\0offset=1\0"
    yield "frame_unknown_name_twice", b"I\0x=1\0x=2\0"
    yield "frame_positional_after_named", b"D\0offset=1\0OK\0"
    yield "frame_empty_positional_after_named", b"D\0OK\0offset=1\0\0"
    yield "frame_without_last_nul", b"D\0OK\0offset=1"
    yield "frame_33_arguments", b"I\0" + b"".join(b"a%d=\0" % n for n in range(33))
    for name, value in (
        ("number_leading_zero", b"01"),
        ("number_too_large", b"9223372036854775808"),
        ("number_of_20_digits", b"10000000000000000000"),
        ("number_signed", b"+1"),
        ("number_negative", b"-1"),
        ("number_empty", b""),
        ("number_white_space", b" 1"),
        ("number_hexadecimal", b"0x10"),
    ):
        yield name, b"D\0OK\0offset=%s\0" % value


def negative_records():
    """`(name, opened, interval, bytes)` for the reader's key and iv."""
    ours, theirs = made("negative record", 44), made("negative record, other direction", 44)

    def sealer(both=ours, interval=RATCHET):
        return Sealer(both[:32], both[32:], interval)

    in_order = sealer()
    one, two, three = (in_order.seal(frame_encode(b"F", data=pattern(n))) for n in (4, 5, 6))
    longest = struct.pack(">I", SEALED_MAX + 1)
    tagged = AESGCM(ours[:32]).encrypt(sealer().next()[1], b"F", struct.pack(">I", 17))
    unratcheted = sealer()
    old = [unratcheted.seal(b"F\0") for _ in range(4)]
    flipped = struct.pack(">I", int.from_bytes(two[:4], "big") ^ 1) + two[4:]
    assert flipped[:4] < two[:4]  # the reader has enough bytes to judge
    yield "record_too_short", 0, RATCHET, struct.pack(">I", 17) + tagged
    yield "record_length_zero", 0, RATCHET, bytes(4)
    yield "record_too_long", 0, RATCHET, longest
    yield "record_length_hostile", 0, RATCHET, b"\xff" * 4
    yield "record_replayed", 1, RATCHET, one + one
    yield "record_reordered", 0, RATCHET, two + one
    yield "record_left_out", 1, RATCHET, one + three
    yield "record_reflected", 0, RATCHET, sealer(theirs).seal(b"F\0data")
    yield "record_flipped_length", 1, RATCHET, one + flipped
    yield "record_flipped_ciphertext", 0, RATCHET, one[:4] + bytes([one[4] ^ 1]) + one[5:]
    yield "record_flipped_tag", 0, RATCHET, one[:-1] + bytes([one[-1] ^ 1])
    yield "record_old_key_after_ratchet", 3, 3, b"".join(old)


def negative_sealed(key, header):
    """`(name, bytes behind the header)`."""
    metadata = metadata_encode([("kind", "file"), ("encoding", "identity")])
    full = file_plaintext(metadata, pattern(CHUNK - 4 - len(metadata)))
    small = file_plaintext(metadata, b"content")

    def piece(index, last, chunk):
        return chunk_seal(key, header, index, last, made(f"negative sealed {index} {last} {len(chunk)}", NONCE), chunk)

    def stated(length, rest):
        return piece(0, True, struct.pack(">I", length) + rest)

    yield "sealed_nothing", b""
    yield "sealed_last_flag_missing", piece(0, False, small)
    yield "sealed_last_chunk_missing", piece(0, False, full)
    yield "sealed_last_flag_too_early", piece(0, True, full) + piece(1, True, b"more")
    yield "sealed_bytes_after_last", piece(0, True, small) + b"\0"
    yield "sealed_bytes_after_full_last", piece(0, True, full) + b"\0"
    yield "sealed_last_piece_empty", piece(0, False, full) + piece(1, True, b"")
    yield "sealed_last_piece_cut", piece(0, True, small)[:-1]
    yield "sealed_only_piece_empty", piece(0, True, b"")
    yield "sealed_chunks_swapped", piece(1, True, pattern(CHUNK)) + piece(0, False, full)
    yield "sealed_wrong_index", piece(1, True, small)
    whole = piece(0, True, small)
    yield "sealed_flipped_nonce", bytes([whole[0] ^ 1]) + whole[1:]
    other = header[:63] + bytes([header[63] ^ 1])
    yield "sealed_other_header", chunk_seal(key, other, 0, True, made("negative sealed other", NONCE), small)
    long = metadata_encode([("kind", "file"), ("encoding", "identity"), ("note", "x" * 32_728)])
    long = long[:-1] + b"x" * (METADATA_MAX + 1 - len(long)) + b"\0"
    assert len(long) == METADATA_MAX + 1
    yield "sealed_metadata_too_long", stated(len(long), long + b"content")
    yield "sealed_metadata_length_hostile", stated(2**32 - 1, metadata)
    yield "sealed_metadata_longer_than_chunk", stated(len(metadata) + 1, metadata)
    yield "sealed_without_metadata_length", piece(0, True, b"\0\0\0")
    yield "sealed_metadata_without_last_nul", stated(len(metadata) - 1, metadata)
    yield "sealed_metadata_empty", stated(0, b"content")
    for name, bad in (
        ("name_twice", metadata + b"kind=file\0"),
        ("without_kind", b"encoding=identity\0"),
        ("without_encoding", b"kind=file\0"),
        ("unknown_encoding", b"kind=file\0encoding=rot13\0"),
        ("not_utf8", metadata + b"name=\xff\0"),
        ("without_equals", metadata + b"name\0"),
        ("empty_argument", metadata + b"\0"),
    ):
        yield f"sealed_metadata_{name}", stated(len(bad), bad)


def negative_cases():
    def case(name, what, raw, **more):
        return negative_case({"name": name, "what": what, **more, "bytes": raw.hex()})

    for name, raw in negative_headers():
        yield case(name, "header", raw)
    for name, raw in negative_hellos():
        yield case(name, "hello", raw, **{"from": "H"})
    for name, u in (("zero", 0), ("one", 1), ("p", 2**255 - 19)):
        yield case(f"share_of_low_order_{name}", "share", u.to_bytes(32, "little"), private=made("low order", 32).hex())
    for name, th, raw in negative_signatures():
        yield case(name, "signature", raw, identity=recorded_keys()["server"][0].hex(), th=th.hex())
    for name, raw in negative_frames():
        yield case(name, "frame", raw, **({"number": "offset"} if name.startswith("number_") else {}))
    both = made("negative record", 44)
    for name, opened, interval, raw in negative_records():
        given = {"key": both[:32].hex(), "iv": both[32:].hex(), "ratchet_interval": interval, "opened": opened}
        yield case(name, "record", raw, **given)
    header, key = header_encode(made("negative salt", 16), made("negative file id", 32)), made("negative content", 32)
    for name, raw in negative_sealed(key, header):
        yield case(name, "sealed", raw, header=header.hex(), content_key=key.hex())


# --- Vectors: files ---

# file -> (what it is about, {list: (its cases, how to compute one from its inputs)})
FILES = {
    "key_schedule.json": ("Key schedule, §13.", {"cases": (key_schedule_cases, key_schedule_case)}),
    "records.json": (
        "Records, §14. `under` is key and iv that sealed the record.",
        {"cases": (records_cases, records_case)},
    ),
    "proof.json": (
        "Proofs, §16.2, and decoys, §18.2. Cookies are text.",
        {"cases": (proof_cases, proof_case), "decoys": (decoy_cases, decoy_case)},
    ),
    "sealed.json": (
        "Sealed files, §21. Byte i of the content is (7 i + floor(i / 251)) mod 256. Passwords are text.",
        {"cases": (sealed_cases, sealed_case)},
    ),
    "chain.json": (
        "Chains, §22, over any bytes behind a header: byte i is (7 i + floor(i / 251)) mod 256.",
        {"cases": (chain_cases, chain_case)},
    ),
    "negative.json": ("What is refused. `code` is that of §20.", {"cases": (negative_cases, negative_case)}),
}


def write(directory):
    directory.mkdir(parents=True, exist_ok=True)
    for file, (about, lists) in FILES.items():
        content = {"about": about, **{name: list(cases()) for name, (cases, _) in lists.items()}}
        (directory / file).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def check(directory):
    """Compute every case again from its own inputs; the number of those that differ."""
    bad = 0
    for file, (_, lists) in FILES.items():
        content = json.loads((directory / file).read_text(encoding="utf-8"))
        for name, (_, compute) in lists.items():
            assert content[name], f"{file}: {name} is empty"
            for case in content[name]:
                try:
                    same = compute(case) == case
                except (AssertionError, Refused, ValueError) as fault:
                    same = False
                    print(f"{file}: {case['name']}: {fault!r}", file=sys.stderr)
                if not same:
                    bad += 1
                    print(f"{file}: {case['name']} differs", file=sys.stderr)
            print(f"{file}: {len(content[name])} {name}")
    return bad


def main():
    parser = argparse.ArgumentParser(description="Test vectors of FSS/2.")
    parser.add_argument("action", choices=("vectors", "check"))
    parser.add_argument("directory", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.action == "vectors":
        write(arguments.directory)
        return 0
    return 1 if check(arguments.directory) else 0


if __name__ == "__main__":
    sys.exit(main())
