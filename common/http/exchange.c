#include "http/exchange.h"

#define RESET_TEXT(id, text, fault) [WEIR_RESET_##id] = text,
static const char *const texts[] = {WEIR_RESET_MAP(RESET_TEXT)};
#undef RESET_TEXT
#define RESET_FAULT(id, text, fault) [WEIR_RESET_##id] = fault,
static const enum weir_fault faults[] = {WEIR_RESET_MAP(RESET_FAULT)};
#undef RESET_FAULT

const char *weir_reset_text(enum weir_reset_reason reason)
{
    return texts[reason];
}

enum weir_fault weir_reset_fault(enum weir_reset_reason reason)
{
    return faults[reason];
}
