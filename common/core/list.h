/* A doubly linked list whose links live in the members: no allocation, removal in O(1). */
#ifndef WEIR_CORE_LIST_H
#define WEIR_CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Both the head of a list and a member's link. A link that is in no list points at itself. */
struct weir_list {
    struct weir_list *next, *prev;
};

#define WEIR_CONTAINER(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Any member but the current one may be removed in the body; to remove the current one use WEIR_LIST_EACH_SAFE. */
#define WEIR_LIST_EACH(at, list) for (struct weir_list *at = (list)->next; at != (list); at = at->next)
#define WEIR_LIST_EACH_SAFE(at, list) \
    for (struct weir_list *at = (list)->next, *at##_next = at->next; at != (list); at = at##_next, at##_next = at->next)

static inline void weir_list_init(struct weir_list *l)
{
    l->next = l->prev = l;
}

static inline bool weir_list_empty(const struct weir_list *l)
{
    return l->next == l;
}

static inline void weir_list_insert_after(struct weir_list *where, struct weir_list *l)
{
    l->prev = where;
    l->next = where->next;
    where->next->prev = l;
    where->next = l;
}

static inline void weir_list_push_front(struct weir_list *list, struct weir_list *l)
{
    weir_list_insert_after(list, l);
}

static inline void weir_list_push_back(struct weir_list *list, struct weir_list *l)
{
    weir_list_insert_after(list->prev, l);
}

/* Legal on a link that is in no list. */
static inline void weir_list_remove(struct weir_list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    weir_list_init(l);
}

/* The first member, removed; NULL when the list is empty. */
static inline struct weir_list *weir_list_pop_front(struct weir_list *list)
{
    if (weir_list_empty(list))
        return NULL;
    struct weir_list *l = list->next;
    weir_list_remove(l);
    return l;
}

/* Moves all members of `from` to the end of `to`; `from` is empty afterwards. */
static inline void weir_list_splice(struct weir_list *to, struct weir_list *from)
{
    if (weir_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    weir_list_init(from);
}

#endif
