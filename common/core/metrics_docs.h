/* The reference page of a node's metrics, made from the tables that the metrics themselves are made from. Pure. */
#ifndef WEIR_CORE_METRICS_DOCS_H
#define WEIR_CORE_METRICS_DOCS_H

#include "core/textbuf.h"

/* Markdown: the guide's names, then weir's own by what they are of. Whether it fitted is out->failed. */
void weir_metrics_print_docs(struct weir_textbuf *out);

#endif
