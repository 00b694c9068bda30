#include "net/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads at most cap bytes; what lies behind them stays unread. -1: errno says why. */
static ssize_t read_up_to(int fd, char *buf, size_t cap)
{
    size_t len = 0;
    while (len < cap) {
        ssize_t n = read(fd, buf + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

/* err's sentence follows the file's name. Errors: WEIR_EIO (not there, not allowed, a directory, a device), WEIR_ELIMIT
 * (more than cap bytes). */
static int file_read(const char *path, char *buf, size_t cap, size_t *len, struct weir_err *err)
{
    /* Opening a FIFO would wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return weir_err_set(err, WEIR_EIO, "cannot be read: %s", strerror(errno));
    struct stat st;
    int code = WEIR_OK;
    if (fstat(fd, &st) != 0) {
        code = weir_err_set(err, WEIR_EIO, "cannot be read: %s", strerror(errno));
        goto out;
    }
    if (S_ISDIR(st.st_mode)) {
        code = weir_err_set(err, WEIR_EIO, "cannot be read: it is a directory");
        goto out;
    }
    /* One byte more than allowed tells a file of exactly that size from a larger one, whatever fstat says (a pipe). */
    ssize_t n = st.st_size > (off_t)cap ? (ssize_t)cap + 1 : read_up_to(fd, buf, cap + 1);
    if (n < 0)
        code = weir_err_set(err, WEIR_EIO, "cannot be read: %s", strerror(errno));
    else if ((size_t)n > cap)
        code = weir_err_set(err, WEIR_ELIMIT, "is larger than %zu KB", cap / 1024);
    else
        *len = (size_t)n;
out:
    close(fd);
    return code;
}

static int secret_read(void *arg, const char *path, char *buf, size_t cap, size_t *len, struct weir_err *err)
{
    (void)arg;
    int code = file_read(path, buf, cap - 1, len, err);
    if (code == WEIR_OK)
        return code;
    struct weir_err why = *err;
    return weir_err_set(err, code, "%.200s %.200s", path, why.msg);
}

static const char *env_get(void *arg, const char *name)
{
    (void)arg;
    return getenv(name);
}

int weir_config_file_load(struct weir_config **out, const char *path, struct weir_config_problems *problems)
{
    struct weir_err err = {0};
    size_t len = 0;
    *out = NULL;
    char *bytes = malloc(WEIR_CONFIG_FILE_BYTES_MAX + 1);
    if (bytes == NULL)
        return WEIR_ENOMEM;
    int code = file_read(path, bytes, WEIR_CONFIG_FILE_BYTES_MAX, &len, &err);
    if (code == WEIR_OK) {
        const struct weir_config_input in = {
            .file = path, .bytes = bytes, .len = len, .getenv = env_get, .read_file = secret_read};
        code = weir_config_parse(out, &in, problems);
    } else {
        weir_config_problems_add(problems, WEIR_CONFIG_ERROR, path, 0, "", "%s", err.msg);
        code = WEIR_EINVAL;
    }
    explicit_bzero(bytes, WEIR_CONFIG_FILE_BYTES_MAX + 1);
    free(bytes);
    return code;
}

void weir_config_problems_print(const char *program, const struct weir_config_problems *problems)
{
    char line[1024];
    for (size_t i = 0; i < problems->count; i++) {
        weir_config_problem_text(&problems->at[i], line, sizeof line);
        fprintf(stderr, "%s\n", line);
    }
    if (problems->dropped_count > 0)
        fprintf(stderr, "%zu more are not shown\n", problems->dropped_count);
    if (problems->out_of_memory)
        fprintf(stderr, "%s: out of memory\n", program);
    if (problems->error_count > 0)
        fprintf(stderr, "%zu error%s in the configuration\n", problems->error_count,
                problems->error_count == 1 ? "" : "s");
}
