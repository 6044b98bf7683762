// Dropout in C++: a layer that keeps nothing between its forward and backward pass but the number of its draw.
#include <array>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "simdrop.h"

class Dropout {
  public:
    using Vector = std::vector<float>;
    using Key = std::array<std::uint8_t, SIMDROP_KEY_BYTES>;

    Dropout(const Key &key, double p) : scale_(p < 1 ? 1 / (1 - p) : 0) {
        simdrop_expand_key(key.data(), rule_.round_keys);
        simdrop_set_p(&rule_, p);
    }

    // y = x / (1 - p) where kept, else 0. Each call takes the next draw.
    Vector forward(const Vector &x) {
        rule_.draw = next_++;
        return apply(x);
    }

    // The gradient with respect to the latest x: the same operator.
    Vector backward(const Vector &dy) const { return apply(dy); }

  private:
    Vector apply(const Vector &x) const {
        Vector y(x.size());
        simdrop_apply(SIMDROP_F32, &rule_, 0, x.size(), x.data(), y.data(), scale_);
        return y;
    }

    simdrop_rule rule_{};
    std::uint64_t next_ = 0;
    double scale_;
};

static void print(const char *name, const std::vector<float> &values) {
    std::printf("%s", name);
    for (float value : values) {
        std::printf(" %g", value);
    }
    std::printf("\n");
}

int main() {
    simdrop_isa_choose(nullptr);
    // simdrop.Stream(0).key in Python
    Dropout dropout({0xbe, 0x78, 0xf4, 0xb0, 0xe7, 0xd7, 0x2c, 0xdb, 0x49, 0xba, 0x71, 0x2c, 0x1a, 0x64, 0xf4, 0xab},
                    0.5);
    for (int step = 0; step < 2; step++) {
        print("y", dropout.forward({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
        print("dx", dropout.backward(std::vector<float>(10, 1)));
    }
}
