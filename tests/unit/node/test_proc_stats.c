#include "node/proc_stats.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check_main.h"
#include "core/metrics.h"

START_TEST(test_descriptors_are_counted)
{
    struct weir_proc_stats before, after;
    weir_proc_stats_read(&before);
    int fds[7];
    for (size_t i = 0; i < 7; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        ck_assert_int_ge(fds[i], 0);
    }
    weir_proc_stats_read(&after);
    ck_assert_uint_eq(after.fds_open, before.fds_open + 7);
    for (size_t i = 0; i < 7; i++)
        close(fds[i]);
    weir_proc_stats_read(&after);
    ck_assert_uint_eq(after.fds_open, before.fds_open); /* nothing of ours stays open */
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_uint_eq(after.fds_limit, limit.rlim_cur);
}
END_TEST

START_TEST(test_memory_is_seen)
{
    enum { BYTES = 64 << 20 };
    struct weir_proc_stats before, after;
    weir_proc_stats_read(&before);
    char *p = malloc(BYTES);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < BYTES; i += 1024)
        ((volatile char *)p)[i] = 1;
    weir_proc_stats_read(&after);
    free(p);
    ck_assert_uint_gt(before.resident_bytes, 0);
    ck_assert_uint_ge(after.resident_bytes, before.resident_bytes + BYTES / 2);
    ck_assert_uint_gt(after.memory_limit_bytes, BYTES);
}
END_TEST

START_TEST(test_cpu_grows)
{
    struct weir_proc_stats before, after;
    weir_proc_stats_read(&before);
    do {
        weir_proc_stats_read(&after); /* which itself takes CPU time */
    } while (after.cpu_us == before.cpu_us);
    ck_assert_uint_gt(after.cpu_us, before.cpu_us);
}
END_TEST

START_TEST(test_gauges)
{
    struct weir_proc_stats stats = {1, 2, 3, 4, 5};
    uint64_t gauges[WEIR_NG_COUNT];
    memset(gauges, 0xff, sizeof gauges);
    weir_proc_stats_to_gauges(gauges, &stats);
    ck_assert_uint_eq(gauges[WEIR_NG_RESIDENT], 1);
    ck_assert_uint_eq(gauges[WEIR_NG_MEMORY_LIMIT], 2);
    ck_assert_uint_eq(gauges[WEIR_NG_FDS_OPEN], 3);
    ck_assert_uint_eq(gauges[WEIR_NG_FDS_LIMIT], 4);
    ck_assert_uint_eq(gauges[WEIR_NG_CPU_US], 5);
    ck_assert_uint_eq(gauges[WEIR_NG_DRAINING], UINT64_MAX);
}
END_TEST

CHECK_MAIN("proc_stats", NULL, NULL, test_descriptors_are_counted, test_memory_is_seen, test_cpu_grows, test_gauges)
