#error "common/core is pure: it may not include ares.h"
