/* Who a node is in its cluster when nobody says so, and what it calls what happens there. */
#include <string.h>

#include "check_main.h"
#include "node/cluster.h"

static void id_is(const char *host, const char *address, const char *want)
{
    char id[WEIR_NODE_ID_MAX + 1];
    weir_cluster_default_id(id, host, address);
    ck_assert_str_eq(id, want);
    ck_assert(weir_coord_id_valid(weir_str_of(id)));
}

START_TEST(test_an_id_from_host_and_port)
{
    id_is("web-1", "0.0.0.0:8000", "web-1-8000");
    id_is("web.example.org", "[::]:80", "web.example.org-80");
    id_is("", "127.0.0.1:8000", "node-8000");
    id_is("a b/c\"d", "127.0.0.1:8000", "a-b-c-d-8000");
    id_is("w", "unix", "w-0");
}
END_TEST

START_TEST(test_a_long_name_leaves_room_for_the_port)
{
    char host[256], id[WEIR_NODE_ID_MAX + 1];
    memset(host, 'h', sizeof host - 1);
    host[sizeof host - 1] = '\0';
    weir_cluster_default_id(id, host, "127.0.0.1:65535");
    ck_assert(weir_coord_id_valid(weir_str_of(id)));
    ck_assert_str_eq(id + strlen(id) - 6, "-65535");
}
END_TEST

CHECK_MAIN("cluster_self", NULL, NULL, test_an_id_from_host_and_port, test_a_long_name_leaves_room_for_the_port)
