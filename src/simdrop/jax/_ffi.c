/* Dropout on CPUs for XLA: what JAX calls through XLA's foreign function interface, c_api.h.

   Nothing here knows Python. A call has the operands x and address, the result y, and three attributes, which
   _primitive.py sets: `axes`, `p` and `scaled`. */
#include "simdrop.h"
#include "xla/ffi/api/c_api.h"

#include <fenv.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* Words of an address: the key, then the number of the draw, low word first. */
enum { KEY_WORDS = 4, ADDRESS_WORDS = 6 };

/* How the elements along an axis are decided: all alike, each by an address of its own, or ('d') each by itself. */
enum { SHARED = 's', ADDRESSED = 'a' };

typedef struct call {
    const XLA_FFI_Buffer *x, *address, *y;
    XLA_FFI_ByteSpan axes; /* a letter for each axis of x */
    double p;
    int scaled; /* whether what is kept is multiplied by 1 / (1 - p) */
} call;

static XLA_FFI_Error *invalid(const XLA_FFI_CallFrame *frame, const char *message) {
    XLA_FFI_Error_Create_Args args = {
        .struct_size = XLA_FFI_Error_Create_Args_STRUCT_SIZE,
        .message = message,
        .errc = XLA_FFI_Error_Code_INVALID_ARGUMENT,
    };
    return frame->api->XLA_FFI_Error_Create(&args);
}

/* --- Decoding --- */

static const void *attribute(const XLA_FFI_Attrs *attrs, const char *name, XLA_FFI_AttrType type) {
    for (int64_t i = 0; i < attrs->size; i++) {
        const XLA_FFI_ByteSpan *span = attrs->names[i];
        if (span->len == strlen(name) && memcmp(span->ptr, name, span->len) == 0) {
            return attrs->types[i] == type ? attrs->attrs[i] : NULL;
        }
    }
    return NULL;
}

static const void *scalar(const XLA_FFI_Attrs *attrs, const char *name, XLA_FFI_DataType dtype) {
    const XLA_FFI_Scalar *found = attribute(attrs, name, XLA_FFI_AttrType_SCALAR);
    return found != NULL && found->dtype == dtype ? found->value : NULL;
}

/* What is wrong, or NULL. */
static const char *decode(const XLA_FFI_CallFrame *frame, call *call) {
    if (frame->args.size != 2 || frame->args.types[0] != XLA_FFI_ArgType_BUFFER ||
        frame->args.types[1] != XLA_FFI_ArgType_BUFFER) {
        return "simdrop: the operands must be x and address";
    }
    if (frame->rets.size != 1 || frame->rets.types[0] != XLA_FFI_RetType_BUFFER) {
        return "simdrop: the result must be y";
    }
    call->x = frame->args.args[0];
    call->address = frame->args.args[1];
    call->y = frame->rets.rets[0];
    const XLA_FFI_ByteSpan *axes = attribute(&frame->attrs, "axes", XLA_FFI_AttrType_STRING);
    const double *p = scalar(&frame->attrs, "p", XLA_FFI_DataType_F64);
    const uint8_t *scaled = scalar(&frame->attrs, "scaled", XLA_FFI_DataType_PRED);
    if (axes == NULL || p == NULL || scaled == NULL) {
        return "simdrop: an attribute is missing or of another type: axes (string), p (float64), scaled (bool)";
    }
    call->axes = *axes;
    call->p = *p;
    call->scaled = *scaled != 0;
    return NULL;
}

/* What is wrong with the shapes, or NULL. */
static const char *check_shapes(const call *call) {
    const XLA_FFI_Buffer *x = call->x, *address = call->address, *y = call->y;
    if (x->rank > SIMDROP_MAX_AXES) {
        return "simdrop: x has more axes than arrays may have";
    }
    if (y->dtype != x->dtype || y->rank != x->rank || (size_t)x->rank != call->axes.len) {
        return "simdrop: x, y and axes do not fit";
    }
    int64_t addressed = 0;
    for (int64_t axis = 0; axis < x->rank; axis++) {
        if (y->dims[axis] != x->dims[axis]) {
            return "simdrop: y must have the shape of x";
        }
        if (call->axes.ptr[axis] == ADDRESSED) {
            if (addressed >= address->rank || address->dims[addressed] != x->dims[axis]) {
                return "simdrop: address does not have the shape that axes ask for";
            }
            addressed++;
        }
    }
    if (address->dtype != XLA_FFI_DataType_U32 || address->rank != addressed + 1 ||
        address->dims[addressed] != ADDRESS_WORDS) {
        return "simdrop: address must be uint32, of six words for each mask";
    }
    return NULL;
}

enum { NOT_SCALED = SIMDROP_TYPES };

/* What each type of elements is for a kernel that scales it, and for one that copies it. */
static const struct {
    XLA_FFI_DataType dtype;
    int scaled, copied;
    size_t bytes;
} types[] = {
    {XLA_FFI_DataType_F16, SIMDROP_F16, SIMDROP_U16, 2},
    {XLA_FFI_DataType_BF16, SIMDROP_BF16, SIMDROP_U16, 2},
    {XLA_FFI_DataType_F32, SIMDROP_F32, SIMDROP_U32, 4},
    {XLA_FFI_DataType_F64, SIMDROP_F64, SIMDROP_U64, 8},
    {XLA_FFI_DataType_C64, SIMDROP_C64, SIMDROP_U64, 8},
    {XLA_FFI_DataType_C128, SIMDROP_C128, SIMDROP_U128, 16},
    {XLA_FFI_DataType_PRED, NOT_SCALED, SIMDROP_U8, 1},
    {XLA_FFI_DataType_S8, NOT_SCALED, SIMDROP_U8, 1},
    {XLA_FFI_DataType_U8, NOT_SCALED, SIMDROP_U8, 1},
    {XLA_FFI_DataType_F8E5M2, NOT_SCALED, SIMDROP_U8, 1},
    {XLA_FFI_DataType_F8E3M4, NOT_SCALED, SIMDROP_U8, 1},
    {XLA_FFI_DataType_F8E4M3, NOT_SCALED, SIMDROP_U8, 1},
    {XLA_FFI_DataType_F8E4M3FN, NOT_SCALED, SIMDROP_U8, 1},
    {XLA_FFI_DataType_F8E4M3B11FNUZ, NOT_SCALED, SIMDROP_U8, 1},
    {XLA_FFI_DataType_F8E5M2FNUZ, NOT_SCALED, SIMDROP_U8, 1},
    {XLA_FFI_DataType_F8E4M3FNUZ, NOT_SCALED, SIMDROP_U8, 1},
    {XLA_FFI_DataType_F8E8M0FNU, NOT_SCALED, SIMDROP_U8, 1},
    {XLA_FFI_DataType_S16, NOT_SCALED, SIMDROP_U16, 2},
    {XLA_FFI_DataType_U16, NOT_SCALED, SIMDROP_U16, 2},
    {XLA_FFI_DataType_S32, NOT_SCALED, SIMDROP_U32, 4},
    {XLA_FFI_DataType_U32, NOT_SCALED, SIMDROP_U32, 4},
    {XLA_FFI_DataType_S64, NOT_SCALED, SIMDROP_U64, 8},
    {XLA_FFI_DataType_U64, NOT_SCALED, SIMDROP_U64, 8},
};

/* Say what the elements are; 0 if they cannot be masked, or scaled as asked for. */
static int set_type(simdrop_elements *elements, XLA_FFI_DataType dtype, int scaled) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].dtype == dtype && !(scaled && types[i].scaled == NOT_SCALED)) {
            elements->type = (simdrop_type)(scaled ? types[i].scaled : types[i].copied);
            elements->bytes = types[i].bytes;
            return 1;
        }
    }
    return 0;
}

/* --- Applying --- */

static void set_address(simdrop_rule *rule, const uint32_t *words) {
    uint8_t key[SIMDROP_KEY_BYTES];
    for (int i = 0; i < KEY_WORDS; i++) {
        for (int byte = 0; byte < 4; byte++) {
            key[4 * i + byte] = (uint8_t)(words[i] >> 8 * byte);
        }
    }
    simdrop_expand_key(key, rule->round_keys);
    rule->draw = ((uint64_t)words[KEY_WORDS + 1] << 32 | words[KEY_WORDS]) % SIMDROP_DRAWS;
}

/* The mask of each address on its part of x. */
static void apply(const call *call, simdrop_elements elements) {
    simdrop_axis axes[SIMDROP_MAX_AXES], addressed[SIMDROP_MAX_AXES]; /* innermost first */
    int count = 0, addressed_count = 0;
    ptrdiff_t stride = (ptrdiff_t)elements.bytes;
    uint64_t element = 1, masks = 1;
    for (int64_t axis = call->x->rank - 1; axis >= 0; axis--) {
        const size_t n = (size_t)call->x->dims[axis];
        if (n == 0) {
            return;
        }
        if (call->axes.ptr[axis] == ADDRESSED) {
            addressed[addressed_count++] = (simdrop_axis){n, stride, stride, 0};
            masks *= n;
        } else if (call->axes.ptr[axis] == SHARED) {
            axes[count++] = (simdrop_axis){n, stride, stride, 0};
        } else {
            axes[count++] = (simdrop_axis){n, stride, stride, element};
            element *= n;
        }
        stride *= (ptrdiff_t)n;
    }
    simdrop_rule rule;
    simdrop_set_p(&rule, call->p);
    const uint32_t *words = call->address->data;
    for (uint64_t mask = 0; mask < masks; mask++) {
        uint64_t rest = mask;
        ptrdiff_t offset = 0;
        for (int axis = 0; axis < addressed_count; axis++) {
            offset += (ptrdiff_t)(rest % addressed[axis].n) * addressed[axis].x;
            rest /= addressed[axis].n;
        }
        set_address(&rule, words + ADDRESS_WORDS * mask);
        simdrop_apply_array(&rule, 0, elements, count, axes, (const char *)call->x->data + offset,
                            (char *)call->y->data + offset);
    }
}

/* XLA asks for the version of its interface that this was compiled for. */
static XLA_FFI_Error *report_version(const XLA_FFI_CallFrame *frame, const XLA_FFI_Extension_Base *extension) {
    const XLA_FFI_Metadata_Extension *metadata = (const XLA_FFI_Metadata_Extension *)extension;
    if (extension->struct_size < XLA_FFI_Metadata_Extension_STRUCT_SIZE ||
        metadata->metadata->struct_size < XLA_FFI_Metadata_STRUCT_SIZE) {
        return invalid(frame, "simdrop: this XLA is older than the one that the extension was compiled for");
    }
    metadata->metadata->api_version = (XLA_FFI_Api_Version){
        .struct_size = XLA_FFI_Api_Version_STRUCT_SIZE,
        .major_version = XLA_FFI_API_MAJOR,
        .minor_version = XLA_FFI_API_MINOR,
    };
    metadata->metadata->traits = 0;
    return NULL;
}

EXPORT XLA_FFI_Error *simdrop_xla_dropout(XLA_FFI_CallFrame *frame) {
    for (const XLA_FFI_Extension_Base *at = frame->extension_start; at != NULL; at = at->next) {
        if (at->type == XLA_FFI_Extension_Metadata) {
            return report_version(frame, at);
        }
    }
    if (frame->struct_size < XLA_FFI_CallFrame_STRUCT_SIZE || frame->stage != XLA_FFI_ExecutionStage_EXECUTE) {
        return invalid(frame, "simdrop: a call of another version or stage");
    }
    call call;
    const char *wrong = decode(frame, &call);
    if (wrong == NULL) {
        wrong = check_shapes(&call);
    }
    if (wrong != NULL) {
        return invalid(frame, wrong);
    }
    simdrop_elements elements = {.scale = call.scaled ? call.p < 1 ? 1 / (1 - call.p) : 0 : 1};
    if (!set_type(&elements, call.x->dtype, call.scaled)) {
        return invalid(frame, "simdrop: x is of a type that cannot be masked, or not scaled");
    }
    /* XLA's threads take subnormal numbers for 0; kernels must not. */
    fenv_t environment;
    if (fegetenv(&environment) != 0 || fesetenv(FE_DFL_ENV) != 0) {
        return invalid(frame, "simdrop: the floating-point environment cannot be set");
    }
    apply(&call, elements);
    fesetenv(&environment);
    return NULL;
}
