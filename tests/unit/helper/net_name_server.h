/* A name server of the test's own, on the test's own loop, over UDP on the loopback. */
#ifndef WEIR_TESTS_HELPER_NET_NAME_SERVER_H
#define WEIR_TESTS_HELPER_NET_NAME_SERVER_H

#include "net/addr.h"
#include "net/reactor.h"

#define NAME_RECORDS_MAX 3

struct name_record {
    uint8_t last; /* of 192.0.2.x */
    uint16_t ttl_s;
};

/* Each question for A is answered with all records, in their order; any other with "no such record". A name that begins
 * with "alias" is one of "real.test" first, which is so for 5 s; one that begins with "gone" does not exist. */
struct name_server {
    struct weir_source source;
    struct weir_reactor *r; /* NULL unless it is open */
    char address[WEIR_ADDR_TEXT_MAX];
    int asked, asked_a; /* questions that came, whether answered or not */
    /* The test's to set, at any time. */
    struct name_record records[NAME_RECORDS_MAX];
    size_t count;
    bool silent;   /* answers nothing */
    bool all_gone; /* no name exists */
};

/* Begins to serve, without records. Fails the test when it cannot. */
void name_server_open(struct name_server *s, struct weir_reactor *r);

/* Does nothing to one that is all zero. */
void name_server_close(struct name_server *s);

#endif
