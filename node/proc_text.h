/* What the kernel says in its small files (/proc, /sys), as text. */
#ifndef WEIR_NODE_PROC_TEXT_H
#define WEIR_NODE_PROC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The start of the file, ended by '\0'; cap is at least 1. False when it cannot be read. */
bool weir_proc_text(const char *path, char *buf, size_t cap);

#endif
