"""posthorn.queue.v1 from Python, as the gateway uses it: for tests of what the queue and delivery do
with a message, whatever brought it."""

import time
import uuid

import grpc

import tests.support.send_client  # noqa: F401  (generates the code)
from posthorn.queue.v1 import queue_pb2, queue_pb2_grpc  # noqa: E402

Envelope = queue_pb2.EnvelopeOptions
DeliverBy = queue_pb2.DeliverBy
Recipient = queue_pb2.RecipientOptions

NOTIFY = {"NEVER": Recipient.NOTIFY_NEVER, "SUCCESS": Recipient.NOTIFY_SUCCESS,
          "FAILURE": Recipient.NOTIFY_FAILURE, "DELAY": Recipient.NOTIFY_DELAY}


def at(seconds):
    """The time in so many seconds, as the protos have it."""
    when = time.time() + seconds
    return {"seconds": int(when), "nanos": int(when % 1 * 1e9)}


class Queue:
    def __init__(self, platform, tenant=1):
        """`platform` is a SplitPlatform."""
        self.tenant = tenant
        port = platform.internal["queue"][0]
        pem = {}
        for name in ("ca_file", "key_file", "certificate_file"):
            with open(platform.internal_tls[name], "rb") as file:
                pem[name] = file.read()
        self._stub = queue_pb2_grpc.QueueStub(grpc.secure_channel(
            f"127.0.0.1:{port}",
            grpc.ssl_channel_credentials(pem["ca_file"], pem["key_file"], pem["certificate_file"]),
            [("grpc.ssl_target_name_override", "posthorn.internal")]))
        with open(platform.service_token) as file:
            self._metadata = [("authorization", f"Bearer {file.read().strip()}")]

    def enqueue(self, sender, recipients, body, envelope=None, is_8bit=False, notify=(), orcpt=""):
        """Queues a message; returns its id in hexadecimal. `notify` and `orcpt` are all recipients'.
        Raises ValueError with the queue's reason."""
        options = Recipient(notify=[NOTIFY[name] for name in notify], original_recipient=orcpt)
        identifier = uuid.uuid4().bytes
        message = queue_pb2.OutboundMessage(
            tenant_id=self.tenant, message_id=identifier, reverse_path=sender,
            recipients=[queue_pb2.OutboundRecipient(address=r, options=options)
                        for r in recipients],
            inline_body=body, body_is_8bit=is_8bit, options=envelope or Envelope())
        answer = self._stub.Enqueue(queue_pb2.EnqueueRequest(messages=[message]),
                                    metadata=self._metadata, timeout=30)
        result = answer.results[0]
        if result.HasField("failure"):
            raise ValueError(result.failure.text)
        return str(uuid.UUID(bytes=identifier))
