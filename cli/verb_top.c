/* top: the cluster live, over the whole terminal (ncurses). Keys sort, reverse, filter and scroll. */
#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/show.h"
#include "cli/top.h"
#include "cli/verb.h"

/* How long a key may wait for the screen to answer it while nothing is asked. */
#define KEY_MS 100
/* A node that does not answer must not hold the keys up for longer. */
#define ASK_MS_MAX 2000u
#define KEYS       "q quits  s sorts  r reverses  / filters  arrows scroll  space looks now"

struct screen {
    struct ctl_session *s;
    struct ctl_top top;
    int scroll;
    bool typing; /* the filter */
    bool quit;
};

/* The terminal is to be as it was, whatever ends it. */
static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* Before ncurses: its own handlers would exit in the middle. */
static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction action = {.sa_handler = interrupt}; /* what waits for a key is not gone on with */
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

/* -- looking -- */

static json_t *look(struct screen *w, const char *page)
{
    json_t *answer;
    unsigned status;
    struct weir_err err = {0};
    if (interrupted)
        return NULL;
    if (ctl_try(w->s, page, &status, &answer, &err) != 0) {
        snprintf(w->top.trouble, sizeof w->top.trouble, "%s: %.200s", w->s->options->node, err.msg);
    } else if (status == 401) {
        snprintf(w->top.trouble, sizeof w->top.trouble, "the node asks for its admin token: --token-file");
    } else if (status == 200 && json_is_object(answer)) {
        return answer;
    }
    json_decref(answer);
    return NULL;
}

static void look_all(struct screen *w)
{
    w->top.trouble[0] = '\0';
    json_t *state = look(w, ctl_verbs[CTL_STATUS].page);
    if (state == NULL)
        return; /* what is shown is as it was */
    json_t *nodes = look(w, ctl_verbs[CTL_NODES].page), *pools = NULL;
    if (w->s->options->redis == NULL) /* which does not hold them */
        pools = look(w, ctl_verbs[CTL_POOLS].page);
    ctl_top_take(&w->top, state, nodes, pools, look(w, ctl_verbs[CTL_HINTS].page));
}

/* -- drawing -- */

/* The tones of cli/table.h, as terminals are told them. */
static void set_tone(const char *code, size_t len)
{
    static const struct {
        const char *code;
        short pair;
        attr_t attributes;
    } tones[] = {{"32", 1, A_NORMAL}, {"33", 2, A_NORMAL}, {"31", 3, A_NORMAL}, {"2", 0, A_DIM}};
    attrset(A_NORMAL);
    for (size_t i = 0; i < sizeof tones / sizeof tones[0]; i++)
        if (strlen(tones[i].code) == len && memcmp(tones[i].code, code, len) == 0)
            attr_set(tones[i].attributes, has_colors() ? tones[i].pair : 0, NULL);
}

/* One line, as far as it fits. */
static void draw_line(int y, const char *text, size_t len)
{
    int columns = 0;
    move(y, 0);
    for (size_t i = 0; i < len;) {
        if (text[i] == '\033') {
            const char *end = memchr(text + i, 'm', len - i);
            if (end == NULL)
                break;
            set_tone(text + i + 2, (size_t)(end - text - (ptrdiff_t)i - 2));
            i = (size_t)(end - text) + 1;
            continue;
        }
        size_t n = 1;
        while (i + n < len && ((unsigned char)text[i + n] & 0xc0) == 0x80)
            n++;
        if (columns++ < COLS)
            addnstr(text + i, (int)n);
        i += n;
    }
    attrset(A_NORMAL);
}

/* As it is typed: its end, where all of it does not fit. */
static void draw_filter(const char *filter)
{
    static const char lead[] = "filter: ", explained[] = "  (Enter keeps it, Esc drops it)";
    size_t len = strlen(filter), room = COLS > 0 ? (size_t)COLS : 0;
    char line[CTL_TOP_FILTER_MAX + sizeof lead + sizeof explained];
    room -= room > sizeof lead ? sizeof lead : room; /* the cursor takes the place of the terminating 0 */
    bool fits = len + strlen(explained) <= room;
    snprintf(line, sizeof line, "%s%s_%s", lead, len > room ? filter + len - room : filter, fits ? explained : "");
    mvaddnstr(LINES - 1, 0, line, COLS);
}

static void draw_keys(const struct screen *w)
{
    attrset(A_REVERSE);
    if (w->typing)
        draw_filter(w->top.filter);
    else
        mvaddnstr(LINES - 1, 0, KEYS, COLS);
    attrset(A_NORMAL);
}

/* No further down than to the last line, whatever was typed, and however the screen or what is shown has changed. */
static void keep_in_sight(struct screen *w, const struct weir_textbuf *text)
{
    int lines = 0;
    for (size_t i = 0; i < text->len; i++)
        lines += text->ptr[i] == '\n';
    int most = lines > LINES - 1 ? lines - (LINES - 1) : 0;
    w->scroll = w->scroll < most ? w->scroll : most;
}

static void draw(struct screen *w)
{
    const struct ctl_style style = {.colour = w->s->style.colour};
    struct weir_textbuf text;
    int y = 0, line = 0;
    weir_textbuf_init(&text, CTL_ANSWER_BYTES_MAX);
    ctl_top_frame(&w->top, &text, &style, (unsigned)(COLS > 0 ? COLS : 0));
    keep_in_sight(w, &text);
    erase();
    for (size_t at = 0; at < text.len && y < LINES - 1; line++) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        size_t len = end != NULL ? (size_t)(end - text.ptr) - at : text.len - at;
        if (line >= w->scroll)
            draw_line(y++, text.ptr + at, len);
        at += len + 1;
    }
    draw_keys(w);
    refresh();
    weir_textbuf_close(&text);
}

/* -- keys -- */

static void type_filter(struct screen *w, int key)
{
    size_t len = strlen(w->top.filter);
    if (key == '\n' || key == KEY_ENTER) {
        w->typing = false;
    } else if (key == 27) {
        w->typing = false;
        w->top.filter[0] = '\0';
    } else if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && len > 0) {
        w->top.filter[len - 1] = '\0';
    } else if (key > ' ' && key < 127 && len + 1 < sizeof w->top.filter) {
        w->top.filter[len] = (char)key;
        w->top.filter[len + 1] = '\0';
    }
}

/* True: the cluster is to be looked at now. */
static bool take_key(struct screen *w, int key)
{
    if (w->typing) {
        type_filter(w, key);
        return false;
    }
    switch (key) {
    case 'q':
    case 'Q':
        w->quit = true;
        return false;
    case 's':
        w->top.sort = (enum ctl_top_sort)((w->top.sort + 1) % CTL_TOP_SORTS);
        return false;
    case 'r':
        w->top.reverse = !w->top.reverse;
        return false;
    case '/':
        w->typing = true;
        return false;
    case KEY_DOWN:
        w->scroll++;
        return false;
    case KEY_UP:
        w->scroll -= w->scroll > 0;
        return false;
    case KEY_NPAGE:
        w->scroll += LINES / 2;
        return false;
    case KEY_PPAGE:
        w->scroll = w->scroll > LINES / 2 ? w->scroll - LINES / 2 : 0;
        return false;
    default: /* KEY_RESIZE: ncurses knows the new size by now */
        return key == ' ';
    }
}

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void watch(struct screen *w)
{
    uint64_t every_ms = (uint64_t)(w->s->options->interval_s * 1000), due = 0;
    while (!w->quit && !interrupted) {
        if (now_ms() >= due) {
            look_all(w);
            due = now_ms() + every_ms;
        }
        draw(w);
        int key = getch();
        if (key != ERR && take_key(w, key))
            due = 0;
    }
}

static bool begin_screen(bool colour)
{
    catch_signals();
    if (newterm(NULL, stdout, stdin) == NULL)
        return false;
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    set_escdelay(25);
    timeout(KEY_MS);
    if (colour && has_colors()) {
        start_color();
        use_default_colors();
        init_pair(1, COLOR_GREEN, -1);
        init_pair(2, COLOR_YELLOW, -1);
        init_pair(3, COLOR_RED, -1);
    }
    return true;
}

int ctl_run_top(struct ctl_session *s)
{
    struct ctl_options quick = *s->options;
    struct screen w = {.s = s, .top.sort = CTL_TOP_BY_NAME};
    json_t *answer;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return ctl_complain(WEIR_EXIT_USAGE, "weirctl nodes and weirctl pools show the same once.",
                            "top needs a terminal");
    int code = ctl_get(s, ctl_verbs[CTL_STATUS].page, &answer); /* what is wrong is said before the screen is taken */
    json_decref(answer);
    if (code != WEIR_EXIT_DONE)
        return code;
    setlocale(LC_ALL, "");
    w.top.ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    if (!begin_screen(s->style.colour))
        return ctl_complain(WEIR_EXIT_FAILED, "TERM names a kind of terminal that ncurses knows, such as xterm.",
                            "this terminal cannot be drawn on");
    quick.timeout_ms = quick.timeout_ms < ASK_MS_MAX ? quick.timeout_ms : ASK_MS_MAX;
    s->options = &quick;
    watch(&w);
    endwin();
    ctl_top_close(&w.top);
    return WEIR_EXIT_DONE;
}
