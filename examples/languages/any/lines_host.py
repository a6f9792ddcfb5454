"""The same over JSON lines: standard input and output, and standard error for everything that is meant for people."""

import json
import sys

from model import predict


def values(tensor):
    """Its values; NaN, infinities and large whole numbers come as texts."""
    read = {"F": float, "I": int, "U": int}.get(tensor["datatype"][0], str)
    return [read(value) if isinstance(value, str) else value for value in tensor["data"]]


for line in sys.stdin:
    asked = json.loads(line)
    if "load" in asked:
        said = {"loaded": {"language": "python"}}
    else:
        said = {"id": asked["id"]}
        try:
            columns = {tensor["name"]: values(tensor) for tensor in asked["inputs"]}
            found = predict(columns, asked["inputs"][0]["shape"][0])
            said["outputs"] = [{"name": name, "data": data} for name, data in found.items()]
        except Exception as error:
            said["error"] = str(error)
    print(json.dumps(said), flush=True)
