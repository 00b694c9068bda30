/* The files that shells complete weirctl by. */
#include <string.h>

#include "cli/help.h"
#include "cli/options.h"

#define OUTPUTS "table wide json yaml"

static bool takes_nothing_known(const struct ctl_option_row *row)
{
    return row->argument != NULL && row->kind != CTL_ARG_OUTPUT && row->kind != CTL_ARG_FILE;
}

/* Text inside single quotes of every one of these shells. */
static void add_quoted(struct weir_textbuf *out, const char *text, const char *escaped)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            weir_textbuf_str(out, "\u2019"); /* an apostrophe that ends no quotes */
            continue;
        }
        if (strchr(escaped, *text) != NULL)
            weir_textbuf_char(out, '\\');
        weir_textbuf_char(out, *text);
    }
}

/* -- bash -- */

/* A pattern of case: "-o | --output". */
static void add_pattern(struct weir_textbuf *out, const struct ctl_option_row *row)
{
    if (row->letter != 0)
        weir_textbuf_printf(out, "-%c | ", row->letter);
    weir_textbuf_printf(out, "--%s", row->name);
}

static void add_bash_values(struct weir_textbuf *out)
{
    for (size_t i = 0; i < CTL_OPTIONS; i++) {
        const struct ctl_option_row *row = &ctl_options_table[i];
        if (row->argument == NULL)
            continue;
        weir_textbuf_str(out, "        ");
        add_pattern(out, row);
        if (row->kind == CTL_ARG_OUTPUT)
            weir_textbuf_str(out, ") mapfile -t COMPREPLY < <(compgen -W \"" OUTPUTS "\" -- \"$word\") ;;\n");
        else if (row->kind == CTL_ARG_FILE)
            weir_textbuf_str(out, ") compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n");
        else
            weir_textbuf_str(out, ") ;;\n");
    }
}

static void add_bash_choices(struct weir_textbuf *out)
{
    for (size_t i = 0; i < CTL_VERBS; i++)
        if (ctl_verbs[i].choices != NULL)
            weir_textbuf_printf(out, "        %s) mapfile -t COMPREPLY < <(compgen -W \"%s\" -- \"$word\") ;;\n",
                                ctl_verb_name((enum ctl_verb)i), ctl_verbs[i].choices);
}

static void add_bash(struct weir_textbuf *out)
{
    weir_textbuf_str(out, "# bash completion for weirctl; made by `weirctl completion bash`\n"
                          "_weirctl()\n{\n"
                          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
                          "    case $before in\n");
    add_bash_values(out);
    add_bash_choices(out);
    weir_textbuf_str(out, "        *)\n            mapfile -t COMPREPLY < <(compgen -f -W \"");
    for (size_t i = 0; i < CTL_VERBS; i++)
        weir_textbuf_printf(out, "%s%s", i > 0 ? " " : "", ctl_verb_name((enum ctl_verb)i));
    for (size_t i = 0; i < CTL_OPTIONS; i++) {
        weir_textbuf_printf(out, "%s--%s", i % 6 == 0 ? "\n                " : " ", ctl_options_table[i].name);
        if (ctl_options_table[i].letter != 0)
            weir_textbuf_printf(out, " -%c", ctl_options_table[i].letter);
    }
    weir_textbuf_str(out, "\" -- \"$word\")\n            ;;\n    esac\n}\ncomplete -F _weirctl weirctl\n");
}

/* -- zsh -- */

static void add_zsh_option(struct weir_textbuf *out, const struct ctl_option_row *row)
{
    if (row->letter != 0)
        weir_textbuf_printf(out, "    '(-%c --%s)'{-%c,--%s}'[", row->letter, row->name, row->letter, row->name);
    else
        weir_textbuf_printf(out, "    '--%s[", row->name);
    add_quoted(out, row->what, "[]:");
    weir_textbuf_char(out, ']');
    if (row->kind == CTL_ARG_OUTPUT)
        weir_textbuf_str(out, ":form:(" OUTPUTS ")");
    else if (row->kind == CTL_ARG_FILE)
        weir_textbuf_str(out, ":file:_files");
    else if (row->argument != NULL)
        weir_textbuf_printf(out, ":%s:", row->argument);
    weir_textbuf_str(out, "' \\\n");
}

static void add_zsh(struct weir_textbuf *out)
{
    weir_textbuf_str(out, "#compdef weirctl\n# made by `weirctl completion zsh`\nlocal line state\n_arguments -C \\\n");
    for (size_t i = 0; i < CTL_OPTIONS; i++)
        add_zsh_option(out, &ctl_options_table[i]);
    weir_textbuf_str(out, "    '1:verb:((");
    for (size_t i = 0; i < CTL_VERBS; i++) {
        weir_textbuf_printf(out, "%s%s\\:\"", i > 0 ? "\n        " : "", ctl_verb_name((enum ctl_verb)i));
        add_quoted(out, ctl_verbs[i].what, "\":");
        weir_textbuf_char(out, '"');
    }
    weir_textbuf_str(out,
                     "))' \\\n    '*:argument:->argument'\ncase $state in\n    argument)\n        case $line[1] in\n");
    for (size_t i = 0; i < CTL_VERBS; i++)
        if (ctl_verbs[i].choices != NULL)
            weir_textbuf_printf(out, "            %s) _values argument %s ;;\n", ctl_verb_name((enum ctl_verb)i),
                                ctl_verbs[i].choices);
    weir_textbuf_str(out, "            *) _files ;;\n        esac\n        ;;\nesac\n");
}

/* -- fish -- */

static void add_fish_condition(struct weir_textbuf *out, unsigned id)
{
    if (id < CTL_OPTIONS_GENERAL)
        return;
    weir_textbuf_str(out, " -n '__fish_seen_subcommand_from");
    for (size_t i = 0; i < CTL_VERBS; i++)
        if (ctl_verbs[i].options >> id & 1)
            weir_textbuf_printf(out, " %s", ctl_verb_name((enum ctl_verb)i));
    weir_textbuf_char(out, '\'');
}

static void add_fish_option(struct weir_textbuf *out, unsigned id)
{
    const struct ctl_option_row *row = &ctl_options_table[id];
    weir_textbuf_str(out, "complete -c weirctl");
    add_fish_condition(out, id);
    if (row->letter != 0)
        weir_textbuf_printf(out, " -s %c", row->letter);
    weir_textbuf_printf(out, " -l %s", row->name);
    if (row->kind == CTL_ARG_OUTPUT)
        weir_textbuf_str(out, " -x -a '" OUTPUTS "'"); /* and no files */
    else if (row->kind == CTL_ARG_FILE)
        weir_textbuf_str(out, " -r -F");
    else if (takes_nothing_known(row))
        weir_textbuf_str(out, " -x");
    weir_textbuf_str(out, " -d '");
    add_quoted(out, row->what, "");
    weir_textbuf_str(out, "'\n");
}

static void add_fish(struct weir_textbuf *out)
{
    weir_textbuf_str(out, "# fish completion for weirctl; made by `weirctl completion fish`\ncomplete -c weirctl -f\n");
    for (size_t i = 0; i < CTL_VERBS; i++) {
        weir_textbuf_printf(out, "complete -c weirctl -n __fish_use_subcommand -a %s -d '",
                            ctl_verb_name((enum ctl_verb)i));
        add_quoted(out, ctl_verbs[i].what, "");
        weir_textbuf_str(out, "'\n");
    }
    for (size_t i = 0; i < CTL_VERBS; i++)
        if (ctl_verbs[i].choices != NULL)
            weir_textbuf_printf(out, "complete -c weirctl -n '__fish_seen_subcommand_from %s' -a '%s'\n",
                                ctl_verb_name((enum ctl_verb)i), ctl_verbs[i].choices);
    for (unsigned id = 0; id < CTL_OPTIONS; id++)
        add_fish_option(out, id);
}

void ctl_completion(struct weir_textbuf *out, const char *shell)
{
    if (strcmp(shell, "bash") == 0)
        add_bash(out);
    else if (strcmp(shell, "zsh") == 0)
        add_zsh(out);
    else
        add_fish(out);
}
