#include "net/signals.h"

#include <signal.h>

static void watch(uv_signal_t *handle, struct weir_reactor *r, uv_signal_cb cb, int number, void *data)
{
    uv_signal_init(&r->loop, handle);
    handle->data = data;
    uv_signal_start(handle, cb, number);
}

void weir_signals_init(struct weir_signals *s, struct weir_reactor *r, uv_signal_cb end, uv_signal_cb reload,
                       void *data)
{
    watch(&s->terminate, r, end, SIGTERM, data);
    watch(&s->interrupt, r, end, SIGINT, data);
    watch(&s->hangup, r, reload, SIGHUP, data);
}

void weir_signals_close(struct weir_signals *s)
{
    uv_close((uv_handle_t *)&s->terminate, NULL);
    uv_close((uv_handle_t *)&s->interrupt, NULL);
    uv_close((uv_handle_t *)&s->hangup, NULL);
}
