/* Command lines for parsers of options. */
#ifndef WEIR_TESTS_HELPER_CORE_WORDS_H
#define WEIR_TESTS_HELPER_CORE_WORDS_H

#define WORDS_MAX 32

/* The program's name and the words of line, which spaces part, as main gets them; good until the next call. Returns how
 * many there are. */
int words_of(const char *program, const char *line, char **words[]);

#endif
