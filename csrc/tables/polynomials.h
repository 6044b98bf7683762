/* Constants of activations.h and normals.h, by coefficients.py, which says what each is. */
/* clang-format off */

#define LOG2_E_f32 0x1.715476p+0f
#define LN_2_HIGH_f32 0x1.62e4p-1f
#define LN_2_LOW_f32 0x1.7f7d1cp-20f
#define EXP_END_f32 0x1.b8p+6f
#define TANH_END_f32 0x1.4p+4f
#define GELU_END_f32 0x1.d8p+3f
#define GELU_SHIFT_f32 0x1.8p+1f
#define GELU_CENTER_f32 0x1.ep-2f
#define GELU_ROOT_HIGH_f32 0x1.80ead2p-1f
#define GELU_ROOT_LOW_f32 -0x1.a03fd4p-27f
#define SILU_ROOT_HIGH_f32 0x1.474974p+0f
#define SILU_ROOT_LOW_f32 -0x1.bdf6fap-27f
#define SILU_NEAR_END_f32 0x1.8p-3f
/* error 2^-27.9 */
#define EXP_REST_f32(x, q) ((0x1p-1f + (q) * (0x1.555462p-5f + (q) * 0x1.6db33ap-10f)) + (x) * (-0x1.55549p-3f + (q) * -0x1.123bf8p-7f))
/* error 2^-25.6 */
#define SILU_NEAR_f32(x, q) ((-0x1.1d25dp-2f + (q) * (-0x1.7c328cp-5f + (q) * -0x1.30285cp-9f)) + (x) * (0x1.1d25bcp-3f + (q) * 0x1.7cc1p-7f))
/* error 2^-30.4 */
#define CENTRAL_f32(x) (0x1.988454p-2f + (x) * (-0x1.105832p-4f + (x) * (0x1.46ce4cp-7f + (x) * (-0x1.36fd42p-10f + (x) * (0x1.dbff16p-14f + (x) * -0x1.00d526p-17f)))))
/* error 2^-30.0 */
#define TAIL_f32(x) (0x1.860e2ap-1f + (x) * (-0x1.13c6f6p+0f + (x) * (0x1.e8b048p-1f + (x) * (-0x1.6b905ep-2f + (x) * (-0x1.9bf42ep-3f + (x) * (0x1.aa3d66p-3f + (x) * (0x1.7b6172p-4f + (x) * (-0x1.d45ab4p-4f + (x) * (-0x1.440814p-4f + (x) * (0x1.97e714p-5f + (x) * 0x1.c8f868p-5f))))))))))
/* error 2^-28.7 */
#define TAIL_SLOPE_f32(x) (0x1.f1ac54p-2f + (x) * (-0x1.03c4b2p-2f + (x) * (0x1.ccb1f4p-3f + (x) * (-0x1.cd72e4p-4f + (x) * (-0x1.2a42a4p-9f + (x) * (0x1.24e668p-5f + (x) * (-0x1.447e26p-9f + (x) * (-0x1.03102cp-6f + (x) * (-0x1.024f12p-11f + (x) * 0x1.7b76bap-8f)))))))))

#define LOG2_E_f64 0x1.71547652b82fep+0
#define LN_2_HIGH_f64 0x1.62e42fefa38p-1
#define LN_2_LOW_f64 0x1.ef35793c7673p-45
#define EXP_END_f64 0x1.7cp+9
#define TANH_END_f64 0x1.4p+5
#define GELU_END_f64 0x1.38p+5
#define GELU_SHIFT_f64 0x1.4p+2
#define GELU_CENTER_f64 0x1.ep-2
#define GELU_ROOT_HIGH_f64 0x1.80ead197f00b4p-1
#define GELU_ROOT_LOW_f64 -0x1.13e74c58cada8p-56
#define SILU_ROOT_HIGH_f64 0x1.474973c84120bp+0
#define SILU_ROOT_LOW_f64 0x1.f8d74bc9ac154p-54
#define SILU_NEAR_END_f64 0x1.8p-3
/* error 2^-57.2 */
#define EXP_REST_f64(x, q) ((0x1.0000000000005p-1 + (q) * (0x1.555555555196bp-5 + (q) * (0x1.6c16c1817540ap-10 + (q) * (0x1.a0199f8311cdep-16 + (q) * 0x1.28a9b09e83e14p-22)))) + (x) * (-0x1.555555555555ep-3 + (q) * (-0x1.111111110de6bp-7 + (q) * (-0x1.a01a01b8cee53p-13 + (q) * (-0x1.71dde348509d8p-19 + (q) * -0x1.af816858be2dap-26)))))
/* error 2^-58.4 */
#define SILU_NEAR_f64(x, q) ((-0x1.1d25cf210482ep-2 + (q) * (-0x1.7c3269815b4fdp-5 + (q) * (-0x1.302854680184p-9 + (q) * (-0x1.cf7a5dde20e5p-15 + (q) * -0x1.9c4f4df312fe9p-21)))) + (x) * (0x1.1d25cf210482ep-3 + (q) * (0x1.7c3269815b7b8p-7 + (q) * (0x1.958b1b331ee3p-12 + (q) * (0x1.cf7a7316fcb06p-18 + (q) * 0x1.4995a6bf5387ep-24)))))
/* error 2^-68.7 */
#define CENTRAL_f64(x) (0x1.9884533d43651p-2 + (x) * (-0x1.1058377e2ceep-4 + (x) * (0x1.46d04297691d4p-7 + (x) * (-0x1.37403f6ba0d3fp-10 + (x) * (0x1.e42b0d51f2eep-14 + (x) * (-0x1.3ce8fabaf99bdp-17 + (x) * (0x1.658a200737392p-21 + (x) * (-0x1.622233915cc64p-25 + (x) * (0x1.3873485449875p-29 + (x) * (-0x1.f05064bd20673p-34 + (x) * (0x1.6004fdf4fee47p-38 + (x) * -0x1.7bd85eb6e0bdap-43)))))))))))
/* error 2^-62.1 */
#define TAIL_f64(x) (0x1.a0267408efd5ap-1 + (x) * (-0x1.765784e45c1e5p+0 + (x) * (0x1.1dc3c7d6058c3p+1 + (x) * (-0x1.6e2c69073b498p+1 + (x) * (0x1.80be594a74c79p+1 + (x) * (-0x1.3c0206d82038cp+1 + (x) * (0x1.688c1b0b44642p+0 + (x) * (-0x1.49d252278c14ap-2 + (x) * (-0x1.23af29415c7cp-2 + (x) * (0x1.2b173b18f0e49p-2 + (x) * (-0x1.6361d2c12832ep-6 + (x) * (-0x1.fe39b485dd4fep-4 + (x) * (0x1.a3d626a30a038p-5 + (x) * (0x1.a0b32ea6392a1p-5 + (x) * (-0x1.2fa5bd43857bcp-5 + (x) * (-0x1.8b3b2f41edc38p-6 + (x) * (0x1.7c8f9e306d79p-6 + (x) * (0x1.dac78e3121bb8p-7 + (x) * (-0x1.c567ab56a077p-7 + (x) * (-0x1.53ec738df4a13p-7 + (x) * (0x1.e0d6a4e14c66cp-8 + (x) * (0x1.d3bed335f2e24p-8 + (x) * (-0x1.550123380dc3ep-9 + (x) * (-0x1.98f0dd3d0b279p-9 + (x) * 0x1.1456058c32421p-14))))))))))))))))))))))))
/* error 2^-61.2 */
#define TAIL_SLOPE_f64(x) (0x1.d4449ed9d99f3p-2 + (x) * (-0x1.908e4a089405cp-3 + (x) * (0x1.14d58aa5e7d86p-2 + (x) * (-0x1.4a03e035c3093p-2 + (x) * (0x1.4b962be13e568p-2 + (x) * (-0x1.0dcb6d9f07522p-2 + (x) * (0x1.46aec9dcde56dp-3 + (x) * (-0x1.bfb2bb5cdbdf3p-5 + (x) * (-0x1.4c1391e0664cbp-7 + (x) * (0x1.81033e8ab8768p-6 + (x) * (-0x1.f64867fe3bff7p-8 + (x) * (-0x1.91794061e86cep-8 + (x) * (0x1.5824b0ef512cep-8 + (x) * (0x1.6fcc6f6824a97p-10 + (x) * (-0x1.6d28157714ccap-9 + (x) * (-0x1.61830bccdad3ap-12 + (x) * (0x1.87965df89fbedp-10 + (x) * (0x1.3795fd82d795p-13 + (x) * (-0x1.af770a4b786cp-11 + (x) * (-0x1.00215e06c4d67p-13 + (x) * (0x1.a5ab0f80a7fd7p-12 + (x) * (0x1.275a391469cfdp-14 + (x) * -0x1.d9ffd54b29dbdp-14))))))))))))))))))))))

#define NORMAL_DEGREE 6
#define NORMAL_PIECES 16
/* error 5.4e-07 */
#define NORMAL_COLUMNS_f32 {{0x1.f4baep+1f, 0x1.dee15cp+1f, 0x1.c81a78p+1f, 0x1.b0465p+1f, 0x1.973d58p+1f, 0x1.7ccd7ap+1f, 0x1.60b5d2p+1f, 0x1.429fdp+1f, 0x1.2213b8p+1f, 0x1.fcc812p+0f, 0x1.ad0a6p+0f, 0x1.516928p+0f, 0x1.c6380ep-1f, 0x1.46495cp-2f, 0x0p+0f, 0x1.04e09p+2f}, {-0x1.49a8d6p-3f, -0x1.57180cp-3f, -0x1.66417cp-3f, -0x1.778acp-3f, -0x1.8b7cf6p-3f, -0x1.a2d62ep-3f, -0x1.bea6bep-3f, -0x1.e084cp-3f, -0x1.05767p-2f, -0x1.2103fep-2f, -0x1.46b642p-2f, -0x1.7e613p-2f, -0x1.db8fdap-2f, -0x1.518f86p-1f, 0x0p+0f, -0x1.3da6ccp-3f}, {0x1.9f36e4p-5f, 0x1.ae1eecp-5f, 0x1.beab9p-5f, 0x1.d12c1ep-5f, 0x1.e60502p-5f, 0x1.fdb696p-5f, 0x1.0c72fp-4f, 0x1.1c331ap-4f, 0x1.2e9ee2p-4f, 0x1.4445a6p-4f, 0x1.5d6ee2p-4f, 0x1.786e4p-4f, 0x1.87e9c8p-4f, 0x1.1bb5fp-4f, 0x0p+0f, 0x1.91b426p-5f}, {-0x1.6613b8p-6f, -0x1.724c96p-6f, -0x1.7fcc9cp-6f, -0x1.8ece52p-6f, -0x1.9f9b2cp-6f, -0x1.b2906p-6f, -0x1.c82582p-6f, -0x1.e0f58p-6f, -0x1.fdca66p-6f, -0x1.0fd67ap-5f, -0x1.24004cp-5f, -0x1.3c8ad4p-5f, -0x1.5e5cf2p-5f, -0x1.d4deb6p-5f, 0x0p+0f, -0x1.5af2dcp-6f}, {0x1.5e254ep-7f, 0x1.69ba62p-7f, 0x1.767bacp-7f, 0x1.849d3p-7f, 0x1.945fcep-7f, 0x1.a61558p-7f, 0x1.ba2638p-7f, 0x1.d1190cp-7f, 0x1.eb9ceep-7f, 0x1.054b3ep-6f, 0x1.1796f4p-6f, 0x1.2d643cp-6f, 0x1.4692aep-6f, 0x1.34cfd2p-6f, 0x0p+0f, 0x1.53924ep-7f}, {-0x1.aef102p-8f, -0x1.bccc66p-8f, -0x1.cc04dap-8f, -0x1.dcd526p-8f, -0x1.ef8638p-8f, -0x1.0239cap-7f, -0x1.0e08aep-7f, -0x1.1b7a48p-7f, -0x1.2aef2ap-7f, -0x1.3ce55ap-7f, -0x1.52017ap-7f, -0x1.6b193p-7f, -0x1.897812p-7f, -0x1.ce4b7cp-7f, 0x0p+0f, -0x1.a242d2p-8f}, {0x1.f36efep-9f, 0x1.01999p-8f, 0x1.0a3e8ap-8f, 0x1.13c6ap-8f, 0x1.1e59acp-8f, 0x1.2a297ap-8f, 0x1.3775p-8f, 0x1.468cc4p-8f, 0x1.57d8d4p-8f, 0x1.6be0ccp-8f, 0x1.835602p-8f, 0x1.9f1ec4p-8f, 0x1.c04df4p-8f, 0x1.d2de5p-8f, 0x0p+0f, 0x1.e4fc08p-9f}}
#define MINUS_TWO_LN_2_f32 -0x1.62e43p+0f
/* error 2^-28.1 */
#define MINUS_TWO_LOG_f32(x, q) ((-0x1p+1f + (q) * (-0x1.553e46p-1f + (q) * (-0x1.62e4e6p-2f + (q) * (0x1.4463ccp+0f + (q) * 0x1.46c31ap+2f)))) + (x) * (0x1.00002ep+0f + (q) * (0x1.0236dp-1f + (q) * (0x1.69dd4cp-1f + (q) * (0x1.0601ecp+2f + (q) * 0x1.c69642p+1f)))))
#define RADIUS_CENTER_f32 0x1.cp+2f
/* error 2^-25.4 */
#define NORMAL_TAIL_f32(x) (0x1.a5605p+2f + (x) * (0x1.0a498ap+0f + (x) * (-0x1.23e9ccp-8f + (x) * (0x1.116e6ap-11f + (x) * (-0x1.04b71cp-14f + (x) * (0x1.fbfd8cp-18f + (x) * (-0x1.36fc92p-20f + (x) * 0x1.46dd44p-23f)))))))

/* clang-format on */
