/* Dropout in a C program: the same mask as Python's, whole or in parts, on every instruction set of this CPU. */
#include <stdio.h>
#include <string.h>

#include "simdrop.h"

enum { N = 100003 };
static float x[N], whole[N], parts[N];
static double x64[N], whole64[N], parts64[N];

int main(void) {
    for (int i = 0; i < N; i++) {
        x64[i] = x[i] = (float)(i + 1);
    }
    /* simdrop.Stream(0).mask(N, p=0.1) in Python */
    const uint8_t key[SIMDROP_KEY_BYTES] = {0xbe, 0x78, 0xf4, 0xb0, 0xe7, 0xd7, 0x2c, 0xdb,
                                            0x49, 0xba, 0x71, 0x2c, 0x1a, 0x64, 0xf4, 0xab};
    const double p = 0.1;
    simdrop_rule rule = {.draw = 0};
    simdrop_expand_key(key, rule.round_keys);
    simdrop_set_p(&rule, p);

    printf("simdrop %s\n", simdrop_version());
    const char *isa;
    for (size_t i = 0; (isa = simdrop_isa_available(i)) != NULL; i++) {
        simdrop_isa_choose(isa);
        simdrop_apply(SIMDROP_F32, &rule, 0, N, x, whole, 1 / (1 - p));
        simdrop_apply(SIMDROP_F64, &rule, 0, N, x64, whole64, 1 / (1 - p));

        /* Any part of a mask can be made by itself, in any order: here, pieces that end anywhere, last one first. */
        memset(parts, 0xca, sizeof parts);
        memset(parts64, 0xca, sizeof parts64);
        for (size_t end = N, length = 1; end > 0; end -= length, length = length * 5 % 1031 + 1) {
            length = length < end ? length : end;
            const size_t start = end - length;
            simdrop_apply(SIMDROP_F32, &rule, start, length, x + start, parts + start, 1 / (1 - p));
            simdrop_apply(SIMDROP_F64, &rule, start, length, x64 + start, parts64 + start, 1 / (1 - p));
        }
        if (memcmp(whole, parts, sizeof whole) != 0 || memcmp(whole64, parts64, sizeof whole64) != 0) {
            fprintf(stderr, "%s: the parts differ from the whole\n", isa);
            return 1;
        }
        printf("%s drops", isa);
        for (int e = 0; e < N; e++) {
            if (whole[e] == 0) {
                printf(" %d", e);
            }
        }
        printf("\n");
    }
    return 0;
}
