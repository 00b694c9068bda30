/* Answers, pushes and whole states of a coordination store as text, one line for each thing: to be compared. */
#ifndef WEIR_TESTS_STORE_HELPER_SHOW_H
#define WEIR_TESTS_STORE_HELPER_SHOW_H

#include "core/coord_impl.h"
#include "core/textbuf.h"

void show_reply(struct weir_textbuf *out, const struct weir_coord_reply *r);
void show_push(struct weir_textbuf *out, const struct weir_coord_push *p);
/* The fields as the scripts keep them: "KEY FIELD VALUE", lines sorted. */
void show_state(struct weir_textbuf *out, const struct weir_coord_state *s);
/* Sorts the lines of a text. */
void sort_lines(struct weir_textbuf *t);

#endif
