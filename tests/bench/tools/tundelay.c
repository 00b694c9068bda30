/*
 * A wire of known length: joins two network namespaces by a pair of TUN devices and holds each packet for a while.
 *
 *     tundelay --ns-a PATH --ns-b PATH [--dev-a NAME] [--dev-b NAME] [--delay-ms 25]
 *
 * PATH is a namespace file such as /run/netns/NAME. The devices are made here and vanish with this process; giving
 * them addresses and setting them up is the caller's, after "ready" has been printed. Each packet leaves --delay-ms
 * after it came, in order: a round trip costs twice that. It stands in for netem where the kernel has none.
 */
#include "tool.h"
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

enum {
    PACKET_BYTES_MAX = 1600, /* an Ethernet-sized packet (the device's MTU is 1500) and some slack */
    /* Of one direction: 25 ms at 80,000 packets a second, ten times what the bench sends. When it is full the wire
     * stops reading and the kernel drops at the device, as a router would. */
    PACKETS_HELD_MAX = 2048,
    NS_PER_MS = 1000000,
};

struct packet {
    uint64_t due_ns;
    size_t len;
    unsigned char bytes[PACKET_BYTES_MAX];
};

/* One direction of the wire: a ring of packets, oldest first. All wait equally long, so the oldest is due first. */
struct lane {
    int from;
    int to;
    unsigned first;
    unsigned count;
    struct packet *ring;
};

static uint64_t delay_ns = 25ULL * NS_PER_MS;

static int open_tun(const char *ns_path, const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int ns = open(ns_path, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) != 0)
        tool_die("enter %s", ns_path);
    close(ns);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        tool_die("open /dev/net/tun");
    errno = 0;
    if (strlen(name) >= sizeof request.ifr_name)
        tool_die("device name too long: '%s'", name);
    memcpy(request.ifr_name, name, strlen(name) + 1);
    if (ioctl(fd, TUNSETIFF, &request) != 0)
        tool_die("make TUN device %s", name);
    return fd;
}

static struct lane new_lane(int from, int to)
{
    struct lane lane = {.from = from, .to = to, .ring = calloc(PACKETS_HELD_MAX, sizeof(struct packet))};
    if (lane.ring == NULL)
        tool_die("out of memory");
    return lane;
}

static void take_packets(struct lane *lane)
{
    while (lane->count < PACKETS_HELD_MAX) {
        struct packet *p = &lane->ring[(lane->first + lane->count) % PACKETS_HELD_MAX];
        ssize_t n = read(lane->from, p->bytes, sizeof p->bytes);
        if (n <= 0)
            return;
        p->len = (size_t)n;
        p->due_ns = tool_now_ns() + delay_ns;
        lane->count++;
    }
}

static void release_packets(struct lane *lane, uint64_t now_ns)
{
    while (lane->count > 0 && lane->ring[lane->first].due_ns <= now_ns) {
        const struct packet *p = &lane->ring[lane->first];
        /* A refused packet is a lost one: TCP on top of the wire knows what to do. */
        ssize_t n = write(lane->to, p->bytes, p->len);
        (void)n;
        lane->first = (lane->first + 1) % PACKETS_HELD_MAX;
        lane->count--;
    }
}

static uint64_t due_ns(const struct lane *lane)
{
    return lane->count == 0 ? UINT64_MAX : lane->ring[lane->first].due_ns;
}

static void run(struct lane *lanes)
{
    for (;;) {
        uint64_t now_ns = tool_now_ns();
        release_packets(&lanes[0], now_ns);
        release_packets(&lanes[1], now_ns);
        uint64_t due = due_ns(&lanes[0]) < due_ns(&lanes[1]) ? due_ns(&lanes[0]) : due_ns(&lanes[1]);
        now_ns = tool_now_ns();
        uint64_t wait_ns = due <= now_ns ? 0 : due - now_ns;
        struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000U), .tv_nsec = (long)(wait_ns % 1000000000U)};
        struct pollfd fds[2];
        for (int i = 0; i < 2; i++)
            fds[i] = (struct pollfd){.fd = lanes[i].from, .events = lanes[i].count < PACKETS_HELD_MAX ? POLLIN : 0};
        if (ppoll(fds, 2, due == UINT64_MAX ? NULL : &wait, NULL) < 0 && errno != EINTR)
            tool_die("ppoll");
        take_packets(&lanes[0]);
        take_packets(&lanes[1]);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"ns-a", required_argument, NULL, 'a'},     {"ns-b", required_argument, NULL, 'b'},
        {"dev-a", required_argument, NULL, 'A'},    {"dev-b", required_argument, NULL, 'B'},
        {"delay-ms", required_argument, NULL, 'd'}, {NULL, 0, NULL, 0},
    };
    const char *ns_a = NULL, *ns_b = NULL, *dev_a = "weir-near", *dev_b = "weir-far";
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'a')
            ns_a = optarg;
        else if (option == 'b')
            ns_b = optarg;
        else if (option == 'A')
            dev_a = optarg;
        else if (option == 'B')
            dev_b = optarg;
        else if (option == 'd')
            delay_ns = (uint64_t)tool_number("--delay-ms", optarg, 0, 1000) * NS_PER_MS;
        else
            exit(2);
    }
    errno = 0;
    if (ns_a == NULL || ns_b == NULL)
        tool_die("--ns-a and --ns-b are needed");
    int a = open_tun(ns_a, dev_a);
    int b = open_tun(ns_b, dev_b);
    struct lane lanes[2] = {new_lane(a, b), new_lane(b, a)};
    printf("ready\n");
    fflush(stdout);
    run(lanes);
}
