"""The proxies under measurement: each one process, one core, the same headers added, limits above the load.

Every configuration is written for the comparison to be fair: connections are reused without a limit on their number
or requests, idle clients are kept for an hour, and X-Forwarded-For, X-Forwarded-Proto, Via and X-Request-Id are sent
to the upstream. `front` is what clients speak and `back` what the upstream does: h1 (plain), h1s or h2s (over TLS, with
each program's own choice of ciphers, and the upstream's certificate checked). With access logs on, each writes its own
usual line a request to a file, buffered where it can be.
"""

import json
import os
import shutil

from procs import BenchError, Core, Process, free_port, get_json, wait_for_port
from secure import HOUR_S, NGINX_BASE, SERVER_NAME

CLIENTS_MAX = 8000  # twice what is held at once; each client may have one upstream connection


class Proxy:
    """A running proxy. `port` is where clients connect; `log_path` is where an access log would be."""

    def __init__(self, name, process, port, log_path=None):
        self.name = name
        self.process = process
        self.port = port
        self.log_path = log_path

    def drop_log(self):
        """Throw the log away between rounds: minutes of it would fill a small disk."""
        if self.log_path is not None and os.path.exists(self.log_path):
            os.truncate(self.log_path, 0)

    def stop(self):
        self.process.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


NGINX = NGINX_BASE + """    keepalive_requests 1000000000;
    upstream origin {{
        server {upstream};
        keepalive {clients};
        keepalive_requests 1000000000;
        keepalive_timeout {hour}s;
    }}
    server {{
        listen 127.0.0.1:{port} {listen} backlog=4096;
        {certificate}
        proxy_http_version 1.1;
        proxy_read_timeout {hour}s;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Request-Id $request_id;
        proxy_set_header Via "1.1 nginx";
        {check}
        location / {{ proxy_pass {scheme}://origin; }}
        location /stream {{ proxy_pass {scheme}://origin; proxy_buffering off; }}
    }}
}}
"""

NGINX_CERTIFICATE = "ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {keys.cert}; ssl_certificate_key {keys.key};"
NGINX_CHECK = ("proxy_ssl_verify on; proxy_ssl_trusted_certificate {keys.ca}; proxy_ssl_name {name}; "
               "proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3;")

HAPROXY_BIND = {"h1": "", "h1s": "ssl crt {keys.bundle} alpn http/1.1", "h2s": "ssl crt {keys.bundle} alpn h2,http/1.1"}
HAPROXY_SERVER = {"h1": "", "h1s": "ssl verify required ca-file {keys.ca} sni str({name}) verifyhost {name} alpn http/1.1",
                  "h2s": "ssl verify required ca-file {keys.ca} sni str({name}) verifyhost {name} alpn h2"}

HAPROXY = """
global
    maxconn {clients}
    nbthread 1
    {log_target}
defaults
    mode http
    timeout connect 5s
    timeout client {hour}s
    timeout server {hour}s
    timeout http-keep-alive {hour}s
    option http-keep-alive
    option http-no-delay
    option forwardfor
    http-reuse always
    {log_use}
frontend clients
    bind 127.0.0.1:{port} backlog 4096 {bind}
    unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    http-request set-header X-Forwarded-Proto http{s}
    http-request add-header Via "1.1 haproxy"
    default_backend origin
backend origin
    server origin {upstream} {server}
"""


class Starter:
    """Knows where the programs are and which of them are here; starts them in a scratch folder of its own."""

    def __init__(self, tools, build_dir, scratch):
        self.tools = tools
        self.scratch = scratch
        self.weir_path = os.path.join(build_dir, "bin", "weir-node")
        self._serial = 0

    def available(self):
        """Names of the proxies that can be measured here, in the table's order, and why others can not."""
        here, missing = [], []
        for name, path in (("nginx", shutil.which("nginx")), ("haproxy", shutil.which("haproxy")),
                           ("weir", self.weir_path)):
            if path is not None and os.access(path, os.X_OK):
                here.append(name)
            else:
                missing.append(f"{name} is not measured: {path or name} is not there")
        return here, missing

    def start(self, name, origin, logs=False, **options):
        return getattr(self, f"_start_{name}")(f"{origin.address}:{origin.port}", logs, **options)

    def _folder(self, name):
        self._serial += 1
        path = os.path.join(self.scratch, f"{name}-{self._serial}")
        os.mkdir(path)
        return path

    def _start_relay(self, upstream, _logs, **_options):
        process = Process([self.tools.path("relay"), "127.0.0.1:0", upstream], Core.proxy)
        return Proxy("relay", process, int(process.read_line(5).split()[1]))

    def _launch(self, name, folder, argv, port, ahead=False):
        """Start with output to files in its folder; what it said comes back if it does not come up."""
        out_path = os.path.join(folder, "out.log")
        err_path = os.path.join(folder, "err.log")
        # Appending: the file may be truncated under the program between rounds.
        with open(out_path, "a", encoding="utf-8") as out, open(err_path, "a", encoding="utf-8") as err:
            process = Process(argv, Core.proxy, stdout=out, stderr=err, name=name, ahead=ahead)
        try:
            wait_for_port(port, process)
        except BenchError as error:
            process.stop()
            said = ""
            for path in (out_path, err_path):
                with open(path, encoding="utf-8", errors="replace") as f:
                    said += f.read(2000)
            raise BenchError(f"{error}\n{said}") from None
        return Proxy(name, process, port, out_path)

    def _start_nginx(self, upstream, logs, front="h1", back="h1", keys=None):
        folder = self._folder("nginx")
        port = free_port()
        access_path = os.path.join(folder, "access.log")
        access = f"{access_path} combined buffer=64k flush=1s" if logs else "off"
        config = os.path.join(folder, "nginx.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(NGINX.format(dir=folder, access_log=access, upstream=upstream, port=port, hour=HOUR_S,
                                 clients=CLIENTS_MAX, descriptors=2 * CLIENTS_MAX,
                                 listen={"h1": "", "h1s": "ssl", "h2s": "ssl http2"}[front],
                                 certificate=NGINX_CERTIFICATE.format(keys=keys) if front != "h1" else "",
                                 check=NGINX_CHECK.format(keys=keys, name=SERVER_NAME) if back != "h1" else "",
                                 scheme="https" if back != "h1" else "http"))
        proxy = self._launch("nginx", folder, ["nginx", "-p", folder, "-e", "stderr", "-c", config], port)
        proxy.log_path = access_path
        return proxy

    def _start_haproxy(self, upstream, logs, front="h1", back="h1", keys=None):
        folder = self._folder("haproxy")
        port = free_port()
        config = os.path.join(folder, "haproxy.cfg")
        with open(config, "w", encoding="utf-8") as f:
            f.write(HAPROXY.format(log_target="log stdout format raw local0 info" if logs else "",
                                   log_use="log global\n    option httplog" if logs else "",
                                   upstream=upstream, port=port, hour=HOUR_S, clients=CLIENTS_MAX,
                                   s="" if front == "h1" else "s",
                                   bind=HAPROXY_BIND[front].format(keys=keys),
                                   server=HAPROXY_SERVER[back].format(keys=keys, name=SERVER_NAME)))
        return self._launch("haproxy", folder, ["haproxy", "-db", "-f", config], port)

    def _start_weir(self, upstream, logs, reuse=True, workers=1, rate_limit=None, urls=None, http_client=None, front="h1",
                    back="h1", keys=None, ahead=False):
        folder = self._folder("weir")
        port = free_port()
        config = os.path.join(folder, "weir.yaml")
        scheme = "http" if back == "h1" else "https"
        model = {
            "server": {"listen": f"127.0.0.1:{port}", "workers": workers, "max_connections": CLIENTS_MAX,
                       "idle_timeout": HOUR_S},
            "logging": {"level": "warning", "access": logs},
            "http_client": {
                "pool_limits": {"max_connections": CLIENTS_MAX, "max_keepalive_connections": CLIENTS_MAX,
                                "keepalive_expiry": HOUR_S},
                "features": {"connection_reuse": reuse},
                **(http_client or {}),
            },
            "providers": {"origin": {"endpoints": [{"url": url} for url in urls or [f"{scheme}://{upstream}"]],
                                     "http2": "auto" if back == "h2s" else "off", "rate_limit": rate_limit or {}}},
        }
        if front != "h1":
            model["server"]["tls"] = {"certificates": [{"cert_file": keys.cert, "key_file": keys.key}]}
            model["server"]["http2"] = {"enabled": front == "h2s"}
        if back != "h1":
            model["http_client"]["tls"] = {"ca_file": keys.ca, "server_name": SERVER_NAME}
        with open(config, "w", encoding="utf-8") as f:
            json.dump(model, f, indent=1)  # JSON is YAML
        proxy = self._launch("weir", folder, [self.weir_path, "-c", config], port, ahead)
        proxy.log_path = os.path.join(folder, "err.log")
        return proxy


def weir_pool_metrics(proxy):
    """weir's own account of its pool."""
    return get_json(f"http://127.0.0.1:{proxy.port}/metrics")["connection_pool"]
