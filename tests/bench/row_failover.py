"""Nodes and the store's master lost under load through HAProxy: which requests fail, and how long until all shards have
owners by a published map."""

import signal
import time

from town import Cluster, SHARDS, Steady, Watched, balance, failures, phase, seconds_until, town

NODES = 3
CLIENTS = 30
PACE_S = 0.15
STREAMS = 12
FAILOVER_S = 3
SLACK_S = 1
BOUND_S = 60
SETTLE_S = 3


def _cluster(stage, url=None, **server):
    cluster = Cluster(stage, redis=url is None, shard_count=SHARDS, failover_timeout=FAILOVER_S)
    cluster.url = url or cluster.url
    nodes = cluster.nodes(NODES, stage.mock(), server=server)
    cluster.coordinator()
    cluster.wait_map()
    return cluster, nodes, balance(stage, nodes)


def _load(stage, balancer):
    return Steady(stage, [balancer.port], CLIENTS, PACE_S, streams=STREAMS)


def _all_owned(nodes, above):
    states = [n.get("/api/cluster/state").json() for n in nodes]
    return all(s["epoch"] > above for s in states) and sum(s["owned"] for s in states) == SHARDS


def _innocent(request, lost, others):
    """Whether it failed though the lost node had no part in it: it entered elsewhere, and was not handed over."""
    lines = [e for o in others for e in o.events("access", request_id=f"b{request.number}")]
    return any(e.get("peer") != lost.id for e in lines)


def _kill(build_dir, say):
    say("failover: kill -9")
    with town(build_dir) as stage:
        cluster, (a, b, c), balancer = _cluster(stage)
        with _load(stage, balancer) as load:
            time.sleep(SETTLE_S)
            epoch = max(n.metric("weir_cluster_map_epoch") for n in (a, b))
            killed = time.monotonic()
            cluster.kill(c)
            dead = time.monotonic()
            owned_s = seconds_until(lambda: _all_owned((a, b), epoch), killed, BOUND_S, "the shards to have new owners")
            time.sleep(SETTLE_S)
            requests = load.end()
        for n in (a, b):
            cluster.leave(n)  # so that their logs are whole
        failed = failures(requests)
        return {"requests": len(requests), "in_flight": sum(r.began <= dead and r.ended >= killed for r in requests),
                "failed": len(failed), "failed_begun_later": sum(r.began > dead for r in failed),
                "failed_of_others": sum(_innocent(r, c, (a, b)) for r in failed), "owned_s": owned_s,
                "failover_s": FAILOVER_S, "after_ms": phase(requests, dead, killed + owned_s)}


def _end(build_dir, say):
    say("failover: SIGTERM")
    with town(build_dir) as stage:
        cluster, (a, b, c), balancer = _cluster(stage, drain_delay=1)
        with _load(stage, balancer) as load:
            time.sleep(SETTLE_S)
            told = time.monotonic()
            c.tell(signal.SIGTERM)
            cluster.members.remove(c)
            code = c.wait()
            gone_s = time.monotonic() - told
            time.sleep(SETTLE_S)
            requests = load.end()
        return {"requests": len(requests), "streams": sum(r.ms > 1000 for r in requests), "failed": len(failures(requests)),
                "code": code, "gone_s": gone_s, "taken_for_lost": sum(len(n.events("node_lost")) for n in (a, b))}


def _sentinel(build_dir, say):
    say("failover: the store's master, three sentinels")
    with town(build_dir) as stage:
        watched = Watched(stage)
        cluster, nodes, balancer = _cluster(stage, watched.url)
        with _load(stage, balancer) as load:
            time.sleep(SETTLE_S)
            epoch = max(n.metric("weir_cluster_map_epoch") for n in nodes)
            watched.lose_master()
            promoted = time.monotonic()
            right_s = seconds_until(
                lambda: all(n.metric("weir_cluster_store_contact") == 1 for n in nodes) and _all_owned(nodes, epoch - 1),
                promoted, BOUND_S, "the nodes to follow the new master")
            time.sleep(SETTLE_S)
            requests = load.end()
        taken = [[e["epoch"] for e in n.events("map_taken")] for n in nodes]
        return {"requests": len(requests), "failed": len(failures(requests)), "right_s": right_s,
                "epoch_back": any(t != sorted(t) for t in taken),
                "taken_for_lost": sum(len(n.events("node_lost")) for n in nodes)}


def run(build_dir, rounds, say):
    say(f"failover: {NODES} nodes behind HAProxy, {CLIENTS / PACE_S:.0f} requests/s and {STREAMS} streams, {rounds} rounds")
    return {"slack_s": SLACK_S, "kill": [_kill(build_dir, say) for _ in range(rounds)],
            "end": [_end(build_dir, say) for _ in range(rounds)],
            "sentinel": [_sentinel(build_dir, say) for _ in range(rounds)]}
