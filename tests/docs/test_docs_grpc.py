"""The modules of the gRPC service are made of its definition."""

from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from test_docs_generated import tool

from muster.serving.front.grpc import open_inference_pb2 as pb

ROOT = Path(__file__).resolve().parents[2]


def test_the_messages_are_those_of_the_definition() -> None:
    """Whoever changes `open_inference.proto` runs `tools/grpc_modules.py`."""
    made = tool(ROOT / "tools" / "grpc_modules.py")
    kept = FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(kept)
    assert kept == made.compiled(), "run tools/grpc_modules.py"
    assert {name for name in vars(pb) if name[0].isupper() and name != "DescriptorPool"} >= {
        message.name for message in kept.message_type
    }
    stub = made.STUB.read_text(encoding="utf-8")
    assert all(f"class {message.name}(" in stub for message in kept.message_type)
