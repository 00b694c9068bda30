#include "cli/query.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

bool ctl_query(char *out, size_t cap, const char *page, const char *value)
{
    size_t n = (size_t)snprintf(out, cap, "%s", page);
    for (; *value != '\0'; value++) {
        if (n + 4 > cap)
            return false;
        unsigned char c = (unsigned char)*value;
        if (isalnum(c) || strchr("-._~:/", c) != NULL)
            out[n++] = (char)c;
        else
            n += (size_t)snprintf(out + n, cap - n, "%%%02X", c);
    }
    out[n] = '\0';
    return true;
}
