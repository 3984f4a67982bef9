"""HTTPS servers of tests, on a free port of loopback."""

import http.server
import ssl
import threading


class QuietHandler(http.server.BaseHTTPRequestHandler):
    """Tells nothing of requests on standard error."""

    def log_message(self, *_):
        pass


class HttpsServer:
    """Serves with `handler` until `stop`. `certificate` is (certificate file, key file);
    `by_name` gives other ones to clients that ask for a name (SNI)."""

    def __init__(self, handler, certificate, by_name=None):
        contexts = {name: _context(files) for name, files in (by_name or {}).items()}

        def choose(connection, name, _):
            if name in contexts:
                connection.context = contexts[name]

        context = _context(certificate)
        context.sni_callback = choose
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        # A client that stays silent holds its own thread only.
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def _context(files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


class PolicyServer(HttpsServer):
    """https://mta-sts.<domain>/.well-known/mta-sts.txt for the domains in `policies`."""

    def __init__(self, authority, policies):
        self.fetched = []
        outer = self

        class Handler(QuietHandler):
            def do_GET(self):
                host = self.headers["Host"].split(":")[0]
                outer.fetched.append(host)
                text = policies.get(host.removeprefix("mta-sts."))
                if self.path != "/.well-known/mta-sts.txt" or text is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.end_headers()
                self.wfile.write(text.encode())

        hosts = [f"mta-sts.{domain}" for domain in policies]
        super().__init__(Handler, authority.issue("nobody.example"),
                         {host: authority.issue(host) for host in hosts})


class ReportServer(HttpsServer):
    """Takes what is posted to it: (path, content type, content) each."""

    def __init__(self, certificate):
        self.posted = []
        outer = self

        class Handler(QuietHandler):
            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posted.append((self.path, self.headers["Content-Type"], content))
                self.send_response(201)
                self.end_headers()

        super().__init__(Handler, certificate)
