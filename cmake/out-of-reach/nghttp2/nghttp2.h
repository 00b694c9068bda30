#error "common/core is pure: it may not include nghttp2/nghttp2.h"
