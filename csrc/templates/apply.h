/* Select and scale for one type: kernels.c includes it for each, with T (an element), SUFFIX (of its names) and TILE_OF
   (its tile operation: keep bits, x, y, and the scale, which types that are copied ignore). */

typedef struct {
    const T *x;
    T *y;
    double scale;
    int past_cache; /* where y is aligned to a line */
} NAME(selection);

INLINE void NAME(select_tile)(void *args, uint64_t keep, size_t i, size_t column, size_t count) {
    const NAME(selection) *selection = args;
    const T *x = selection->x + i;
    T *y = selection->y + i;
    (void)column;
    _Alignas(LINE) T buffer[TILE];
    if (count < TILE) {
        memset(buffer, 0, sizeof buffer);
        copy_part(buffer, x, count * sizeof(T));
        TILE_OF(keep, buffer, buffer, selection->scale);
        copy_part(y, buffer, count * sizeof(T));
    } else if (selection->past_cache) {
        TILE_OF(keep, x, buffer, selection->scale);
        stream_lines(y, buffer, sizeof buffer);
    } else {
        TILE_OF(keep, x, y, selection->scale);
    }
}

INLINE void NAME(select_tiles)(NAME(selection) selection, const uint64_t *bits, size_t shift, size_t n,
                               prefetch memory) {
    size_t i = 0;
    for (; i + TILE <= n; i += TILE) {
        prefetch_tile(memory, i / TILE);
        NAME(select_tile)(&selection, bits_at(bits + i / TILE, shift), i, 0, TILE);
    }
    if (i < n) {
        NAME(select_tile)(&selection, bits_at(bits + i / TILE, shift), i, 0, n - i);
    }
}

/* n elements whose bits begin `shift` bits into a word. Three loops: what is constant in each costs nothing. */
static void NAME(select)(const uint64_t *bits, size_t shift, size_t n, const void *x, void *y, double scale,
                         prefetch memory, int past_cache) {
    memory.bytes = TILE * sizeof(T);
    if (past_cache) {
        memory.written = NULL;
        NAME(select_tiles)((NAME(selection)){x, y, scale, 1}, bits, shift, n, memory);
    } else if (memory.read) {
        NAME(select_tiles)((NAME(selection)){x, y, scale, 0}, bits, shift, n, memory);
    } else {
        NAME(select_tiles)((NAME(selection)){x, y, scale, 0}, bits, shift, n, (prefetch){0});
    }
}

static void NAME(apply)(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double scale) {
    const size_t first = first_chunk(start, y, sizeof(T));
    const int past_cache = n >= STREAM_FROM / sizeof(T) && (uintptr_t)((T *)y + first) % LINE == 0;
    NAME(selection) selection = {x, y, scale, past_cache};
    const prefetch memory = {.read = x, .written = past_cache ? NULL : y, .bytes = TILE * sizeof(T)};
    for_each_tile_of_array(rule, start, n, n < ALIGN_FROM ? CHUNK : first, memory, &selection, NAME(select_tile));
    if (past_cache) {
        finish_streams();
    }
}

#undef T
#undef SUFFIX
