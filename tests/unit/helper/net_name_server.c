#include "helper/net_name_server.h"

#include <check.h>
#include <string.h>
#include <unistd.h>

#define HEAD_BYTES 12 /* of a message (RFC 1035, 4.1.1); the first name follows it */

static size_t append(uint8_t *a, size_t end, const uint8_t *record, size_t n)
{
    memcpy(a + end, record, n);
    a[7]++; /* ANCOUNT */
    return end + n;
}

static size_t append_records(const struct name_server *s, const uint8_t *name, uint8_t *a, size_t end)
{
    uint8_t owner = HEAD_BYTES;
    if (memcmp(name + 1, "alias", 5) == 0) {
        static const uint8_t cname[23] = {0xc0, HEAD_BYTES, 0,   5,   0,   1,   0, 0,   0,   5,   0,
                                          11,   4,          'r', 'e', 'a', 'l', 4, 't', 'e', 's', 't'};
        owner = (uint8_t)(end + 12); /* where the record's data begin */
        end = append(a, end, cname, sizeof cname);
    }
    for (size_t i = 0; i < s->count; i++) {
        const struct name_record *at = &s->records[i];
        const uint8_t ttl[2] = {(uint8_t)(at->ttl_s >> 8), (uint8_t)at->ttl_s};
        const uint8_t record[16] = {0xc0, owner, 0, 1, 0, 1, 0, 0, ttl[0], ttl[1], 0, 4, 192, 0, 2, at->last};
        end = append(a, end, record, sizeof record);
    }
    return end;
}

static void run_server(struct weir_source *src)
{
    struct name_server *s = WEIR_CONTAINER(src, struct name_server, source);
    uint8_t q[512], a[1024];
    struct sockaddr_storage from;
    socklen_t from_len = sizeof from;
    for (ssize_t n;
         (n = recvfrom(src->fd, q, sizeof q, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len)) > HEAD_BYTES;) {
        const uint8_t *name = q + HEAD_BYTES;
        size_t end = HEAD_BYTES;
        while (q[end] != 0)
            end += 1 + q[end];
        bool is_a = q[end + 2] == 1;
        bool gone = s->all_gone || memcmp(name + 1, "gone", 4) == 0;
        s->asked++;
        s->asked_a += is_a;
        if (s->silent)
            continue;
        end += 5;
        memcpy(a, q, end);
        memset(a + 6, 0, 6); /* no answers, no additional records */
        a[2] = 0x81;
        a[3] = gone ? 0x83 : 0x80;
        if (is_a && !gone)
            end = append_records(s, name, a, end);
        ck_assert_int_eq(sendto(src->fd, a, end, 0, (struct sockaddr *)&from, from_len), (ssize_t)end);
    }
}

void name_server_open(struct name_server *s, struct weir_reactor *r)
{
    struct weir_addr addr;
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(s, 0, sizeof *s);
    ck_assert(weir_addr_literal(&addr, WEIR_STR("127.0.0.1"), 0));
    ck_assert_int_eq(bind(fd, &addr.sa, weir_addr_len(&addr)), 0);
    ck_assert_int_eq(getsockname(fd, &addr.sa, &len), 0);
    weir_source_init(&s->source, fd, run_server);
    ck_assert_int_eq(weir_poller_add(&r->poller, &s->source), WEIR_OK);
    weir_addr_text(&addr, s->address);
    s->r = r;
}

void name_server_close(struct name_server *s)
{
    if (s->r == NULL)
        return;
    weir_poller_forget(&s->r->poller, &s->source);
    close(s->source.fd);
    s->r = NULL;
}
