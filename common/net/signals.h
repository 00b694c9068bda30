/* The signals that every program of ours obeys: SIGTERM and SIGINT end it, SIGHUP reloads its configuration. libuv
 * tells of them on the reactor's loop, one callback after another, so that a handler may do whatever the loop's thread
 * may. */
#ifndef WEIR_NET_SIGNALS_H
#define WEIR_NET_SIGNALS_H

#include <uv.h>

#include "net/reactor.h"

struct weir_signals {
    uv_signal_t terminate, interrupt, hangup;
};

/* From now until close: calls with handle->data == data. The memory is the caller's, until the loop has closed. */
void weir_signals_init(struct weir_signals *s, struct weir_reactor *r, uv_signal_cb end, uv_signal_cb reload,
                       void *data);
/* The handles are gone when the loop has run once more, as weir_reactor_close lets it. */
void weir_signals_close(struct weir_signals *s);

#endif
