"""A small SMTP server that keeps what it receives and misbehaves on request: what a test needs to
see the exact bytes a delivery sends, and how it takes temporary and permanent replies."""

import socket
import socketserver
import ssl
import threading


class Message:
    def __init__(self, sender, recipients, data):
        self.sender = sender
        self.recipients = recipients
        self.data = data


class SmtpSink:
    """`replies` maps a verb ("RCPT", "DATA", "." for the final dot) to a function of its argument
    that returns the reply line, or None for the usual one. A reply of "" closes the connection
    without a word. All messages are in `messages`, in order of their final dots, also those whose
    final dot was not answered. `peers` has (address, EHLO name) of each connection that greeted.
    `certificate`: (certificate file, key file), with which STARTTLS is offered."""

    def __init__(self, address="127.0.0.1", replies=None, extensions=("PIPELINING", "8BITMIME"),
                 port=0, certificate=None):
        self.tls = None
        if certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
            extensions = (*extensions, "STARTTLS")
        self.messages = []
        self.connections = 0
        self.peers = []
        self.replies = dict(replies or {})
        self.extensions = extensions
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                sink.connections += 1
                try:
                    sink._serve(self)
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

        self._server = Server((address, port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, verb, argument, usual):
        chosen = self.replies.get(verb)
        reply = chosen(argument) if chosen else None
        return usual if reply is None else reply

    def _lines(self, connection):
        """The lines of a connection, also after it has changed to TLS."""
        while True:
            line = connection.rfile.readline()
            if not line:
                return
            yield line

    def _serve(self, connection):
        peer = connection.client_address[0]

        def say(line):
            if line == "":
                return False
            connection.wfile.write(line.encode() + b"\r\n")
            connection.wfile.flush()
            return True

        say("220 sink.example ESMTP")
        sender, recipients = None, []
        extensions = self.extensions
        for raw in self._lines(connection):
            line = raw.rstrip(b"\r\n").decode("utf-8", "replace")
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                self.peers.append((peer, line[5:]))
                lines = ["sink.example", *extensions]
                for extension in lines[:-1]:
                    say(f"250-{extension}")
                answer = f"250 {lines[-1]}"
            elif verb == "HELO":
                answer = "250 sink.example"
            elif verb == "MAIL":
                answer = self._answer("MAIL", line, "250 2.1.0 ok")
                sender, recipients = line, []
            elif verb == "RCPT":
                answer = self._answer("RCPT", line, "250 2.1.5 ok")
                if answer.startswith("2"):
                    recipients.append(line)
            elif verb == "DATA":
                answer = self._answer("DATA", line,
                                      "354 go ahead" if recipients else "554 5.5.1 no recipient")
                if answer.startswith("354"):
                    if not say(answer):
                        return
                    data = b""
                    for body_line in self._lines(connection):
                        if body_line == b".\r\n":
                            break
                        data += body_line[1:] if body_line.startswith(b".") else body_line
                    else:
                        return
                    self.messages.append(Message(sender, recipients, data))
                    answer = self._answer(".", data, "250 2.0.0 kept")
            elif verb == "STARTTLS" and "STARTTLS" in extensions:
                say("220 2.0.0 go ahead")
                tls = self.tls.wrap_socket(connection.connection, server_side=True)
                connection.rfile, connection.wfile = tls.makefile("rb"), tls.makefile("wb")
                extensions = tuple(e for e in extensions if e != "STARTTLS")
                continue
            elif verb == "RSET" or verb == "NOOP":
                answer = "250 2.0.0 ok"
            elif verb == "QUIT":
                say("221 2.0.0 bye")
                return
            else:
                answer = "502 5.5.1 unknown"
            if not say(answer):
                return
