#error "common/core is pure: it may not include hiredis/hiredis.h"
