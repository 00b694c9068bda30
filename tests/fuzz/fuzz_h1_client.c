/* Whatever a server answers, however it is cut. See h1_harness.h. */
#include "h1_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_h1(false, data, size);
}
