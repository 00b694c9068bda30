"""TLS for the bench: certificates, and an upstream that speaks it (nginx, which has nothing of weir)."""

import os
import subprocess

from procs import BenchError, Core, Process, free_port, wait_for_port

BODY_BYTES = 128
DESCRIPTORS = 16000
HOUR_S = 3600
SERVER_NAME = "localhost"
MAKE_PKI = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "make-pki")


class Keys:
    """A certificate for localhost by an authority of our own; `kind` is its key, ec (P-256) or rsa (2048)."""

    def __init__(self, scratch, kind="ec"):
        folder = os.path.join(scratch, "pki")
        if not os.path.exists(folder):
            subprocess.run([MAKE_PKI, folder], check=True)
        name = {"ec": "good", "rsa": "rsa"}[kind]
        self.ca, self.cert, self.key = (os.path.join(folder, f) for f in ("ca.pem", f"{name}.pem", f"{name}.key"))
        self.bundle = os.path.join(folder, f"{name}-bundle.pem")  # what HAProxy reads
        with open(self.bundle, "w", encoding="ascii") as out:
            for path in (self.cert, self.key):
                with open(path, encoding="ascii") as part:
                    out.write(part.read())


# What every nginx of the bench begins with: one process, all its files in a folder of its own, clients kept.
NGINX_BASE = """
daemon off;
master_process off;
worker_rlimit_nofile {descriptors};
error_log stderr error;
pid {dir}/nginx.pid;
events {{ worker_connections {descriptors}; }}
http {{
    access_log {access_log};
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    keepalive_timeout {hour}s;
"""

CONFIG = NGINX_BASE + """    keepalive_requests 1000000000;
    server {{
        listen {address}:{port} ssl {http2} backlog=4096;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        ssl_protocols {version};
        ssl_session_cache off;
        ssl_session_tickets {tickets};
        location / {{ return 200 "{body}"; }}
    }}
}}
"""


class SecureOrigin(Process):
    """An upstream over TLS on the load's core. Without `tickets` every handshake with it is a full one."""

    def __init__(self, scratch, keys, http2, address="127.0.0.1", port=None, version="TLSv1.2 TLSv1.3", tickets=True):
        self.address, self.port = address, port or free_port()
        folder = os.path.join(scratch, f"secure-origin-{self.port}-{os.urandom(4).hex()}")
        os.mkdir(folder)
        config = os.path.join(folder, "nginx.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(dir=folder, access_log="off", descriptors=DESCRIPTORS, hour=HOUR_S, address=address,
                                  port=self.port, http2="http2" if http2 else "", cert=keys.cert, key=keys.key,
                                  version=version, tickets="on" if tickets else "off", body="x" * BODY_BYTES))
        try:
            super().__init__(["nginx", "-p", folder, "-e", "stderr", "-c", config], Core.load)
        except FileNotFoundError:
            raise BenchError("rows with TLS upstream need nginx: apt-get install nginx-light") from None
        try:
            wait_for_port(self.port, self, address=address)
        except BenchError:
            self.stop()
            raise
