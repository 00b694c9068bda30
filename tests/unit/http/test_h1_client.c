/* HTTP/1.1 as a client speaks it. */
#include "check_main.h"
#include "helper_h1.h"

static struct h1 t;

static void setup(void)
{
    h1_open(&t, false);
}

static void teardown(void)
{
    h1_shut(&t);
}

START_TEST(test_get)
{
    h1_request(&t, "GET", "/x", WEIR_LENGTH_UNKNOWN, true);
    h1_feed(&t, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello");
    h1_expect(&t, "head 200 v11 length=5 body content-type=text/plain\nbody [hello]\nend\nidle\n");
    h1_expect_wrote(&t, "GET /x HTTP/1.1\r\nhost: a\r\n\r\n");
}
END_TEST

CHECK_MAIN("h1_client", setup, teardown, test_get)
