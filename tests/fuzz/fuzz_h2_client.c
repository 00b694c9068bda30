/* Whatever a server answers over HTTP/2, however it is cut. See h2_harness.h. */
#include "h2_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_h2(false, data, size);
}
