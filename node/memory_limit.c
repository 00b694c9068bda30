#include "node/memory_limit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/proc_text.h"

/* Longer paths are passed over: a group nested so deep has a limit above it that is read. */
#define PATH_BYTES_MAX 1024
/* Of /proc/self/cgroup: a line for each hierarchy, about a dozen. */
#define GROUPS_BYTES_MAX 4096

struct hierarchy {
    const char *mount, *file;
};

static const struct hierarchy unified = {"/sys/fs/cgroup", "memory.max"},
                              version_1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes"};

/* "max", which is no limit, reads as none, like a file that is not there. */
static uint64_t limit_at(const char *root, const struct hierarchy *h, const char *group, size_t len)
{
    char path[PATH_BYTES_MAX], text[64];
    int n = snprintf(path, sizeof path, "%s%s%.*s/%s", root, h->mount, (int)len, group, h->file);
    if (n < 0 || (size_t)n >= sizeof path || !weir_proc_text(path, text, sizeof text))
        return 0;
    return text[0] >= '0' && text[0] <= '9' ? strtoull(text, NULL, 10) : 0;
}

/* The group, and each above it up to the root of what is mounted: in a container that is the container's own. */
static uint64_t least_upwards(const char *root, const struct hierarchy *h, const char *group)
{
    uint64_t least = limit_at(root, h, "", 0);
    for (size_t len = strlen(group); len > 1;) {
        least = weir_memory_lesser(least, limit_at(root, h, group, len));
        while (len > 0 && group[--len] != '/')
            ;
    }
    return least;
}

/* Whether memory is one of the controllers, which are parted by commas. */
static bool has_memory(const char *controllers)
{
    static const char name[] = "memory";
    const char *at = strstr(controllers, name);
    char behind = at != NULL ? at[sizeof name - 1] : 'x';
    return at != NULL && (at == controllers || at[-1] == ',') && (behind == '\0' || behind == ',');
}

/* A line is ID:CONTROLLERS:PATH; of version 2 there are no controllers. */
static uint64_t limit_of_line(const char *root, char *line)
{
    char *controllers = strchr(line, ':'), *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL)
        return 0;
    controllers++;
    *group++ = '\0';
    if (*controllers == '\0')
        return least_upwards(root, &unified, group);
    return has_memory(controllers) ? least_upwards(root, &version_1, group) : 0;
}

uint64_t weir_memory_limit(const char *root, uint64_t machine_bytes)
{
    char path[PATH_BYTES_MAX], groups[GROUPS_BYTES_MAX], *rest = NULL;
    uint64_t least = machine_bytes;
    int n = snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (n < 0 || (size_t)n >= sizeof path || !weir_proc_text(path, groups, sizeof groups))
        return least;
    for (char *line = strtok_r(groups, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        least = weir_memory_lesser(least, limit_of_line(root, line));
    return least;
}
