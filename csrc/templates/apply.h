/* Select and scale for one type: kernels.c includes it once for each, with T (an element), NAME (its suffix), and
   TILE_OF (sixty-four elements: keep bits, x, y, and the scale where the type is one that is scaled). */

/* Tile t of those whose bits begin `shift` bits into a word; past_cache wants y aligned to a line. */
INLINE void NAME(select_tile)(const uint64_t *bits, size_t shift, size_t t, const T *x, T *y, double scale,
                              int past_cache) {
    const uint64_t keep = bits_at(bits + t, shift);
    if (past_cache) {
        _Alignas(LINE) T whole[TILE];
        TILE_OF(keep, x + t * TILE, whole);
        stream_lines(y + t * TILE, whole, sizeof whole);
    } else {
        TILE_OF(keep, x + t * TILE, y + t * TILE);
    }
}

/* Tiles from t on, and what is left of n elements after them. */
INLINE void NAME(select_rest)(const uint64_t *bits, size_t shift, size_t t, size_t n, const T *x, T *y, double scale,
                              lookahead ahead, int past_cache) {
    for (; (t + 1) * TILE <= n; t++) {
        fetch(ahead, t);
        NAME(select_tile)(bits, shift, t, x, y, scale, past_cache);
    }
    const size_t left = n - t * TILE;
    if (left != 0) {
        _Alignas(LINE) T whole[TILE] = {0};
        memcpy(whole, x + t * TILE, left * sizeof(T));
        NAME(select_tile)(bits + t, shift, 0, whole, whole, scale, 0);
        memcpy(y + t * TILE, whole, left * sizeof(T));
    }
}

/* Three loops: what is constant in each costs nothing. */
static void NAME(select)(const uint64_t *bits, size_t shift, size_t n, const void *x, void *y, double scale,
                         lookahead ahead, int past_cache) {
    ahead.bytes = TILE * sizeof(T);
    if (past_cache) {
        ahead.written = NULL;
        NAME(select_rest)(bits, shift, 0, n, x, y, scale, ahead, 1);
    } else if (ahead.read) {
        NAME(select_rest)(bits, shift, 0, n, x, y, scale, ahead, 0);
    } else {
        NAME(select_rest)(bits, shift, 0, n, x, y, scale, (lookahead){0}, 0);
    }
}

/* Where plane 0 decides all, or with more planes, where elements may tie. */
INLINE void NAME(apply_planes)(const simdrop_rule *rule, uint64_t start, size_t n, const T *x, T *y, double scale,
                               int planes) {
    const size_t first = first_chunk(start, y, sizeof(T));
    const int past_cache = n >= STREAM_FROM / sizeof(T) && (uintptr_t)(y + first) % LINE == 0;
    /* The tiles of a chunk are drawn between those of the one before it, one by one: the AES units work while the CPU
       waits for memory, and the ties of a chunk are settled together. */
    uint64_t bits[2][CHUNK_TILES + 1], tied[CHUNK_TILES];
    drawing drawing;
    begin_drawing(&drawing, rule);
    size_t count = 0, next = smaller(n, n < ALIGN_FROM ? CHUNK : first);
    for (int turn = 0; n != 0; turn = !turn) {
        const uint64_t tile = (start + count) / TILE;
        const size_t shift = start % TILE, tiles = next ? tiles_of((start + count) % TILE, next) : 0;
        const lookahead ahead = {
            .read = x + count, .written = past_cache ? NULL : y + count, .bytes = TILE * sizeof(T)};
        begin_chunk(&drawing, rule, tile, tiles);
        size_t t = 0;
        for (; t < tiles && (t + 1) * TILE <= count; t++) {
            draw_tile(&drawing, rule, t, bits[turn], tied, ahead, planes);
            NAME(select_tile)(bits[!turn], shift, t, x, y, scale, past_cache);
        }
        for (size_t later = t; later < tiles; later++) {
            draw_tile(&drawing, rule, later, bits[turn], tied, ahead, planes);
        }
        NAME(select_rest)(bits[!turn], shift, t, count, x, y, scale, (lookahead){0}, past_cache);
        if (planes > 1) {
            settle_ties(rule, drawing.keys, tile, bits[turn], tied, tiles);
        }
        start += count, x += count, y += count, n -= count;
        count = next;
        next = smaller(n - count, CHUNK);
    }
    if (past_cache) {
        finish_streams();
    }
}

static void NAME(apply)(const simdrop_rule *rule, uint64_t start, size_t n, const void *x, void *y, double scale) {
    if (rule->planes == 0) {
        uint64_t bits[CHUNK_TILES + 1];
        memset(bits, rule->digits ? 0 : 0xff, sizeof bits);
        for (size_t i = 0; i < n; i += CHUNK) {
            NAME(select)(bits, 0, smaller(n - i, CHUNK), (const T *)x + i, (T *)y + i, scale, (lookahead){0}, 0);
        }
    } else if (rule->planes == 1) {
        NAME(apply_planes)(rule, start, n, x, y, scale, 1);
    } else {
        NAME(apply_planes)(rule, start, n, x, y, scale, 2);
    }
}

#undef T
#undef NAME
#undef TILE_OF
