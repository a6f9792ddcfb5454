"""Makes the messages of the gRPC service from their definition, `open_inference.proto`.

.venv/bin/python tools/grpc_modules.py

Two files are written beside the definition. `open_inference_pb2.py` holds the compiled definition and makes the classes from it when
it is imported. protoc's own module is not used, for two reasons. It registers the package `inference` for the whole process,
and so do `tritonclient`, `kserve` and `open_inference`, which then could not be imported beside it. And it works with no older
protobuf than the one that made it. `open_inference_pb2.pyi` is protoc's, for type checkers.
"""

import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

FOLDER = Path(__file__).resolve().parents[1] / "src" / "muster" / "serving" / "front" / "grpc"
DEFINITION = FOLDER / "open_inference.proto"
MODULE = FOLDER / "open_inference_pb2.py"
STUB = FOLDER / "open_inference_pb2.pyi"
_LINE_BYTES = 30

_HEAD = '''\
"""Made by `tools/grpc_modules.py` from `open_inference.proto`; change that one and make this one again."""

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

'''


def compiled() -> FileDescriptorProto:
    """The definition as protoc understands it, without its comments."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "set"
        _protoc(f"--descriptor_set_out={made}")
        (definition,) = FileDescriptorSet.FromString(made.read_bytes()).file
    return definition


def module_text() -> str:
    """The text of the module."""
    definition = compiled()
    data = definition.SerializeToString(deterministic=True)
    lines = [f"    {data[at : at + _LINE_BYTES]!r}" for at in range(0, len(data), _LINE_BYTES)]
    names = [message.name for message in definition.message_type]
    return "".join(
        (
            _HEAD,
            "_DEFINITION = (\n" + "\n".join(lines) + "\n)\n",
            "#: A pool of its own: other programs of this process may define the same names.\n",
            "_POOL = DescriptorPool()\n",
            "_POOL.AddSerializedFile(_DEFINITION)\n",
            f'DESCRIPTOR = _POOL.FindFileByName("{definition.name}")\n\n',
            *(f'{name} = GetMessageClass(DESCRIPTOR.message_types_by_name["{name}"])\n' for name in names),
        )
    )


def stub_text() -> str:
    """The text of the stub."""
    with tempfile.TemporaryDirectory() as folder:
        _protoc(f"--pyi_out={folder}")
        return (Path(folder) / STUB.name).read_text(encoding="utf-8")


def _protoc(option: str) -> None:
    included = files("grpc_tools") / "_proto"
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{FOLDER}", f"-I{included}", option, DEFINITION.name],
        check=True,
        cwd=FOLDER,
    )


def main() -> None:
    """Write both."""
    MODULE.write_text(module_text(), encoding="utf-8")
    STUB.write_text(stub_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
