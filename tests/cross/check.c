/* Replays the cases that vectors.py wrote on every instruction set of this machine: the oracle's bits, or exit 1. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simdrop.h"

enum {
    SPACE = 1 << 22, /* bytes of the largest case and what is around it */
    AROUND = 128,    /* bytes of canaries before and behind y */
    POISON = 0xca,
    LARGE = 1 << 25, /* bytes of y from which kernels.c writes it past the caches */
    PIECE = 4099,    /* elements: too few for kernels.c to align its stores */
};

static const char *const type_names[SIMDROP_TYPES] = {"f16", "bf16", "f32", "f64", "c64", "c128",
                                                      "u8",  "u16",  "u32", "u64", "u128"};
static const size_t type_bytes[SIMDROP_TYPES] = {2, 2, 4, 8, 8, 16, 1, 2, 4, 8, 16};
static const size_t type_part[SIMDROP_TYPES] = {2, 2, 4, 8, 4, 8, 1, 2, 4, 8, 8};

static _Alignas(64) uint8_t x_memory[SPACE], y_memory[SPACE], expected_memory[SPACE];

static const uint8_t *next, *end; /* of the cases that are left */
static char about[256];           /* the case that runs */

static void fail(const char *why) {
    printf("%s: %s: %s\n", simdrop_isa_name(), about, why);
    exit(1);
}

/* The file's numbers are little-endian. */

static const uint8_t *take(size_t bytes) {
    if ((size_t)(end - next) < bytes || bytes > SPACE - 4 * AROUND) {
        fail("the file is cut short, or a case is too large");
    }
    next += bytes;
    return next - bytes;
}

static uint64_t take_number(void) {
    const uint8_t *bytes = take(8);
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) {
        number |= (uint64_t)bytes[i] << 8 * i;
    }
    return number;
}

static double take_double(void) {
    const uint64_t bits = take_number();
    double number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static simdrop_rule take_rule(void) {
    simdrop_rule rule;
    simdrop_expand_key(take(SIMDROP_KEY_BYTES), rule.round_keys);
    rule.draw = take_number();
    simdrop_set_p(&rule, take_double());
    return rule;
}

static int big_endian(void) {
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 0;
}

/* `bytes` of little-endian numbers of `part` bytes, as this machine has them. */
static void take_numbers(uint8_t *to, size_t bytes, size_t part) {
    const uint8_t *from = take(bytes);
    for (size_t i = 0; i < bytes; i++) {
        to[i] = from[big_endian() ? i - i % part + part - 1 - i % part : i];
    }
}

static void expect(const char *what, const uint8_t *got, const uint8_t *expected, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (got[i] != expected[i]) {
            char why[128];
            snprintf(why, sizeof why, "%s: byte %zu of %zu is %02x, not %02x", what, i, bytes, got[i], expected[i]);
            fail(why);
        }
    }
}

static void check_keystream(void) {
    const simdrop_rule rule = take_rule();
    const uint64_t plane = take_number(), block = take_number(), blocks = take_number();
    const size_t bytes = blocks * SIMDROP_BLOCK_BYTES;
    snprintf(about, sizeof about, "%" PRIu64 " blocks of keystream from block %" PRIu64 " of plane %" PRIu64, blocks,
             block, plane);
    memset(y_memory, POISON, bytes + 2 * AROUND);
    memset(expected_memory, POISON, bytes + 2 * AROUND);
    memcpy(expected_memory + AROUND, take(bytes), bytes);
    simdrop_keystream(&rule, plane, block, blocks, y_memory + AROUND);
    expect("keystream", y_memory, expected_memory, bytes + 2 * AROUND);
}

static void check_mask(void) {
    static intptr_t indices[SPACE / 8];
    const simdrop_rule rule = take_rule();
    const uint64_t start = take_number(), n = take_number(), packed = (n + 7) / 8;
    snprintf(about, sizeof about, "mask of %" PRIu64 " elements from %" PRIu64 ", p as digits %016" PRIx64, n, start,
             rule.digits);
    memset(expected_memory, POISON, n + 2 * AROUND);
    memcpy(expected_memory + AROUND, take(n), n);
    memset(y_memory, POISON, n + 2 * AROUND);
    simdrop_keep(&rule, start, n, y_memory + AROUND);
    expect("keep", y_memory, expected_memory, n + 2 * AROUND);
    const uint8_t *keep = expected_memory + AROUND;

    memset(indices, 0xff, (n + 1) * sizeof *indices);
    size_t kept = 0;
    for (size_t e = 0; e < n; e++) {
        kept += keep[e];
    }
    simdrop_packbits(&rule, start, n, x_memory);
    simdrop_indices(x_memory, n, indices, kept);
    for (size_t e = 0, i = 0; e < n; e++) {
        if (keep[e] && indices[i++] != (intptr_t)e) {
            fail("an index differs");
        }
    }
    if (indices[kept] != -1) {
        fail("more indices than elements are kept");
    }
    memset(expected_memory, POISON, packed + 2 * AROUND);
    memcpy(expected_memory + AROUND, take(packed), packed);
    memset(y_memory, POISON, packed + 2 * AROUND);
    simdrop_packbits(&rule, start, n, y_memory + AROUND);
    expect("packbits", y_memory, expected_memory, packed + 2 * AROUND);
}

static void check_apply(void) {
    const simdrop_rule rule = take_rule();
    const uint64_t start = take_number(), type = take_number(), n = take_number();
    const double scale = take_double();
    const size_t x_at = take_number(), y_at = take_number(), bytes = n * type_bytes[type];
    snprintf(about, sizeof about, "apply to %" PRIu64 " %s from %" PRIu64 " at %zu to %zu, p as digits %016" PRIx64, n,
             type_names[type], start, x_at, y_at, rule.digits);
    uint8_t *x = x_memory + x_at, *y = y_memory + AROUND + y_at;
    take_numbers(x, bytes, type_part[type]);
    memset(expected_memory, POISON, bytes + 2 * AROUND);
    take_numbers(expected_memory + AROUND, bytes, type_part[type]);

    memset(y - AROUND, POISON, bytes + 2 * AROUND);
    simdrop_apply((simdrop_type)type, &rule, start, n, x, y, scale);
    expect("y", y - AROUND, expected_memory, bytes + 2 * AROUND);

    memcpy(y, x, bytes);
    simdrop_apply((simdrop_type)type, &rule, start, n, y, y, scale);
    expect("in place", y - AROUND, expected_memory, bytes + 2 * AROUND);
}

/* Drawn, or with stored bits. */
static void check_array(int stored) {
    const simdrop_rule rule = take_rule();
    const uint64_t start = take_number();
    simdrop_elements elements = {.type = (simdrop_type)take_number(), .bytes = take_number()};
    const size_t number = take_number(); /* bytes that a byte order is about */
    const int big_x = take_number() != 0, big_y = take_number() != 0;
    elements.swap_x = number > 1 && big_x != big_endian() ? number : 0;
    elements.swap_y = number > 1 && big_y != big_endian() ? number : 0;
    elements.scale = take_double();
    simdrop_axis axes[8];
    const size_t count = take_number();
    int length = snprintf(about, sizeof about, "%s an array of %s (%zu bytes, %s to %s) from %" PRIu64,
                          stored ? "select from" : "apply to", type_names[elements.type], elements.bytes,
                          big_x ? ">" : "<", big_y ? ">" : "<", start);
    for (size_t i = 0; i < count; i++) {
        axes[i].n = take_number();
        axes[i].x = (ptrdiff_t)take_number();
        axes[i].y = (ptrdiff_t)take_number();
        axes[i].element = take_number();
        length += snprintf(about + length, sizeof about - (size_t)length, ", %zu by %td to %td", axes[i].n, axes[i].x,
                           axes[i].y);
    }
    const size_t x_at = take_number(), x_bytes = take_number(), y_at = take_number(), y_bytes = take_number();
    memcpy(x_memory, take(x_bytes), x_bytes);
    memset(y_memory, POISON, y_bytes);
    if (stored) {
        const size_t bytes = take_number();
        simdrop_select_array(take(bytes), start, elements, (int)count, axes, x_memory + x_at, y_memory + y_at);
    } else {
        simdrop_apply_array(&rule, start, elements, (int)count, axes, x_memory + x_at, y_memory + y_at);
    }
    expect("y", y_memory, take(y_bytes), y_bytes);
}

/* The bits of a block, with one p or one for each element. */
static void check_block(void) {
    const simdrop_rule rule = take_rule();
    const uint64_t start = take_number();
    simdrop_axis axes[8];
    const size_t count = take_number();
    int length = snprintf(about, sizeof about, "bits of a block from %" PRIu64, start);
    size_t n = 1;
    for (size_t i = 0; i < count; i++) {
        axes[i].n = take_number();
        axes[i].x = (ptrdiff_t)take_number();
        axes[i].element = take_number();
        n *= axes[i].n;
        length += snprintf(about + length, sizeof about - (size_t)length, ", %zu by %" PRIu64 " (p by %td)", axes[i].n,
                           axes[i].element, axes[i].x);
    }
    const size_t p_at = take_number(), p_bytes = take_number(), packed = (n + 7) / 8;
    take_numbers(x_memory, p_bytes, sizeof(double));
    const double *p = p_bytes == 0 ? NULL : (const double *)(x_memory + p_at);
    memset(expected_memory, POISON, packed + 2 * AROUND);
    memcpy(expected_memory + AROUND, take(packed), packed);
    memset(y_memory, POISON, packed + 2 * AROUND);
    simdrop_packbits_array(&rule, start, (int)count, axes, p, y_memory + AROUND);
    expect("packbits", y_memory, expected_memory, packed + 2 * AROUND);
}

/* Forward and backward, each in two parts: a row, and those after it. */
static void check_fused(void) {
    static const char *const functions[] = {"bias_dropout", "dropout_add", "relu_dropout"};
    enum { BIAS, ADD, RELU };
    const simdrop_rule rule = take_rule();
    const uint64_t function = take_number(), is_double = take_number(), activation = take_number();
    const size_t n = take_number(), columns = take_number(), size = is_double ? sizeof(double) : sizeof(float);
    const double scale = take_double();
    const size_t bytes = n * size, row = columns * size;
    snprintf(about, sizeof about, "%s %" PRIu64 " of %zu elements of %zu bytes in rows of %zu, p as digits %016" PRIx64,
             functions[function], activation, n, size, columns, rule.digits);
    const size_t other_bytes = function == BIAS ? row : function == ADD ? bytes : 0;
    uint8_t *const x = x_memory, *const other = x + bytes, *const dy = other + other_bytes;
    uint8_t *const dx = y_memory, *const y = dx + bytes, *const dbias = y + bytes;
    double *sums = calloc(2 * columns, sizeof *sums);
    if (sums == NULL || 3 * bytes + row > SPACE) {
        fail("no memory");
    }
    take_numbers(x, 2 * bytes + other_bytes, size);
    const simdrop_type type = is_double ? SIMDROP_F64 : SIMDROP_F32;
    for (size_t start = 0, end = columns; start < n; start = end, end = n) {
        const size_t at = start * size, count = end - start;
        if (function == BIAS) {
            simdrop_bias_dropout(type, (simdrop_activation)activation, &rule, start, count, columns, x + at, other,
                                 y + at, scale);
        } else if (function == ADD) {
            simdrop_dropout_add(type, &rule, start, count, x + at, other + at, y + at, scale);
        } else {
            simdrop_relu_dropout(type, &rule, start, count, x + at, y + at, scale);
        }
        if (function == ADD) {
            simdrop_apply(type, &rule, start, count, dy + at, dx + at, scale);
        } else if (function == RELU || activation == SIMDROP_RELU) {
            simdrop_relu_dropout_backward(type, count, columns, y + at, dy + at, dx + at,
                                          function == RELU ? NULL : sums, scale);
        } else {
            simdrop_bias_dropout_backward(type, (simdrop_activation)activation, &rule, start, count, columns, x + at,
                                          other, dy + at, dx + at, sums, scale);
        }
    }
    take_numbers(expected_memory, bytes, size);
    expect("y", y, expected_memory, bytes);
    take_numbers(expected_memory, bytes, size);
    expect("dx", dx, expected_memory, bytes);
    if (function == BIAS) {
        simdrop_finish_sums(type, columns, 1, 1, sums, dbias);
        take_numbers(expected_memory, row, size);
        expect("dbias", dbias, expected_memory, row);
    }
    free(sums);
}

/* Normal numbers, and a noise and a shift of them in float and double. */
static void check_noise(void) {
    const simdrop_rule rule = take_rule();
    const uint64_t start = take_number(), n = take_number();
    snprintf(about, sizeof about, "%" PRIu64 " normal numbers from %" PRIu64, n, start);
    memset(expected_memory, POISON, n * sizeof(double) + 2 * AROUND);
    memset(y_memory, POISON, n * sizeof(double) + 2 * AROUND);
    take_numbers(expected_memory + AROUND, n * sizeof(float), sizeof(float));
    simdrop_normals(&rule, start, n, (float *)(y_memory + AROUND));
    expect("z", y_memory, expected_memory, n * sizeof(float) + 2 * AROUND);
    for (int is_double = 0; is_double < 2; is_double++) {
        const simdrop_type type = is_double ? SIMDROP_F64 : SIMDROP_F32;
        const size_t size = is_double ? sizeof(double) : sizeof(float), bytes = n * size;
        take_numbers(x_memory, bytes, size);
        for (int kernel = 0; kernel < 3; kernel++) {
            uint8_t *y = y_memory + AROUND;
            memset(y_memory, POISON, bytes + 2 * AROUND);
            memset(expected_memory, POISON, bytes + 2 * AROUND);
            take_numbers(expected_memory + AROUND, bytes, size);
            if (kernel == 0) {
                simdrop_multiply_noise(type, &rule, start, n, x_memory, y, 0.7);
            } else if (kernel == 1) {
                simdrop_add_noise(type, &rule, start, n, x_memory, y, 0.7);
            } else {
                simdrop_dropout_shift(type, &rule, start, n, x_memory, y, 0.9, 0.3, -1.1);
            }
            expect("y", y_memory, expected_memory, bytes + 2 * AROUND);
        }
    }
}

/* What is written past the caches: the file has none of it; small pieces, which other cases check, decide. */
static void check_large(void) {
    const uint64_t type = take_number();
    const size_t size = type_bytes[type], n = LARGE / size + 1029, start = 77, space = n * size + 4 * AROUND;
    const double scale = 1 / 0.7;
    simdrop_rule rule = {.draw = 1};
    simdrop_expand_key((const uint8_t[SIMDROP_KEY_BYTES]){1}, rule.round_keys);
    simdrop_set_p(&rule, 0.3);
    snprintf(about, sizeof about, "apply to %zu %s", n, type_names[type]);
    uint8_t *x = malloc(space), *memory = malloc(space);
    if (x == NULL || memory == NULL) {
        fail("no memory");
    }
    for (size_t i = 0; i < space; i++) {
        x[i] = (uint8_t)(i * 0x9e3779b97f4a7c15 >> 56);
    }
    memset(memory, POISON, space);
    memset(expected_memory, POISON, AROUND);
    uint8_t *y = memory + AROUND + size;
    simdrop_apply((simdrop_type)type, &rule, start, n, x, y, scale);
    expect("before y", y - AROUND, expected_memory, AROUND);
    expect("behind y", y + n * size, expected_memory, AROUND);
    for (size_t i = 0; i < n; i += n - i > 16 * PIECE ? 16 * PIECE : PIECE) {
        const size_t length = n - i < PIECE ? n - i : PIECE;
        simdrop_apply((simdrop_type)type, &rule, start + i, length, x + i * size, y_memory, scale);
        expect("a piece", y + i * size, y_memory, length * size);
    }
    free(x), free(memory);
}

static uint8_t *contents(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        return NULL;
    }
    *size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(*size);
    if (bytes != NULL && fread(bytes, 1, *size, file) != *size) {
        return NULL;
    }
    fclose(file);
    return bytes;
}

int main(int argc, char **argv) {
    size_t size;
    uint8_t *cases = argc == 2 ? contents(argv[1], &size) : NULL;
    if (cases == NULL) {
        fprintf(stderr, "usage: check VECTORS\n");
        return 2;
    }
    const char *isa;
    for (size_t i = 0; (isa = simdrop_isa_available(i)) != NULL; i++) {
        simdrop_isa_choose(isa);
        size_t count = 0;
        for (next = cases, end = cases + size; next < end; count++) {
            switch (*take(1)) {
            case 'K':
                check_keystream();
                break;
            case 'M':
                check_mask();
                break;
            case 'A':
                check_apply();
                break;
            case 'S':
                check_array(0);
                break;
            case 'B':
                check_array(1);
                break;
            case 'P':
                check_block();
                break;
            case 'F':
                check_fused();
                break;
            case 'N':
                check_noise();
                break;
            case 'L':
                check_large();
                break;
            default:
                fail("a case of no known kind follows");
            }
        }
        printf("%s: %zu cases\n", isa, count);
        fflush(stdout);
    }
    free(cases);
    return 0;
}
