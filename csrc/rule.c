/* From a key and a probability to the rule that decides which elements are dropped. */
#include "kernels.h"
#include "tables/sbox.h"

#include <string.h>

#define BYTE(s) s,
static const uint8_t sbox[256] = {SBOX(BYTE)};

void simdrop_expand_key(const uint8_t key[SIMDROP_KEY_BYTES], uint8_t round_keys[SIMDROP_SCHEDULE_BYTES]) {
    memcpy(round_keys, key, SIMDROP_KEY_BYTES);
    uint8_t round_constant = 1;
    for (int i = 16; i < SIMDROP_SCHEDULE_BYTES; i += 4) {
        const uint8_t *last = round_keys + i - 4;
        uint8_t word[4] = {last[0], last[1], last[2], last[3]};
        if (i % 16 == 0) {
            word[0] = sbox[last[1]] ^ round_constant;
            word[1] = sbox[last[2]];
            word[2] = sbox[last[3]];
            word[3] = sbox[last[0]];
            round_constant = (uint8_t)(round_constant << 1 ^ (round_constant >> 7) * 0x1b);
        }
        for (int j = 0; j < 4; j++) {
            round_keys[i + j] = round_keys[i + j - 16] ^ word[j];
        }
    }
}

void simdrop_set_p(simdrop_rule *rule, double p) {
    rule->digits = simdrop_digits(p);
    rule->planes = 0;
    if (p < 1) {
        for (uint64_t rest = rule->digits; rest != 0; rest <<= 8) {
            rule->planes++;
        }
    }
}
