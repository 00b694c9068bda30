/* The keys of server, routes, auth, logging, and the small sections beside them. */
#include "core/config_check.h"
#include "core/config_schema.h"

#define SERVER struct weir_config_server
#define LISTEN struct weir_config_listen
#define ROUTE  struct weir_config_route
#define KEY    struct weir_config_auth_key
#define CERT   struct weir_config_certificate
#define CONFIG struct weir_config

/* Descriptors that Linux gives a process at the very most (fs.nr_open's default). */
#define CONNECTIONS_MAX 1048576
#define WAIT            WEIR_CONFIG_RANGE(0.001, 86400)

static const struct weir_config_field listen_fields[] = {
    {.key = "address", .type = WEIR_CONFIG_TEXT, WEIR_CONFIG_AT(LISTEN, text), .required = true, .doc = "address:port"},
    WEIR_CONFIG_VALUE(BOOL, LISTEN, proxy_protocol, "proxy_protocol", NULL,
                      "Each connection must begin with a PROXY protocol header, v1 or v2.",
                      .derived = "server.proxy_protocol"),
};
const struct weir_config_section weir_config_section_listen =
    WEIR_CONFIG_TABLE_LINED(listen_fields, LISTEN, "One listener, where an address alone does not say enough.");

static const struct weir_config_field admin_fields[] = {
    WEIR_CONFIG_PART(LISTENS, SERVER, admin, listen, "listen", "",
                     "Serve the admin paths here and not on the client port."),
    WEIR_CONFIG_PART(SECRET, SERVER, admin, token, "token", NULL,
                     "Opens the admin paths to clients elsewhere (`Authorization: Bearer`).",
                     .twin = offsetof(SERVER, admin.token_file) - offsetof(SERVER, admin),
                     .check = weir_config_check_field_value),
    WEIR_CONFIG_PART(SECRET_FILE, SERVER, admin, token_file, "token_file", NULL, "The file that holds `token`.",
                     .twin = offsetof(SERVER, admin.token) - offsetof(SERVER, admin),
                     .check = weir_config_check_field_value),
    WEIR_CONFIG_PART(NETS, SERVER, admin, allow, "allow", "127.0.0.0/8 ::1/128", "Networks that need no token."),
    WEIR_CONFIG_PART(
        TEXTS, SERVER, admin, hosts, "hosts", "",
        "Names with a dot under which clients without the token may ask for the admin paths; `*.example.org`: any "
        "below it. The others (an address, `localhost`, a name without a dot, the host of `advertise`) need not be "
        "named.",
        .check = weir_config_check_host_glob),
};
static const struct weir_config_section admin_section =
    WEIR_CONFIG_PART_TABLE(admin_fields, SERVER, admin, "Who may ask about the node's inside.");

static const struct weir_config_field certificate_fields[] = {
    WEIR_CONFIG_VALUE(TEXT, CERT, cert_file, "cert_file", NULL, "The certificate and its chain.", .required = true),
    WEIR_CONFIG_VALUE(TEXT, CERT, key_file, "key_file", NULL, "Its private key.", .required = true),
};
static const struct weir_config_section certificate_section =
    WEIR_CONFIG_TABLE(certificate_fields, CERT, "One certificate; which one is shown is chosen by SNI.");

static const char *const client_certs_choices[] = {"off", "optional", "required", NULL};
static const char *const tls_choices[] = {"1.2", "1.3", NULL};
static const struct weir_config_field server_tls_fields[] = {
    {.key = "certificates",
     .type = WEIR_CONFIG_LIST,
     WEIR_CONFIG_PART_AT(SERVER, tls, certificates),
     .section = &certificate_section,
     .doc = "The certificates; with any, the listeners speak TLS."},
    WEIR_CONFIG_PART(TEXT, SERVER, tls, client_ca_file, "client_ca_file", NULL, "Who signs clients' certificates."),
    WEIR_CONFIG_PART(CHOICE, SERVER, tls, client_certificates, "client_certificates", "off",
                     "Ask clients for a certificate.", .choices = client_certs_choices),
    WEIR_CONFIG_PART(CHOICE, SERVER, tls, min_version, "min_version", "1.2", "The lowest TLS version.",
                     .choices = tls_choices),
};
static const struct weir_config_section server_tls_section =
    WEIR_CONFIG_PART_TABLE(server_tls_fields, SERVER, tls, "TLS towards clients.");

static const struct weir_config_field server_http2_fields[] = {
    WEIR_CONFIG_PART(BOOL, SERVER, http2, enabled, "enabled", "true",
                     "Speak HTTP/2 with clients (ALPN, or prior knowledge)."),
    WEIR_CONFIG_PART(COUNT, SERVER, http2, max_concurrent_streams, "max_concurrent_streams", "100",
                     "Streams a client may have open.", WEIR_CONFIG_RANGE(1, 10000)),
    WEIR_CONFIG_PART(BYTES, SERVER, http2, stream_window_bytes, "stream_window", "256KB",
                     "The flow control window of a stream; a connection's is four times that.",
                     WEIR_CONFIG_RANGE(65535, 2147483647)),
    WEIR_CONFIG_PART(COUNT, SERVER, http2, resets_per_second_max, "resets_per_second_max", "100",
                     "A client that resets streams faster is cut off.", WEIR_CONFIG_RANGE(1, 1000000)),
};
static const struct weir_config_section server_http2_section =
    WEIR_CONFIG_PART_TABLE(server_http2_fields, SERVER, http2, "HTTP/2 towards clients.");

static const struct weir_config_field server_fields[] = {
    WEIR_CONFIG_VALUE(LISTENS, SERVER, listen, "listen", "127.0.0.1:8000",
                      "Where clients connect: `address:port`, a list of them, or of mappings with `address` and "
                      "`proxy_protocol`. Port 0: the kernel chooses."),
    WEIR_CONFIG_VALUE(COUNT, SERVER, workers, "workers", "0", "Worker threads; 0: one per core.",
                      WEIR_CONFIG_RANGE(0, 1024)),
    WEIR_CONFIG_VALUE(COUNT, SERVER, max_connections, "max_connections", "10000",
                      "Clients connected at once; further ones wait to be accepted.",
                      WEIR_CONFIG_RANGE(1, CONNECTIONS_MAX)),
    WEIR_CONFIG_VALUE(BYTES, SERVER, head_bytes_max, "head_bytes_max", "16KB", "A longer request head gets 431.",
                      WEIR_CONFIG_RANGE(1024, 1048576)),
    WEIR_CONFIG_VALUE(COUNT, SERVER, headers_max, "headers_max", "100", "More header fields get 431.",
                      WEIR_CONFIG_RANGE(1, 10000)),
    WEIR_CONFIG_VALUE(BYTES, SERVER, body_bytes_max, "body_bytes_max", "64MB",
                      "A longer request body gets 413; 0: no limit.", WEIR_CONFIG_RANGE(0, 1099511627776)),
    WEIR_CONFIG_VALUE(
        BYTES, SERVER, memory_limit_bytes, "memory_limit", "0",
        "Memory that the node should stay below: `/health` and `weirctl doctor` measure it against this, and "
        "nothing is refused for it. 0, or more than that: the control group's limit, else the machine's memory.",
        WEIR_CONFIG_RANGE(0, 1099511627776)),
    WEIR_CONFIG_VALUE(DURATION, SERVER, header_timeout_ms, "header_timeout", "10",
                      "A request head must be complete within this from its first byte, else 408.", WAIT),
    WEIR_CONFIG_VALUE(DURATION, SERVER, idle_timeout_ms, "idle_timeout", "75",
                      "A client that sends nothing for this long is let go: between requests, or in a body (408).",
                      WAIT),
    WEIR_CONFIG_VALUE(DURATION, SERVER, write_timeout_ms, "write_timeout", "60",
                      "A client that acknowledges no byte for this long is let go.", WAIT),
    WEIR_CONFIG_VALUE(DURATION, SERVER, drain_delay_ms, "drain_delay", "0",
                      "At SIGTERM, accept for this long after `/health/ready` has turned 503.",
                      WEIR_CONFIG_RANGE(0, 3600)),
    WEIR_CONFIG_VALUE(DURATION, SERVER, drain_timeout_ms, "drain_timeout", "30",
                      "At SIGTERM, requests in flight may take this long to finish.", WEIR_CONFIG_RANGE(0, 86400)),
    WEIR_CONFIG_VALUE(BOOL, SERVER, proxy_protocol, "proxy_protocol", "false",
                      "Connections must begin with a PROXY protocol header, v1 or v2; a listener may say otherwise."),
    WEIR_CONFIG_VALUE(NETS, SERVER, trusted_proxies, "trusted_proxies", "",
                      "Networks whose X-Forwarded-For and PROXY headers name the client."),
    WEIR_CONFIG_NEST(SERVER, admin, "admin", admin_section, "The admin paths."),
    WEIR_CONFIG_NEST(SERVER, tls, "tls", server_tls_section, "TLS towards clients.", WEIR_CONFIG_NEEDS(TLS_SERVER)),
    WEIR_CONFIG_NEST(SERVER, http2, "http2", server_http2_section, "HTTP/2 towards clients.",
                     WEIR_CONFIG_NEEDS(HTTP2_SERVER)),
};
const struct weir_config_section weir_config_section_server =
    WEIR_CONFIG_TABLE(server_fields, SERVER, "The side that clients see.");

static const struct weir_config_field route_header_fields[] = {
    WEIR_CONFIG_VALUE(TEXT, ROUTE, header_name, "name", NULL, "The header's name.", .required = true,
                      .check = weir_config_check_field_name),
    WEIR_CONFIG_VALUE(TEXT, ROUTE, header_value, "value", NULL, "Its value; none: any."),
};
static const struct weir_config_section route_header_section =
    WEIR_CONFIG_TABLE(route_header_fields, ROUTE, "A header the request must have.");

static const struct weir_config_field route_fields[] = {
    WEIR_CONFIG_VALUE(TEXT, ROUTE, path_prefix, "path_prefix", NULL,
                      "The path begins with this, in whole segments: `/v1` takes `/v1/models`, not `/v10`.",
                      .check = weir_config_check_path),
    WEIR_CONFIG_VALUE(TEXT, ROUTE, host, "host", NULL, "The Host is this; `*.example.org` takes any label before it.",
                      .check = weir_config_check_host_glob),
    {.key = "header",
     .type = WEIR_CONFIG_SECTION,
     .size = sizeof(ROUTE),
     .section = &route_header_section,
     .doc = "The request has this header."},
    WEIR_CONFIG_VALUE(TEXT, ROUTE, model, "model", NULL, "The request's model matches this glob.",
                      WEIR_CONFIG_NEEDS(MODEL_ROUTES)),
    WEIR_CONFIG_VALUE(TEXT, ROUTE, provider_name, "provider", NULL, "Where such requests go.", .required = true),
    WEIR_CONFIG_VALUE(BOOL, ROUTE, strip_prefix, "strip_prefix", "false", "Take `path_prefix` off before sending."),
};
const struct weir_config_section weir_config_section_route = WEIR_CONFIG_TABLE_LINED(
    route_fields, ROUTE,
    "Which provider a request goes to: the first that matches. Without routes and with one provider "
    "everything goes to it; "
    "with several, `/NAME/...` goes to NAME, the prefix taken off.");

static const struct weir_config_field auth_key_fields[] = {
    WEIR_CONFIG_VALUE(TEXT, KEY, name, "name", NULL, "Whose key it is, for the logs.", .required = true,
                      .check = weir_config_check_name),
    WEIR_CONFIG_VALUE(SECRET, KEY, key, "key", NULL, "The key.", .twin = offsetof(KEY, key_file),
                      .check = weir_config_check_field_value),
    WEIR_CONFIG_VALUE(SECRET_FILE, KEY, key_file, "key_file", NULL, "The file that holds `key`.",
                      .twin = offsetof(KEY, key), .check = weir_config_check_field_value),
};
static const struct weir_config_section auth_key_section = WEIR_CONFIG_TABLE(auth_key_fields, KEY, "One client's key.");

static const struct weir_config_field auth_fields[] = {
    {.key = "keys",
     .type = WEIR_CONFIG_LIST,
     .offset = offsetof(CONFIG, auth.keys) - offsetof(CONFIG, auth),
     .size = sizeof(struct weir_config_list),
     .section = &auth_key_section,
     .doc = "Keys that clients may show."},
};
const struct weir_config_section weir_config_section_auth =
    WEIR_CONFIG_PART_TABLE(auth_fields, CONFIG, auth, "Who may send requests.");

static const char *const level_choices[] = {"debug", "info", "warning", "error", NULL};
static const char *const format_choices[] = {"json", "logfmt", NULL};
static const struct weir_config_field logging_fields[] = {
    WEIR_CONFIG_PART(CHOICE, CONFIG, logging, level, "level", "info", "The least that is logged.",
                     .choices = level_choices),
    WEIR_CONFIG_PART(CHOICE, CONFIG, logging, format, "format", "json", "One JSON object a line, or key=value pairs.",
                     .choices = format_choices),
    WEIR_CONFIG_PART(BOOL, CONFIG, logging, access, "access", "true", "A line for each request."),
};
const struct weir_config_section weir_config_section_logging =
    WEIR_CONFIG_PART_TABLE(logging_fields, CONFIG, logging, "The log, on standard error.");

static const struct weir_config_field required_tls_fields[] = {
    WEIR_CONFIG_PART(BOOL, CONFIG, tls, required, "required", "false",
                     "A provider outside loopback on plain http:// is an error."),
};
const struct weir_config_section weir_config_section_required_tls =
    WEIR_CONFIG_PART_TABLE(required_tls_fields, CONFIG, tls, "Rules for all of TLS.");

static const struct weir_config_field compression_fields[] = {
    WEIR_CONFIG_PART(BOOL, CONFIG, compression, downstream, "downstream", "false",
                     "Compress JSON and text that came uncompressed, for clients that ask.",
                     WEIR_CONFIG_NEEDS(COMPRESSION), .quiet = "false"),
    WEIR_CONFIG_PART(
        BOOL, CONFIG, compression, event_streams, "event_streams", "false",
        "Compress event streams too, flushed after each event: each stream then holds 70 KB (gzip) or 97 KB (zstd).",
        WEIR_CONFIG_NEEDS(COMPRESSION), .quiet = "false"),
};
const struct weir_config_section weir_config_section_compression =
    WEIR_CONFIG_PART_TABLE(compression_fields, CONFIG, compression, "Compression by weir itself.");

static const struct weir_config_field tracing_fields[] = {
    WEIR_CONFIG_PART(SECRET_URL, CONFIG, tracing, endpoint, "endpoint", NULL,
                     "The OpenTelemetry collector that spans are sent to, by OTLP over HTTP as JSON: "
                     "`http://collector:4318/v1/traces`. None: nothing is traced.",
                     .check = weir_config_check_http_url),
    WEIR_CONFIG_PART(NUMBER, CONFIG, tracing, sample, "sample", "0.01",
                     "The share of traces that begin here and are recorded.", WEIR_CONFIG_RANGE(0, 1)),
    WEIR_CONFIG_PART(TEXT, CONFIG, tracing, service_name, "service_name", "weir", "`service.name` of the spans."),
    WEIR_CONFIG_PART(
        BOOL, CONFIG, tracing, follow_client, "follow_client", "true",
        "Go on with the trace in a client's `traceparent`, recorded if that says so. False: begin one, so that no "
        "client decides what is recorded."),
};
const struct weir_config_section weir_config_section_tracing =
    WEIR_CONFIG_PART_TABLE(tracing_fields, CONFIG, tracing, "Traces of requests and their tries.");

static const struct weir_config_field dns_fields[] = {
    WEIR_CONFIG_PART(TEXTS, CONFIG, dns, servers, "servers", "",
                     "Resolvers to ask, `address:port` each; none: the system's.",
                     .check = weir_config_check_address_port),
    WEIR_CONFIG_PART(DURATION, CONFIG, dns, refresh_ms, "refresh", "30",
                     "Names are resolved anew when their answers' time to live is over, and after this at the latest.",
                     WEIR_CONFIG_RANGE(0.1, 86400)),
};
const struct weir_config_section weir_config_section_dns =
    WEIR_CONFIG_PART_TABLE(dns_fields, CONFIG, dns, "How providers' names are resolved.");
