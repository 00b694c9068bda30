#include "net/bell.h"

static void hear(struct weir_message *m, void *receiver)
{
    struct weir_bell *b = (struct weir_bell *)m;
    (void)receiver;
    atomic_store(&b->rung, false); /* before looking: what comes after it rings again */
    b->answer(b);
}

void weir_bell_init(struct weir_bell *b, struct weir_mailbox *mailbox, void (*answer)(struct weir_bell *b))
{
    *b = (struct weir_bell){.message = {.handle = hear}, .mailbox = mailbox, .answer = answer};
}

void weir_bell_ring(struct weir_bell *b)
{
    if (!atomic_load(&b->rung) && !atomic_exchange(&b->rung, true))
        weir_mailbox_post(b->mailbox, &b->message);
}
