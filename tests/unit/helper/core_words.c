#include "helper/core_words.h"

#include <stdio.h>
#include <string.h>

#include "check_main.h"

int words_of(const char *program, const char *line, char **words[])
{
    static char name[32], text[256];
    static char *argv[WORDS_MAX + 1];
    int argc = 1;
    snprintf(name, sizeof name, "%s", program);
    argv[0] = name;
    ck_assert_int_lt(snprintf(text, sizeof text, "%s", line), (int)sizeof text);
    for (char *at = text, *word; (word = strsep(&at, " ")) != NULL;)
        if (*word != '\0') {
            ck_assert_int_lt(argc, WORDS_MAX);
            argv[argc++] = word;
        }
    argv[argc] = NULL;
    *words = argv;
    return argc;
}
