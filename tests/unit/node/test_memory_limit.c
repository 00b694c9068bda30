#include "node/memory_limit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check_main.h"

#define MACHINE UINT64_C(9000)

static char root[64];

static void setup(void)
{
    snprintf(root, sizeof root, "%s", "/tmp/weir-groups-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static int take_away(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void teardown(void)
{
    ck_assert_int_eq(nftw(root, take_away, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* With the directories that lead there. */
static void put(const char *path, const char *text)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *slash = strchr(whole + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(whole, 0700);
        *slash = '/';
    }
    FILE *f = fopen(whole, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void is(uint64_t wanted)
{
    ck_assert_uint_eq(weir_memory_limit(root, MACHINE), wanted);
}

START_TEST(test_without_groups)
{
    is(MACHINE);
    ck_assert_uint_eq(weir_memory_limit(root, 0), 0);
}
END_TEST

START_TEST(test_a_service_has_the_least_of_all_above_it)
{
    put("/proc/self/cgroup", "0::/system.slice/weir.service\n");
    is(MACHINE);
    put("/sys/fs/cgroup/system.slice/weir.service/memory.max", "max\n");
    is(MACHINE);
    put("/sys/fs/cgroup/system.slice/memory.max", "5000\n");
    is(5000);
    put("/sys/fs/cgroup/system.slice/weir.service/memory.max", "4000\n");
    is(4000);
    put("/sys/fs/cgroup/system.slice/weir.service/memory.max", "8000\n");
    is(5000);
}
END_TEST

START_TEST(test_a_container_sees_its_group_as_the_root)
{
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "3000\n");
    is(3000);
    put("/proc/self/cgroup", "0::/as/the/host/calls/it\n");
    is(3000);
}
END_TEST

START_TEST(test_version_1)
{
    put("/proc/self/cgroup", "11:cpu,cpuacct:/a\n4:memory:/a/b\n2:memoryless:/c\n0::/\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "1\n");
    is(MACHINE);
    put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "7000\n");
    is(7000);
}
END_TEST

START_TEST(test_what_cannot_be_read_is_no_limit)
{
    put("/proc/self/cgroup", "nonsense\n0:\n:\n0::relative\n0::\n");
    is(MACHINE);
    put("/sys/fs/cgroup/memory.max", "-5\n");
    is(MACHINE);
    put("/sys/fs/cgroup/memory.max", "");
    is(MACHINE);
}
END_TEST

CHECK_MAIN("memory_limit", setup, teardown, test_without_groups, test_a_service_has_the_least_of_all_above_it,
           test_a_container_sees_its_group_as_the_root, test_version_1, test_what_cannot_be_read_is_no_limit)
