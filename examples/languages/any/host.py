"""A whole host for a language that Muster has never heard of, over the binary wire; Python stands in for that language.

It reads frames from descriptor 3 and writes frames to descriptor 4. Everything that it prints goes to the log. Column
by column it hands the model plain values, None where there is a null, and takes the same back.
"""

import json
import os
import struct
import sys

from model import predict

CODES = {
    "BOOL": "?",
    "UINT8": "B",
    "INT8": "b",
    "UINT16": "H",
    "INT16": "h",
    "FP16": "e",
    "UINT32": "I",
    "INT32": "i",
    "FP32": "f",
    "UINT64": "Q",
    "INT64": "q",
    "FP64": "d",
}
LOAD, LOADED, PREDICT, ANSWER, ERROR, STOP = 2, 3, 4, 5, 6, 9


def pad(data):
    return data + bytes(-len(data) % 8)


def read_column(field, rows, data, nulls):
    count = rows
    for extent in field["shape"]:
        count *= extent
    if field["datatype"] == "BYTES":
        values, at = [], 0
        for _ in range(count):
            (length,) = struct.unpack_from("<I", data, at)
            values.append(data[at + 4 : at + 4 + length].decode("utf-8"))
            at += 4 + length
    else:
        values = list(struct.unpack("<%d%s" % (count, CODES[field["datatype"]]), data))
    each = count // rows if rows else 1
    return [None if nulls and nulls[at // each] else value for at, value in enumerate(values)]


def write_column(field, rows, values):
    each = len(values) // rows if rows else 1
    nulls = bytes(values[row * each] is None for row in range(rows))
    if field["datatype"] == "BYTES":
        texts = [(value or "").encode("utf-8") for value in values]
        data = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    else:
        numbers = [0 if value is None else value for value in values]
        data = struct.pack("<%d%s" % (len(values), CODES[field["datatype"]]), *numbers)
    return data, nulls if any(nulls) else b""


def answer(load, payload):
    rows, columns = struct.unpack_from("<II", payload, 16)  # before it: one request, and its number of rows
    lengths = struct.unpack_from("<%dQ" % (2 * columns), payload, 24)
    at, given = 24 + 16 * columns, {}
    for place, field in enumerate(load["inputs"]):
        data_bytes, null_bytes = lengths[2 * place : 2 * place + 2]
        data = payload[at : at + data_bytes]
        at += data_bytes + -data_bytes % 8
        given[field["name"]] = read_column(field, rows, data, payload[at : at + null_bytes])
        at += null_bytes + -null_bytes % 8
    found = predict(given, rows)
    columns = [write_column(field, rows, list(found[field["name"]])) for field in load["outputs"]]
    lead = bytes.fromhex("0100000000000000 0000000000000000 0000000000000000 020000007b7d0000")
    sizes = [size for data, nulls in columns for size in (len(data), len(nulls))]
    table = struct.pack("<II%dQ" % len(sizes), rows, len(columns), *sizes)
    return lead + table + b"".join(pad(data) + pad(nulls) for data, nulls in columns)


def main():
    wire_in, wire_out = os.fdopen(3, "rb"), os.fdopen(4, "wb")

    def say(kind, sequence, payload):
        wire_out.write(struct.pack("<IBBHQ", len(payload), kind, 1, 0, sequence) + payload)
        wire_out.flush()

    load = None
    while head := wire_in.read(16):
        length, kind, _, _, sequence = struct.unpack("<IBBHQ", head)
        payload = wire_in.read(length)
        if kind == LOAD:
            load = json.loads(payload)
            say(LOADED, sequence, json.dumps({"language": "python"}).encode())
        elif kind == PREDICT:
            try:
                say(ANSWER, sequence, answer(load, payload))
            except Exception as error:
                say(ERROR, sequence, json.dumps({"code": "model-raised", "message": str(error)}).encode())
        elif kind == STOP:
            break
    sys.exit(0)


main()
