#include <stdlib.h>

#include "http/h1.h"

/* The most that framing, Connection and line ends add to a head: "content-length: " and 20 digits, and the like. */
#define HEAD_OVERHEAD 160
/* A chunk's size line and line end. */
#define CHUNK_OVERHEAD 20

static struct weir_str reason_of(unsigned status)
{
    switch (status) {
#define REASON(code, text) \
    case code:             \
        return WEIR_STR(text);
        REASON(100, "Continue")
        REASON(102, "Processing")
        REASON(103, "Early Hints")
        REASON(200, "OK")
        REASON(201, "Created")
        REASON(202, "Accepted")
        REASON(203, "Non-Authoritative Information")
        REASON(204, "No Content")
        REASON(205, "Reset Content")
        REASON(206, "Partial Content")
        REASON(207, "Multi-Status")
        REASON(208, "Already Reported")
        REASON(226, "IM Used")
        REASON(300, "Multiple Choices")
        REASON(301, "Moved Permanently")
        REASON(302, "Found")
        REASON(303, "See Other")
        REASON(304, "Not Modified")
        REASON(305, "Use Proxy")
        REASON(307, "Temporary Redirect")
        REASON(308, "Permanent Redirect")
        REASON(400, "Bad Request")
        REASON(401, "Unauthorized")
        REASON(402, "Payment Required")
        REASON(403, "Forbidden")
        REASON(404, "Not Found")
        REASON(405, "Method Not Allowed")
        REASON(406, "Not Acceptable")
        REASON(407, "Proxy Authentication Required")
        REASON(408, "Request Timeout")
        REASON(409, "Conflict")
        REASON(410, "Gone")
        REASON(411, "Length Required")
        REASON(412, "Precondition Failed")
        REASON(413, "Content Too Large")
        REASON(414, "URI Too Long")
        REASON(415, "Unsupported Media Type")
        REASON(416, "Range Not Satisfiable")
        REASON(417, "Expectation Failed")
        REASON(421, "Misdirected Request")
        REASON(422, "Unprocessable Content")
        REASON(423, "Locked")
        REASON(424, "Failed Dependency")
        REASON(425, "Too Early")
        REASON(426, "Upgrade Required")
        REASON(428, "Precondition Required")
        REASON(429, "Too Many Requests")
        REASON(431, "Request Header Fields Too Large")
        REASON(451, "Unavailable For Legal Reasons")
        REASON(500, "Internal Server Error")
        REASON(501, "Not Implemented")
        REASON(502, "Bad Gateway")
        REASON(503, "Service Unavailable")
        REASON(504, "Gateway Timeout")
        REASON(505, "HTTP Version Not Supported")
        REASON(506, "Variant Also Negotiates")
        REASON(507, "Insufficient Storage")
        REASON(508, "Loop Detected")
        REASON(511, "Network Authentication Required")
        REASON(529, "Site Overloaded")
#undef REASON
    default:
        return WEIR_STR("Unknown");
    }
}

static char *put(char *at, struct weir_str s)
{
    memcpy(at, s.ptr, s.len);
    return at + s.len;
}

#define PUT(at, literal) put(at, WEIR_STR(literal))

static char *put_number(char *at, uint64_t n)
{
    char digits[20];
    size_t i = sizeof digits;
    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return put(at, (struct weir_str){digits + i, sizeof digits - i});
}

/* What the codec writes itself, or keeps to its own connection. */
static bool ours(enum weir_field_id id)
{
    switch (id) {
    case WEIR_FIELD_CONNECTION:
    case WEIR_FIELD_CONTENT_LENGTH:
    case WEIR_FIELD_HOST:
    case WEIR_FIELD_KEEP_ALIVE:
    case WEIR_FIELD_TRANSFER_ENCODING:
    case WEIR_FIELD_UPGRADE:
        return true;
    default:
        return false;
    }
}

static size_t fields_size(const struct weir_fields *fields)
{
    size_t n = 0;
    for (size_t i = 0; i < fields->count; i++)
        n += fields->at[i].name.len + fields->at[i].value.len + 4;
    return n;
}

static char *put_fields(char *at, const struct weir_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct weir_field *field = &fields->at[i];
        if (ours(field->id))
            continue;
        at = put(at, field->name);
        at = PUT(at, ": ");
        if (field->value.len > 0)
            at = put(at, field->value);
        at = PUT(at, "\r\n");
    }
    return at;
}

/* Room for n bytes of text: in the outbox, or, where that is too small, on the heap. */
struct room {
    char *at, *heap;
};

static bool room_open(struct weir_h1 *h, struct room *room, size_t n)
{
    room->heap = NULL;
    room->at = n <= WEIR_STREAM_BACKLOG_MAX ? weir_outbox_reserve(h->codec.out, n) : NULL;
    if (room->at == NULL)
        room->at = room->heap = malloc(n);
    return room->at != NULL;
}

static void room_close(struct weir_h1 *h, struct room *room, const char *end)
{
    size_t n = (size_t)(end - room->at);
    if (room->heap == NULL) {
        weir_outbox_commit(h->codec.out, n);
        return;
    }
    weir_outbox_copy(h->codec.out, room->heap, n);
    free(room->heap);
}

/* A head that cannot be written takes what follows with it; the exchange is told once its user is off the stack. */
static void give_up(struct weir_h1 *h)
{
    h->keep_alive = false;
    h->send_framing = WEIR_H1_NONE;
    h->broken = true;
    weir_h1_kick(h);
}

static char *put_framing(struct weir_h1 *h, char *at)
{
    if (h->send_framing == WEIR_H1_CHUNKED)
        return PUT(at, "transfer-encoding: chunked\r\n");
    at = PUT(at, "content-length: ");
    at = put_number(at, h->send_left);
    return PUT(at, "\r\n");
}

void weir_h1_write_request(struct weir_h1 *h, const struct weir_head *head, bool end)
{
    bool announced = head->content_length >= 0;
    bool framed = true;
    if (end) {
        /* a length is expected where the method gives a body a meaning (RFC 9110 8.6) */
        framed = announced || weir_str_eq(head->method, WEIR_STR("POST")) ||
                 weir_str_eq(head->method, WEIR_STR("PUT")) || weir_str_eq(head->method, WEIR_STR("PATCH"));
        h->send_framing = WEIR_H1_NONE;
        h->send_left = 0;
    } else {
        h->send_framing = announced ? WEIR_H1_LENGTH : WEIR_H1_CHUNKED;
        h->send_left = announced ? (uint64_t)head->content_length : 0;
    }
    struct room room;
    if (!room_open(h, &room,
                   head->method.len + head->target.len + head->authority.len + fields_size(&head->fields) +
                       HEAD_OVERHEAD)) {
        give_up(h);
        return;
    }
    char *at = put(room.at, head->method);
    at = PUT(at, " ");
    at = put(at, head->target);
    at = PUT(at, " HTTP/1.1\r\nhost: ");
    if (head->authority.len > 0)
        at = put(at, head->authority);
    at = PUT(at, "\r\n");
    at = put_fields(at, &head->fields);
    if (framed)
        at = put_framing(h, at);
    if (head->close)
        at = PUT(at, "connection: close\r\n");
    room_close(h, &room, PUT(at, "\r\n"));
}

static char *put_status(char *at, unsigned status)
{
    at = PUT(at, "HTTP/1.1 ");
    at = put_number(at, status);
    at = PUT(at, " ");
    at = put(at, reason_of(status));
    return PUT(at, "\r\n");
}

void weir_h1_write_interim(struct weir_h1 *h, const struct weir_head *head)
{
    struct room room;
    if (!room_open(h, &room, fields_size(&head->fields) + HEAD_OVERHEAD)) {
        give_up(h);
        return;
    }
    char *at = put_status(room.at, head->status);
    at = put_fields(at, &head->fields);
    room_close(h, &room, PUT(at, "\r\n"));
}

void weir_h1_write_response(struct weir_h1 *h, const struct weir_head *head, bool end, bool close)
{
    bool announced = head->content_length >= 0;
    bool bodiless = h->head_method || head->status == 304;
    bool framed = true;
    h->send_framing = WEIR_H1_NONE;
    h->send_left = announced && (bodiless || !end) ? (uint64_t)head->content_length : 0;
    if (head->status == 204)
        framed = false;
    else if (bodiless)
        framed = announced;
    else if (!end)
        h->send_framing = announced ? WEIR_H1_LENGTH : h->peer_10 ? WEIR_H1_UNTIL_CLOSE : WEIR_H1_CHUNKED;
    if (h->send_framing == WEIR_H1_UNTIL_CLOSE) {
        framed = false;
        close = true;
    }
    if (close)
        h->keep_alive = false;
    struct room room;
    if (!room_open(h, &room, fields_size(&head->fields) + HEAD_OVERHEAD)) {
        give_up(h);
        return;
    }
    char *at = put_status(room.at, head->status);
    at = put_fields(at, &head->fields);
    if (framed)
        at = put_framing(h, at);
    if (close)
        at = PUT(at, "connection: close\r\n");
    else if (h->peer_10)
        at = PUT(at, "connection: keep-alive\r\n");
    if (h->send_framing != WEIR_H1_LENGTH)
        h->send_left = 0;
    room_close(h, &room, PUT(at, "\r\n"));
}

/* Only what lies in the reactor's read buffer is known to stay until the flush. */
static bool can_lend(const struct weir_outbox *out, const void *p)
{
    const uint8_t *buffer = out->reactor->read_buffer;
    return buffer != NULL && (const uint8_t *)p >= buffer && (const uint8_t *)p < buffer + WEIR_READ_BUFFER_BYTES;
}

static void write_plain(struct weir_outbox *out, const void *p, size_t n)
{
    if (n < WEIR_OUTBOX_COPY_MAX || !can_lend(out, p)) {
        weir_outbox_copy(out, p, n);
        return;
    }
    weir_outbox_ref(out, p, n);
    out->reactor->read_buffer_lent = true;
}

static char *put_chunk_size(char *at, size_t n)
{
    char digits[2 * sizeof n];
    size_t i = sizeof digits;
    do {
        digits[--i] = "0123456789abcdef"[n % 16];
        n /= 16;
    } while (n > 0);
    at = put(at, (struct weir_str){digits + i, sizeof digits - i});
    return PUT(at, "\r\n");
}

static void write_chunk(struct weir_outbox *out, const void *p, size_t n)
{
    char *room = n < WEIR_OUTBOX_COPY_MAX ? weir_outbox_reserve(out, n + CHUNK_OVERHEAD) : NULL;
    if (room != NULL) {
        char *at = put_chunk_size(room, n);
        at = put(at, (struct weir_str){p, n});
        at = PUT(at, "\r\n");
        weir_outbox_commit(out, (size_t)(at - room));
        return;
    }
    char line[CHUNK_OVERHEAD];
    weir_outbox_copy(out, line, (size_t)(put_chunk_size(line, n) - line));
    write_plain(out, p, n);
    weir_outbox_copy(out, "\r\n", 2);
}

void weir_h1_write_body(struct weir_h1 *h, const void *p, size_t n)
{
    switch (h->send_framing) {
    case WEIR_H1_LENGTH:
        if (n > h->send_left) { /* more than was announced would be read as the next message */
            h->spoilt = true;
            n = (size_t)h->send_left;
        }
        h->send_left -= n;
        if (n > 0)
            write_plain(h->codec.out, p, n);
        break;
    case WEIR_H1_CHUNKED:
        write_chunk(h->codec.out, p, n);
        break;
    case WEIR_H1_UNTIL_CLOSE:
        write_plain(h->codec.out, p, n);
        break;
    default: /* the answer to a HEAD, or a 204 or 304 */
        break;
    }
}

void weir_h1_write_end(struct weir_h1 *h, const struct weir_fields *trailers)
{
    if (h->send_framing == WEIR_H1_LENGTH && h->send_left > 0)
        h->spoilt = true; /* the peer waits for the rest: only the end of the connection tells it */
    if (h->send_framing != WEIR_H1_CHUNKED)
        return;
    if (trailers == NULL || trailers->count == 0) {
        weir_outbox_copy(h->codec.out, "0\r\n\r\n", 5);
        return;
    }
    struct room room;
    if (!room_open(h, &room, fields_size(trailers) + CHUNK_OVERHEAD)) {
        give_up(h);
        return;
    }
    char *at = PUT(room.at, "0\r\n");
    at = put_fields(at, trailers);
    room_close(h, &room, PUT(at, "\r\n"));
}
