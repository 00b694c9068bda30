#include "helper_server.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_WAIT_MS 20000

static bool find(const char *name, char *path, size_t size)
{
    char dirs[2048];
    const char *env = getenv("PATH");
    snprintf(dirs, sizeof dirs, "%s:%s/../.deps/valkey/bin", env != NULL ? env : "/usr/bin", WEIR_TESTS_DIR);
    char *rest = dirs;
    for (char *dir; (dir = strsep(&rest, ":")) != NULL;) {
        snprintf(path, size, "%s/%s", dir, name);
        if (access(path, X_OK) == 0)
            return true;
    }
    return false;
}

const char *server_program(unsigned i)
{
    static const char *const names[] = {"redis-server", "valkey-server"};
    static char paths[2][256];
    static const char *found[2];
    static bool looked;
    static unsigned count;
    for (unsigned n = 0; !looked && n < 2; n++) {
        if (find(names[n], paths[n], sizeof paths[n]))
            found[count++] = paths[n];
        else
            printf("skipped: %s is not installed\n", names[n]);
    }
    looked = true;
    return i < count ? found[i] : NULL;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

uint16_t server_free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, len), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void make_dir(struct server *s)
{
    snprintf(s->dir, sizeof s->dir, "/tmp/weir-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(s->dir));
    snprintf(s->socket, sizeof s->socket, "%s/socket", s->dir);
}

static void wait_for_port(const struct server *s, uint16_t port)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int i = 0; i < START_WAIT_MS / 5; i++) {
        int fd = connect_to(port);
        if (fd >= 0) {
            close(fd);
            return;
        }
        ck_assert_msg(waitpid(s->pid, NULL, WNOHANG) == 0, "%s ended at once, see %s/log", s->program, s->dir);
        nanosleep(&pause, NULL);
    }
    ck_abort_msg("%s never listened on port %u, see %s/log", s->program, port, s->dir);
}

static void run(struct server *s)
{
    char port[8], tls_port[8], log[96];
    const char *argv[SERVER_ARGS_MAX + 24] = {s->program};
    unsigned n = 1;
    snprintf(port, sizeof port, "%u", s->port);
    snprintf(log, sizeof log, "%s/log", s->dir);
    const char *usual[] = {"--port",  port,     "--bind", "127.0.0.1", "--dir", s->dir,         "--unixsocket",
                           s->socket, "--save", "",       "--logfile", log,     "--appendonly", "no"};
    char config[96];
    snprintf(config, sizeof config, "%s/sentinel.conf", s->dir);
    if (s->sentinel) {
        argv[n++] = config;
        argv[n++] = "--sentinel";
    } else {
        for (unsigned i = 0; i < sizeof usual / sizeof usual[0]; i++)
            argv[n++] = usual[i];
    }
    snprintf(tls_port, sizeof tls_port, "%u", s->tls_port);
    if (s->tls_port != 0) {
        argv[n++] = "--tls-port";
        argv[n++] = tls_port;
    }
    for (unsigned i = 0; i < s->arg_count; i++)
        argv[n++] = s->args[i];
    s->pid = fork();
    ck_assert_int_ge(s->pid, 0);
    if (s->pid == 0) {
        int null = open("/dev/null", O_RDWR);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execv(s->program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    wait_for_port(s, s->port);
    if (s->tls_port != 0)
        wait_for_port(s, s->tls_port); /* which it opens after the other */
}

static void start(struct server *s, const char *program, const char *const *args, bool tls)
{
    *s = (struct server){.port = server_free_port(), .tls_port = tls ? server_free_port() : 0};
    snprintf(s->program, sizeof s->program, "%s", program);
    for (; args != NULL && *args != NULL; args++) {
        ck_assert_uint_lt(s->arg_count, SERVER_ARGS_MAX);
        s->args[s->arg_count++] = *args;
    }
    make_dir(s);
    run(s);
}

void server_start(struct server *s, const char *program, const char *const *args)
{
    start(s, program, args, false);
}

void server_start_tls(struct server *s, const char *program, const char *const *args)
{
    start(s, program, args, true);
}

void server_start_sentinel(struct server *s, const char *program, const char *name, uint16_t master)
{
    char path[96];
    *s = (struct server){.port = server_free_port(), .sentinel = true};
    snprintf(s->program, sizeof s->program, "%s", program);
    make_dir(s);
    snprintf(path, sizeof path, "%s/sentinel.conf", s->dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file,
            "port %u\nbind 127.0.0.1\ndir %s\nlogfile %s/log\nsentinel monitor %s 127.0.0.1 %u 2\n"
            "sentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 4000\n",
            s->port, s->dir, s->dir, name, master, name, name);
    ck_assert_int_eq(fclose(file), 0);
    run(s);
}

void server_start_again(struct server *s)
{
    ck_assert_int_eq(s->pid, 0);
    run(s);
}

void server_kill(struct server *s)
{
    if (s->pid == 0)
        return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

void server_freeze(const struct server *s, bool frozen)
{
    kill(s->pid, frozen ? SIGSTOP : SIGCONT);
}

void server_end(struct server *s)
{
    static const char *const files[] = {"log", "socket", "sentinel.conf", "users.acl", "dump.rdb"};
    char path[128];
    if (s->dir[0] == '\0')
        return;
    server_kill(s);
    for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", s->dir, files[i]);
        unlink(path);
    }
    rmdir(s->dir);
    *s = (struct server){0};
}

/* Whether a line, or the bulk string that it announces, is all there. */
static bool is_whole(const char *answer, unsigned got)
{
    const char *end = strstr(answer, "\r\n");
    if (end == NULL)
        return false;
    long bulk = answer[0] == '$' ? strtol(answer + 1, NULL, 10) + 2 : 0;
    return (long)got >= end + 2 - answer + bulk;
}

void server_ask(const struct server *s, const char *command, char *answer, unsigned size)
{
    char line[512];
    int fd = connect_to(s->port);
    ck_assert_int_ge(fd, 0);
    int n = snprintf(line, sizeof line, "%s\r\n", command);
    ck_assert_int_eq(write(fd, line, (size_t)n), n);
    unsigned got = 0;
    answer[0] = '\0';
    while (!is_whole(answer, got) && got + 1 < size) {
        ssize_t r = read(fd, answer + got, size - 1 - got);
        ck_assert_int_gt(r, 0);
        got += (unsigned)r;
        answer[got] = '\0';
    }
    close(fd);
}

void server_wait(const struct server *s, const char *command, const char *wanted)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    char answer[8192];
    for (server_ask(s, command, answer, sizeof answer); strstr(answer, wanted) == NULL;) {
        nanosleep(&pause, NULL);
        server_ask(s, command, answer, sizeof answer);
    }
}
