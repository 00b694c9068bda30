/* A cluster agent on a simulated clock, with a store played by the test: what the agent sent is kept, and answered as
 * the test likes. */
#ifndef WEIR_TESTS_HELPER_CLUSTER_AGENT_H
#define WEIR_TESTS_HELPER_CLUSTER_AGENT_H

#include "core/cluster_agent.h"

#define FAILOVER UINT64_C(3000)
#define START    UINT64_C(1000000)
#define BEAT     UINT64_C(1000)
#define STORE_MS UINT64_C(50000000) /* the store's clock at START */

struct agent_fixture {
    struct weir_cluster_agent *agent;
    struct weir_cluster_agent_config config;
    uint64_t now_ms;
    /* What was sent and is not answered; texts are not kept but in the copies below. */
    struct weir_coord_request sent[64];
    uint32_t sent_count;
    struct weir_coord_member beat_self;
    char event[WEIR_COORD_EVENT_MAX];
    char log[2048]; /* what else was done, a word each: "sight", "alone", "learn:E" ... */
    /* What the ports give when asked. */
    struct weir_coord_report_item reports[32];
    enum weir_cluster_haste report_haste[32];
    uint32_t report_count;
    struct weir_coord_tokens_item tokens[32];
    uint32_t token_count;
    char load[64];                   /* what take_load tells; "": nothing */
    uint64_t load_slot;              /* that it was asked for last */
    char appended[64];               /* the text sent last */
    char hints[64];                  /* of the advice acted on last */
    bool whole;                      /* asked for last with ADVICE */
    struct weir_cluster_action last; /* TOKENS, LEARN, GRANTED, CHECKED */
    /* The store. */
    struct weir_coord_member members[16];
    uint32_t member_count;
    struct weir_coord_beat_reply store;
    struct weir_coord_map_reply map;
    struct weir_str events[4];
    uint32_t event_count;
    struct weir_coord_advice_reply advice;
};

extern struct agent_fixture f;

void agent_setup(void); /* connected, nothing answered yet; node "b" with 64 shards */
/* The same with analytics. */
void agent_setup_with(uint64_t load_slot_ms, bool follow_hints);
void agent_teardown(void);
/* A member that the store knows, beating; state ACTIVE. Moves the version. */
struct weir_coord_member *agent_member(const char *id);
/* Lets time pass, ticking at each deadline; nothing is answered. */
void agent_run(uint64_t ms);
/* The oldest unanswered request of the kind, taken out; fails when there is none. */
struct weir_coord_request agent_taken(enum weir_coord_op op);
uint32_t agent_open(enum weir_coord_op op); /* how many of a kind are unanswered */
/* Answers the oldest request of the kind as the played store would, or with a word. */
void agent_answer(enum weir_coord_op op);
void agent_fail(enum weir_coord_op op, enum weir_coord_word word);
/* Answers everything of beats, members, maps, circuits and events as it comes, for so long. */
void agent_serve(uint64_t ms);
/* Joined and quiet: members of the store are known, the log is empty. */
void agent_join(void);
/* The map in force at the store: `text` as core/shard_map writes it. */
void agent_publish(uint64_t epoch, const char *leader, const char *text);
const char *agent_owner(uint32_t shard);
/* The log so far; emptied by the next thing that is done. */
const char *agent_log(void);

#endif
