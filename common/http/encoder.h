/* Codes a body with a content coding (gzip by zlib, zstd where that was built in) on its way to an exchange, within the
 * room that the exchange has: what does not fit waits here until the exchange has room again.
 *
 * What one costs, from new to free: gzip 70 KB (a window of 8 KB, zlib's memLevel 6: 10 % larger output than with the
 * four times of memory that zlib takes by default), zstd 97 KB (the same window); less for a short body of known
 * length. On top of that, while the receiver is slow, at most WEIR_ENCODER_WAITING_MAX. */
#ifndef WEIR_HTTP_ENCODER_H
#define WEIR_HTTP_ENCODER_H

#include "core/accept_encoding.h"
#include "http/exchange.h"

/* Bytes to be coded that may be on their way at once (weir_encoder_credit). */
#define WEIR_ENCODER_CREDIT_MAX ((size_t)16384)
/* The most that ever waits: what a coder holds back (16 KB), and what becomes of that many bytes when they do not
 * shrink (an eighth more, for zlib with a small memLevel). */
#define WEIR_ENCODER_WAITING_MAX ((size_t)40960)

struct weir_encoder;

/* The codings that can be had, a bit each; IDENTITY is none of them. */
unsigned weir_encoder_built(void);

/* length: of the whole body, negative when it is not known. NULL: out of memory. The coding must be built. */
struct weir_encoder *weir_encoder_new(enum weir_coding c, int64_t length);
/* Frees and nulls; NULL inside is fine. */
void weir_encoder_free(struct weir_encoder **e);

/* Takes all n bytes. flush: everything taken so far can be decoded from what goes out. Errors: WEIR_ENOMEM, WEIR_ELIMIT
 * (more was pushed than credit was given for); the body is lost then. */
WEIR_MUST_USE int weir_encoder_push(struct weir_encoder *e, struct weir_exchange *to, const uint8_t *p, size_t n,
                                    bool flush);
/* The body is complete. When nothing waits any more the caller ends the exchange. Errors: as push. */
WEIR_MUST_USE int weir_encoder_end(struct weir_encoder *e, struct weir_exchange *to);
/* The exchange has room. */
void weir_encoder_room(struct weir_encoder *e, struct weir_exchange *to);
/* Bytes that wait for room. */
size_t weir_encoder_waiting(const struct weir_encoder *e);
/* Bytes to be coded that may be asked for, those that are already on their way included: none while something waits. */
size_t weir_encoder_credit(const struct weir_encoder *e, const struct weir_exchange *to);
/* Bytes handed to the exchange so far. */
uint64_t weir_encoder_sent(const struct weir_encoder *e);

#endif
