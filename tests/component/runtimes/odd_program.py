# mypy: allow-untyped-defs, allow-untyped-calls
"""A program over the binary wire that answers with just what it was asked, or misbehaves as its argument says.

echo            the input columns as outputs, byte for byte
early           says the answer before it has read the whole question
nonsense        answers with bytes that are no frame
other-sequence  answers another question
half            answers with half a frame and ends
twice           answers twice
too-large       announces 2 GiB
other-kind      answers with a frame that is no answer
columns:N       answers with the first N columns
rows:N          answers with N rows of zeros, whatever was asked
raises          says that the model failed
sleeps          computes for as many milliseconds as the first value of the first column says
counts:NAME     echo; a line in that file of TMPDIR for every question
silent          never says that it has loaded
stubborn        does not end when it is told to
refuses         cannot load
tells           answers {"argv", "variables", "load"} as the text of a refusal
"""

import json
import os
import struct
import sys
import time
from pathlib import Path

HOW, _, MORE = (sys.argv[1] if len(sys.argv) > 1 else "echo").partition(":")
LEAD = bytes.fromhex("0100000000000000 0000000000000000 0000000000000000 020000007b7d0000")


def read(length):
    """Exactly that many bytes; ends the program at the end of the wire."""
    parts = bytearray()
    while len(parts) < length:
        part = os.read(3, min(1 << 20, length - len(parts)))
        if not part:
            time.sleep(60 if HOW == "stubborn" else 0)
            sys.exit(0)
        parts += part
    return bytes(parts)


def write(data):
    """All of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(4, view) :]


def say(kind, sequence, payload):
    """One frame."""
    write(struct.pack("<IBBHQ", len(payload), kind, 1, 0, sequence) + payload)


def table(rows, columns):
    """A table without nulls."""
    lengths = [size for column in columns for size in (len(column), 0)]
    padded = b"".join(column + bytes(-len(column) % 8) for column in columns)
    return struct.pack(f"<II{len(lengths)}Q", rows, len(columns), *lengths) + padded


def answer(sequence, payload):
    """Answer one question, more or less."""
    rows, columns = struct.unpack_from("<II", payload, 16)
    if HOW == "nonsense":
        write(b"HTTP/1.1 200 OK\r\n\r\n")
    elif HOW == "half":
        whole = LEAD + payload[16:]
        write(struct.pack("<IBBHQ", len(whole), 5, 1, 0, sequence) + whole[: len(whole) // 2])
        os._exit(0)
    elif HOW == "too-large":
        write(struct.pack("<IBBHQ", 1 << 31, 5, 1, 0, sequence))
    elif HOW == "other-kind":
        say(12, sequence, b"{}")
    else:
        sound(sequence, payload, rows, columns)


def sound(sequence, payload, rows, columns):
    """An answer that is a frame of the protocol."""
    if HOW == "raises":
        say(6, sequence, json.dumps({"code": "model-raised", "message": "I am no good at this: é"}).encode())
    elif HOW == "rows":
        say(5, sequence, LEAD + table(int(MORE), [bytes(8 * int(MORE))]))
    elif HOW == "columns":
        say(5, sequence, LEAD + table(rows, [bytes(8 * rows)] * int(MORE)))
    else:
        if HOW == "sleeps":
            time.sleep(struct.unpack_from("<d", payload, 24 + 16 * columns)[0] / 1000)
        if HOW == "counts":
            with Path(os.environ["TMPDIR"], MORE).open("a") as stream:
                stream.write(f"{os.getpid()}\n")
        say(5, sequence + (HOW == "other-sequence"), LEAD + payload[16:])
        if HOW == "twice":
            say(5, sequence, LEAD + payload[16:])


def main():
    """The loop."""
    while True:
        length, kind, _, _, sequence = struct.unpack("<IBBHQ", read(16))
        if kind == 4 and HOW == "early":
            begun = read(24)  # up to the number of columns
            size = length - 16
            write(struct.pack("<IBBHQ", len(LEAD) + size, 5, 1, 0, sequence) + LEAD + begun[16:])
            rest = read(16)
            write(rest + bytes(size - 24))
            read(length - 40)
            continue
        payload = read(length)
        if kind == 2:
            if HOW == "silent":
                continue
            if HOW == "refuses":
                say(6, sequence, json.dumps({"code": "load-failed", "message": "there is no model here"}).encode())
            if HOW == "tells":
                told = {
                    "argv": sys.argv,
                    "variables": dict(os.environ),
                    "load": json.loads(payload),
                    "cwd": str(Path.cwd()),
                }
                say(6, sequence, json.dumps({"code": "load-failed", "message": json.dumps(told)}).encode())
            if HOW not in ("refuses", "tells"):
                say(3, sequence, b'{"language": "odd", "helper": "1"}')
        elif kind == 4:
            answer(sequence, payload)
        elif kind == 9 and HOW != "stubborn":
            sys.exit(0)


main()
