/* One accepted connection of the mock: codec events in, requests out; and closing it on purpose. */
#ifndef WEIR_MOCK_CONNECTION_H
#define WEIR_MOCK_CONNECTION_H

#include "mock/worker.h"

struct mock_connection {
    struct weir_list link;
    struct weir_http_conn http;
    struct weir_stream *starting; /* NULL once http has it */
    struct mock_worker *worker;
    struct weir_deadline idle;
    struct weir_list requests; /* mock_request.link */
    char id[24];
    size_t id_len;
    bool control;      /* by the control listener: not counted */
    bool silent_close; /* the answer under way is to be followed by a close */
    bool dead;
};

/* Takes an accepted descriptor in every case: on failure it is closed. */
void mock_connection_new(struct mock_worker *w, int fd, bool control);
/* Ends it now, with every request on it. No callback follows. */
void mock_connection_kill(struct mock_connection *c, bool reset);
/* Puts out what has been gathered. False: the connection died of it. */
bool mock_connection_flush(struct mock_connection *c);
/* Frees what is on the list of closed ones. */
void mock_connections_free(struct mock_worker *w);

#endif
