#include "node/proc_stats.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/metrics.h"
#include "node/memory_limit.h"
#include "node/proc_text.h"

static uint64_t resident_bytes(void)
{
    char buf[128];
    unsigned long long pages = 0;
    if (!weir_proc_text("/proc/self/statm", buf, sizeof buf) || sscanf(buf, "%*u %llu", &pages) != 1)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

static uint64_t fds_open(void)
{
    struct stat st;
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size; /* Linux 6.2 and later */
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return 0;
    uint64_t count = 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* the directory's own */
}

static uint64_t timeval_us(struct timeval tv)
{
    return (uint64_t)tv.tv_sec * 1000000 + (uint64_t)tv.tv_usec;
}

void weir_proc_stats_read(struct weir_proc_stats *out)
{
    struct rusage usage = {0};
    struct rlimit limit = {0};
    getrusage(RUSAGE_SELF, &usage);
    getrlimit(RLIMIT_NOFILE, &limit);
    *out = (struct weir_proc_stats){
        .resident_bytes = resident_bytes(),
        .memory_limit_bytes = weir_memory_limit("", machine_memory()),
        .fds_open = fds_open(),
        .fds_limit = limit.rlim_cur == RLIM_INFINITY ? 0 : (uint64_t)limit.rlim_cur,
        .cpu_us = timeval_us(usage.ru_utime) + timeval_us(usage.ru_stime),
    };
}

void weir_proc_stats_to_gauges(uint64_t *gauges, const struct weir_proc_stats *stats)
{
    gauges[WEIR_NG_RESIDENT] = stats->resident_bytes;
    gauges[WEIR_NG_MEMORY_LIMIT] = stats->memory_limit_bytes;
    gauges[WEIR_NG_FDS_OPEN] = stats->fds_open;
    gauges[WEIR_NG_FDS_LIMIT] = stats->fds_limit;
    gauges[WEIR_NG_CPU_US] = stats->cpu_us;
}
