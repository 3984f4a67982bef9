"""posthorn.send.v1 from Python. The generated code comes from protoc and its gRPC plugin, made at
first use: Debian's grpcio-tools is older than the protos."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile

import grpc

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

RpcError = grpc.RpcError


def generate(*protos):
    """Puts the Python code of `protos` (paths below proto/) on the module path."""
    directory = tempfile.mkdtemp(prefix="ph-proto-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    plugin = shutil.which("grpc_python_plugin")
    subprocess.run(["protoc", f"-I{_ROOT}/proto", f"--python_out={directory}",
                    f"--grpc_out={directory}", f"--plugin=protoc-gen-grpc={plugin}", *protos],
                   check=True)
    sys.path.insert(0, directory)


generate("posthorn/common/v1/common.proto", "posthorn/send/v1/send.proto",
         "posthorn/mailbox/v1/mailbox.proto", "posthorn/mailbox/v1/delivery.proto",
         "posthorn/directory/v1/directory.proto", "posthorn/queue/v1/queue.proto",
         "posthorn/admin/v1/admin.proto")

from posthorn.send.v1 import send_pb2, send_pb2_grpc  # noqa: E402


class Send:
    """send(sender, recipients, raw) with an API key; raises RpcError."""

    def __init__(self, port, key):
        self._stub = send_pb2_grpc.SendServiceStub(grpc.insecure_channel(f"127.0.0.1:{port}"))
        self._metadata = [("authorization", f"Bearer {key}")] if key else []

    def __call__(self, sender, to, raw, idempotency_key="", verp_delimiters=""):
        request = send_pb2.SendRequest(**{"from": sender, "to": to, "raw_message": raw,
                                          "idempotency_key": idempotency_key,
                                          "verp_delimiters": verp_delimiters})
        return self._stub.Send(request, metadata=self._metadata, timeout=30)
