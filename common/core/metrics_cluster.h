/* What a node counts of its cluster: rows of core/metrics.h's table of the node's gauges, which says how they are made.
 */
#ifndef WEIR_CORE_METRICS_CLUSTER_H
#define WEIR_CORE_METRICS_CLUSTER_H

#define WEIR_CLUSTER_ROWS(X)                                                                                         \
    X(CLUSTER_MEMBER, "weir_cluster_member", "", GAUGE, COUNT, "1 while the node is a member of a cluster.")         \
    X(CLUSTER_CONTACT, "weir_cluster_store_contact", "", GAUGE, COUNT, "1 while the cluster's store answers.")       \
    X(CLUSTER_NODES_ALIVE, "weir_cluster_nodes", "state=\"alive\"", GAUGE, COUNT, WEIR_HELP_CLUSTER_NODES)           \
    X(CLUSTER_NODES_SILENT, "weir_cluster_nodes", "state=\"silent\"", GAUGE, COUNT, WEIR_HELP_CLUSTER_NODES)         \
    X(CLUSTER_SHARDS, "weir_cluster_shards", "", GAUGE, COUNT, "Shards of the map in force.")                        \
    X(CLUSTER_OWNED, "weir_cluster_shards_owned", "", GAUGE, COUNT, "Shards that this node serves.")                 \
    X(CLUSTER_EPOCH, "weir_cluster_map_epoch", "", GAUGE, COUNT,                                                     \
      "Epoch of the shard map in force; 0: the members' own, none was published.")                                   \
    X(CLUSTER_DEGRADED, "weir_cluster_limits_degraded", "", GAUGE, COUNT,                                            \
      "Rate limits that go by this node's share, or refuse, as the store is away.")                                  \
    X(STORE_BEAT, "weir_cluster_store_requests_total", "op=\"beat\"", COUNTER, COUNT, WEIR_HELP_STORE)               \
    X(STORE_LEAVE, "weir_cluster_store_requests_total", "op=\"leave\"", COUNTER, COUNT, WEIR_HELP_STORE)             \
    X(STORE_MEMBERS, "weir_cluster_store_requests_total", "op=\"members\"", COUNTER, COUNT, WEIR_HELP_STORE)         \
    X(STORE_MAP, "weir_cluster_store_requests_total", "op=\"map\"", COUNTER, COUNT, WEIR_HELP_STORE)                 \
    X(STORE_REPORT, "weir_cluster_store_requests_total", "op=\"report\"", COUNTER, COUNT, WEIR_HELP_STORE)           \
    X(STORE_CIRCUITS, "weir_cluster_store_requests_total", "op=\"circuits\"", COUNTER, COUNT, WEIR_HELP_STORE)       \
    X(STORE_TOKENS, "weir_cluster_store_requests_total", "op=\"tokens\"", COUNTER, COUNT, WEIR_HELP_STORE)           \
    X(STORE_CHECKED, "weir_cluster_store_requests_total", "op=\"checked\"", COUNTER, COUNT, WEIR_HELP_STORE)         \
    X(STORE_EVENT, "weir_cluster_store_requests_total", "op=\"event\"", COUNTER, COUNT, WEIR_HELP_STORE)             \
    X(STORE_EVENTS, "weir_cluster_store_requests_total", "op=\"events\"", COUNTER, COUNT, WEIR_HELP_STORE)           \
    X(STORE_APPEND, "weir_cluster_store_requests_total", "op=\"append\"", COUNTER, COUNT, WEIR_HELP_STORE)           \
    X(STORE_ADVICE, "weir_cluster_store_requests_total", "op=\"advice\"", COUNTER, COUNT, WEIR_HELP_STORE)           \
    X(STORE_OK, "weir_cluster_store_answers_total", "outcome=\"ok\"", COUNTER, COUNT, WEIR_HELP_STORE_ANSWERS)       \
    X(STORE_AWAY, "weir_cluster_store_answers_total", "outcome=\"away\"", COUNTER, COUNT, WEIR_HELP_STORE_ANSWERS)   \
    X(STORE_REFUSED, "weir_cluster_store_answers_total", "outcome=\"refused\"", COUNTER, COUNT,                      \
      WEIR_HELP_STORE_ANSWERS)                                                                                       \
    X(STORE_OTHER, "weir_cluster_store_answers_total", "outcome=\"other\"", COUNTER, COUNT, WEIR_HELP_STORE_ANSWERS) \
    X(STORE_US, "weir_cluster_store_answer_seconds_total", "", COUNTER, US,                                          \
      "Time that the store's answers have taken, added up.")                                                         \
    X(STORE_US_MAX, "weir_cluster_store_answer_seconds_max", "", GAUGE, US, "The longest of them since the start.")

/* Of a node: what the coordinator advises. */
#define WEIR_HINT_ROWS(X)                                                                                            \
    X(HINT_VALID, "weir_hint_valid", "", GAUGE, COUNT, "1 while there are hints of the coordinator to be followed.") \
    X(HINT_DESIRED, "weir_hint_desired_nodes", "", GAUGE, COUNT,                                                     \
      "Nodes that the coordinator advises; 0 without valid hints.")                                                  \
    X(HINT_HOLD, "weir_hint_action", "action=\"hold\"", GAUGE, COUNT, WEIR_HELP_HINT_ACTION)                         \
    X(HINT_UP, "weir_hint_action", "action=\"scale_up\"", GAUGE, COUNT, WEIR_HELP_HINT_ACTION)                       \
    X(HINT_DOWN, "weir_hint_action", "action=\"scale_down\"", GAUGE, COUNT, WEIR_HELP_HINT_ACTION)

/* Of a provider. */
#define WEIR_HINT_PROVIDER_ROWS(X)                                                                    \
    X(HINT_POOL, "weir_hint_pool_size", "", GAUGE, COUNT,                                             \
      "Connections that the coordinator advises: this node's part.")                                  \
    X(HINT_PEAK, "weir_hint_in_flight_peak", "level=\"0.5\"", GAUGE, COUNT, WEIR_HELP_HINT_PEAK)      \
    X(HINT_PEAK_HIGH, "weir_hint_in_flight_peak", "level=\"0.9\"", GAUGE, COUNT, WEIR_HELP_HINT_PEAK) \
    X(HINT_PEAK_IN_US, "weir_hint_peak_in_seconds", "", GAUGE, US, "Time until that peak; 0: it has passed.")

#define WEIR_HELP_HINT_ACTION   "What the coordinator advises: 1 at the action, without valid hints nowhere."
#define WEIR_HELP_HINT_PEAK     "Highest number of requests in flight that is predicted, of the whole cluster."
#define WEIR_HELP_CLUSTER_NODES "Members of the cluster, this node among them, by whether they are heard of."
#define WEIR_HELP_STORE         "Requests to the cluster's store."
#define WEIR_HELP_STORE_ANSWERS "Requests to the cluster's store that are over, by how they ended."

#endif
