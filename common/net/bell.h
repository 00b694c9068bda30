/* A bell: any thread may ring it, and its owner is called once on its own thread, however often it was rung until then.
 * What has to be seen to the ringer has written elsewhere before; the owner looks at all of it. */
#ifndef WEIR_NET_BELL_H
#define WEIR_NET_BELL_H

#include "net/mailbox.h"

struct weir_bell {
    struct weir_message message; /* first */
    struct weir_mailbox *mailbox;
    _Atomic bool rung;
    void (*answer)(struct weir_bell *b);
};

/* answer: on the thread of the mailbox, which has to outlive the last ring. */
void weir_bell_init(struct weir_bell *b, struct weir_mailbox *mailbox, void (*answer)(struct weir_bell *b));
/* Any thread. Costs a load while it is rung already. */
void weir_bell_ring(struct weir_bell *b);

#endif
