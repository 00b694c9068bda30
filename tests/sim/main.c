/* weir-sim: histories of a simulated cluster, one for each seed, judged by the invariants of README.md. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"
#include "sim_commit.h"

/* Seeds in which a planted bug must show: the rarest shows in one of four hundred. */
#define PLANT_SEEDS 3000u

struct arguments {
    uint64_t first, count;
    struct sim_options options;
    bool report, trace, plants;
};

static void usage(FILE *to)
{
    (void)fprintf(to, "usage: weir-sim [--seeds N] [--seed FIRST] [--nodes N] [--coordinators N] [--shards N]\n"
                      "                [--seconds N] [--plant NAME] [--trace]\n"
                      "       weir-sim --nodes N --shards N --report\n"
                      "       weir-sim --plants     each planted bug must be found\n"
                      "Exit: 0 all invariants held, 1 one was broken, 2 wrong usage.\n");
}

static uint64_t number(const char *text)
{
    uint64_t n;
    if (weir_str_to_u64(weir_str_of(text), &n))
        return n;
    usage(stderr);
    exit(2);
}

static void parse(int argc, char **argv, struct arguments *a)
{
    static const struct option longs[] = {
        {"seeds", required_argument, NULL, 'n'},  {"seed", required_argument, NULL, 's'},
        {"nodes", required_argument, NULL, 'N'},  {"coordinators", required_argument, NULL, 'C'},
        {"shards", required_argument, NULL, 'S'}, {"seconds", required_argument, NULL, 't'},
        {"plant", required_argument, NULL, 'p'},  {"plants", no_argument, NULL, 'P'},
        {"report", no_argument, NULL, 'r'},       {"trace", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    int c;
    *a = (struct arguments){.first = 1, .count = 1, .options.coordinators = UINT32_MAX};
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
        switch (c) {
        case 'n':
            a->count = number(optarg);
            break;
        case 's':
            a->first = number(optarg);
            break;
        case 'N':
            a->options.nodes = (uint32_t)number(optarg);
            break;
        case 'C':
            a->options.coordinators = (uint32_t)number(optarg);
            break;
        case 'S':
            a->options.shards = (uint32_t)number(optarg);
            break;
        case 't':
            a->options.seconds = number(optarg);
            break;
        case 'p':
            a->options.plant = optarg;
            break;
        case 'P':
            a->plants = true;
            break;
        case 'r':
            a->report = true;
            break;
        case 'v':
            a->trace = true;
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(2);
        }
}

/* The same history once more, told. */
static void tell(const struct arguments *a, uint64_t seed)
{
    struct sim_world *w = sim_alloc(sizeof *w);
    struct sim_options o = a->options;
    o.seed = seed;
    o.trace = stdout;
    (void)sim_world_run(w, &o);
    sim_world_close(w);
    free(w);
}

static void add_up(struct sim_counts *sum, const struct sim_counts *one)
{
    sum->events += one->events;
    sum->requests += one->requests;
    sum->served += one->served;
    sum->failed += one->failed;
    sum->no_token += one->no_token;
    sum->no_circuit += one->no_circuit;
    sum->died += one->died;
    sum->forwarded += one->forwarded;
    sum->faults += one->faults;
    sum->maps += one->maps;
    sum->probes += one->probes;
}

static int run_seeds(const struct arguments *a)
{
    struct sim_world *w = sim_alloc(sizeof *w);
    struct sim_counts sum = {0};
    struct timespec from, to;
    int code = 0;
    uint64_t k = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    for (; k < a->count && code == 0; k++) {
        struct sim_options o = a->options;
        o.seed = a->first + k;
        o.trace = a->trace ? stdout : NULL;
        bool held = sim_world_run(w, &o);
        add_up(&sum, &w->counts);
        if (!held) {
            code = 1;
            if (!a->trace)
                tell(a, o.seed);
            (void)printf("seed %llu: %s: %s\n", (unsigned long long)o.seed, w->invariant, w->why);
            (void)printf("commit %s\n", WEIR_SIM_COMMIT);
        }
        sim_world_close(w);
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    double took = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    if (code == 0)
        (void)printf("%llu seeds from %llu: all invariants held (%.0f a minute; %llu events, %llu faults, %llu maps)\n"
                     "requests: %llu, %llu forwarded; %llu served, %llu failed, %llu without a token, %llu without a "
                     "circuit, %llu died with their node; %llu probes\n",
                     (unsigned long long)a->count, (unsigned long long)a->first, (double)a->count * 60 / took,
                     (unsigned long long)sum.events, (unsigned long long)sum.faults, (unsigned long long)sum.maps,
                     (unsigned long long)sum.requests, (unsigned long long)sum.forwarded,
                     (unsigned long long)sum.served, (unsigned long long)sum.failed, (unsigned long long)sum.no_token,
                     (unsigned long long)sum.no_circuit, (unsigned long long)sum.died, (unsigned long long)sum.probes);
    (void)printf("%llu passed, %d failed\n", (unsigned long long)k - (unsigned long long)code, code);
    free(w);
    return code;
}

/* Whether each planted bug is found, and by the invariant that it breaks. */
static int check_plants(const struct arguments *a)
{
    struct sim_world *w = sim_alloc(sizeof *w);
    size_t unseen = 0;
    for (size_t i = 0; i < sim_plant_count; i++) {
        const struct sim_plant *plant = &sim_plants[i];
        struct sim_options o = a->options;
        uint64_t found = 0;
        o.plant = plant->name;
        for (uint64_t k = 0; k < PLANT_SEEDS && found == 0; k++) {
            o.seed = a->first + k;
            if (!sim_world_run(w, &o) && strcmp(w->invariant, plant->invariant) == 0)
                found = o.seed;
            sim_world_close(w);
        }
        unseen += found == 0;
        (void)printf("%-16s %-16s %s", plant->name, plant->invariant, found != 0 ? "found with seed " : "NOT FOUND\n");
        if (found != 0)
            (void)printf("%llu\n", (unsigned long long)found);
    }
    (void)printf("%zu passed, %zu failed\n", sim_plant_count - unseen, unseen);
    free(w);
    return unseen == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct arguments a;
    parse(argc, argv, &a);
    if (a.plants)
        return check_plants(&a);
    return a.report ? sim_report(&a.options) : run_seeds(&a);
}
