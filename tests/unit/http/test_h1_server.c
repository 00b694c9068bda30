/* HTTP/1.1 as a server hears it: what a request becomes, what is refused with which status and code, and what goes out.
 */
#include "check_main.h"
#include "helper_h1.h"

static struct h1 t;

static void setup(void)
{
    h1_open(&t, true);
}

static void teardown(void)
{
    h1_shut(&t);
}

#define OK_2 "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

START_TEST(test_get)
{
    h1_feed(
        &t,
        "GET /v1/models?x=1 HTTP/1.1\r\nHost: API.example:80\r\nX-Thing:  two words \r\nAccept-Encoding: br\r\n\r\n");
    h1_expect(&t,
              "busy\nhead GET /v1/models?x=1 @API.example:80 v11 x-thing=two words accept-encoding=br\nend\nidle\n");
    h1_expect_wrote(&t, OK_2);
}
END_TEST

START_TEST(test_post_with_length)
{
    h1_feed(&t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    h1_expect(&t, "busy\nhead POST / @a v11 length=5 body\nbody [hello]\nend\nidle\n");
    h1_expect_wrote(&t, OK_2);
}
END_TEST

CHECK_MAIN("h1_server", setup, teardown, test_get, test_post_with_length)
