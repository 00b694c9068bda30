#include "core/ses.h"

#include <math.h>

#define SHARE_MIN 0.0001
#define SHARE_MAX 0.9999
/* The best of a grid, then a golden section between its neighbours, as often as it takes for a thousandth. */
#define GRID     10u
#define SECTIONS 14u
#define GOLDEN   0.6180339887498949

/* The squared error one step ahead is a parabola in the first level: error_t = e_t - first x (1 - share)^t. */
struct parabola {
    double errors, cross, powers;
};

static struct parabola squared_error(const double *values, size_t count, double share)
{
    struct parabola p = {0, 0, 0};
    double level = 0, power = 1;
    for (size_t i = 0; i < count; i++) {
        if (isnan(values[i]))
            continue;
        double error = values[i] - level;
        p.errors += error * error;
        p.cross += error * power;
        p.powers += power * power;
        level += share * error;
        power *= 1 - share;
    }
    return p;
}

static double cost(const double *values, size_t count, double share)
{
    struct parabola p = squared_error(values, count, share);
    return p.errors - p.cross * p.cross / p.powers;
}

struct weir_ses weir_ses_fit(const double *values, size_t count)
{
    double width = (SHARE_MAX - SHARE_MIN) / GRID, best = SHARE_MAX, best_cost = INFINITY;
    for (unsigned i = 0; i <= GRID; i++) {
        double share = SHARE_MIN + width * i, c = cost(values, count, share);
        if (c < best_cost) {
            best_cost = c;
            best = share;
        }
    }
    double low = fmax(best - width, SHARE_MIN), high = fmin(best + width, SHARE_MAX);
    double left = high - GOLDEN * (high - low), right = low + GOLDEN * (high - low);
    double left_cost = cost(values, count, left), right_cost = cost(values, count, right);
    for (unsigned i = 0; i < SECTIONS; i++) {
        if (left_cost < right_cost) {
            high = right;
            right = left;
            right_cost = left_cost;
            left = high - GOLDEN * (high - low);
            left_cost = cost(values, count, left);
        } else {
            low = left;
            left = right;
            left_cost = right_cost;
            right = low + GOLDEN * (high - low);
            right_cost = cost(values, count, right);
        }
    }
    double share = (low + high) / 2;
    struct parabola p = squared_error(values, count, share);
    return (struct weir_ses){share, p.cross / p.powers};
}

void weir_ses_replay(const struct weir_ses *s, const double *values, size_t count, double *levels)
{
    double level = s->first;
    for (size_t i = 0; i < count; i++) {
        if (!isnan(values[i]))
            level += s->share * (values[i] - level);
        levels[i] = level;
    }
}

/* Puts the n-th smallest number at its place, the smaller ones before it and the larger ones after it (Hoare's select).
 */
static void select_nth(double *v, size_t count, size_t n)
{
    size_t low = 0, high = count - 1;
    while (low < high) {
        double pivot = v[low + (high - low) / 2];
        size_t i = low, j = high;
        for (;; i++, j--) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i >= j)
                break;
            double t = v[i];
            v[i] = v[j];
            v[j] = t;
        }
        if (n <= j)
            high = j;
        else
            low = j + 1;
    }
}

double weir_ses_error_quantile(const double *values, const double *levels, size_t count, unsigned ahead, double q,
                               double *scratch)
{
    size_t errors = 0;
    for (size_t i = 0; i + ahead < count; i++)
        if (!isnan(values[i]) && !isnan(values[i + ahead]))
            scratch[errors++] = values[i + ahead] - levels[i];
    if (errors == 0)
        return 0;
    double place = q * (double)(errors - 1);
    size_t below = (size_t)place;
    select_nth(scratch, errors, below);
    double lower = scratch[below], upper = below + 1 < errors ? INFINITY : lower;
    for (size_t i = below + 1; i < errors; i++)
        upper = fmin(upper, scratch[i]);
    return lower + (place - (double)below) * (upper - lower);
}
