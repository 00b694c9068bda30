#include "core/forecast_mix.h"

#include <assert.h>
#include <math.h>

/* In units of the usual error: one burst does not decide. */
#define GAIN_MAX 5.0

void weir_mix_learn(struct weir_mix *m, size_t count, const float *said, double mixture, double slope, double unit,
                    double kept)
{
    assert(count <= WEIR_MIX_MAX && unit > 0);
    for (size_t i = 0; i < count; i++) {
        double gain = fmin(fmax(slope * (mixture - (double)said[i]) / unit, -GAIN_MAX), GAIN_MAX);
        m->gain[i] = m->gain[i] * kept + gain;
        m->spread[i] = m->spread[i] * kept + gain * gain;
    }
}

void weir_mix_weights(const struct weir_mix *m, size_t count, double rate, size_t favoured, double favour,
                      double *weights)
{
    assert(0 < count && count <= WEIR_MIX_MAX);
    double choices = log((double)count), best = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++) {
        weights[i] = rate * sqrt(choices / (m->spread[i] + 1)) * m->gain[i] + (i == favoured ? favour : 0);
        best = fmax(best, weights[i]);
    }
    for (size_t i = 0; i < count; i++)
        sum += weights[i] = exp(weights[i] - best);
    for (size_t i = 0; i < count; i++)
        weights[i] /= sum;
}
