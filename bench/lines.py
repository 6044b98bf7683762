"""The lines of Python that are timed; `contenders.py` has the values of the names in them."""

from __future__ import annotations

from .cases import Group

# By contender and work.
LINES = {
    "simdrop": {
        "forward": "m.apply(x, out=y)",
        "backward": "m.backward(dy, out=dx)",
        "both": "m = stream.mask(shape, p); m.apply(x, out=y); m.backward(dy, out=dx)",
        "dropout": "sd.dropout(x, p, rng=stream)",
        "seeded": "sd.dropout(x, p, rng=0)",
        "mask": "stream.mask(shape, p)",
        "keep": "m.keep()",
        "packbits": "m.packbits()",
        "indices": "m.indices()",
        "import": "run_python('import numpy, simdrop')",
        "apply_packed": (
            "sd.apply_packed(x, bits, p, out=y); sd.apply_packed(dy, bits, p, out=dx)"
        ),
        "p_per_unit": (
            "_, m = sd.dropout(x, probabilities, rng=stream, out=y); m.backward(dy, out=dx)"
        ),
        "p_per_element": (
            "_, m = sd.dropout(x, probabilities, rng=stream, out=y); m.backward(dy, out=dx)"
        ),
        "bias_dropout": (
            "_, ctx = fused.bias_dropout(x, bias, p, activation=activation, rng=stream, out=y); "
            "ctx.backward(dy, out=(dx, None))"
        ),
        "dropout_add": (
            "_, ctx = fused.dropout_add(x, residual, p, rng=stream, out=y); "
            "ctx.backward(dy, out=(dx, None))"
        ),
        "relu_dropout": (
            "_, ctx = fused.relu_dropout(x, p, rng=stream, out=y); ctx.backward(dy, out=dx)"
        ),
        "gaussian_dropout": (
            "_, drawn = sd.gaussian_dropout(x, p, rng=stream, out=y); drawn.backward(dy, out=dx)"
        ),
        "alpha_dropout": (
            "_, drawn = sd.alpha_dropout(x, p, rng=stream, out=y); drawn.backward(dy, out=dx)"
        ),
    },
    "naive": {
        "forward": "y = x * ((rng.random(x.shape) > p) / (1 - p))",
        "backward": "dx = dy * mask",
        "both": "mask = (rng.random(x.shape) > p) / (1 - p); y = x * mask; dx = dy * mask",
        "gaussian_dropout": (
            "noise = rng.normal(1, (p / (1 - p)) ** 0.5, x.shape); y = x * noise; dx = dy * noise"
        ),
        "alpha_dropout": (
            "keep = rng.random(x.shape) > p; "
            "a = ((1 - p) * (1 + p * 1.7580993408473766**2)) ** -0.5; "
            "y = a * (np.where(keep, x, -1.7580993408473766) + p * 1.7580993408473766); "
            "dx = a * (dy * keep)"
        ),
        "keep": "rng.random(shape) > p",
        "packbits": "np.packbits(rng.random(shape) > p)",
        "indices": "np.flatnonzero(rng.random(shape) > p)",
    },
    "numpy": {
        "forward": "best.forward(x, y)",
        "backward": "best.backward(dy, dx)",
        "both": "best.forward(x, y); best.backward(dy, dx)",
    },
    "mask": {
        "forward": "multiply(x, mask, out=y)",
        "backward": "multiply(dy, mask, out=dx)",
        "both": "multiply(x, mask, out=y); multiply(dy, mask, out=dx)",
        "dropout": "multiply(x, mask)",
        "seeded": "multiply(x, mask)",
        "mask": "multiply(x, mask)",
    },
    "constant": {
        "forward": "np.multiply(x, c, out=y)",
        "backward": "np.multiply(dy, c, out=dx)",
        "both": "np.multiply(x, c, out=y); np.multiply(dy, c, out=dx)",
        "gaussian_dropout": "np.multiply(x, c, out=y)",
        "alpha_dropout": "np.multiply(x, c, out=y)",
    },
    "copy": {
        "forward": "np.copyto(y, x)",
        "backward": "np.copyto(dx, dy)",
        "both": "np.copyto(y, x); np.copyto(dx, dy)",
    },
    "copies": {"forward": "copy_halves(y, x)"},
    "torch": {
        "forward": "dropout(x, p)",
        "backward": "grad(y, leaf, dy, retain_graph=True)",
        "both": "y = dropout(leaf, p); grad(y, leaf, dy)",
    },
    "jax": {
        "forward": "ready(forward(key, x, p))",
        "backward": "ready(backward(keep, dy, p))",
        "both": "ready(both(key, x, dy, p))",
    },
    "philox": {
        "random": "generator.random(out=y)",
        "integers": "generator.integers(0, 1000, n)",
        "standard_normal": "generator.standard_normal(out=y)",
    },
    "half": {"forward": "half.apply(x, out=y)"},
    "bare": {"import": "run_python('import numpy')"},
}
LINES["single"] = LINES["simdrop"]
LINES["simdrop"] |= LINES["philox"]
LINES["pcg64"] = LINES["philox"]
LINES["ordered"] = {
    work: f"np.copyto(x, view_of_x); np.copyto(dy, view_of_dy); {line}"
    for work, line in LINES["simdrop"].items()
    if "out=dx" in line or "out=(dx, None)" in line
}
LINES["ordered"]["dropout_add"] = (
    f"np.copyto(residual, view_of_residual); {LINES['ordered']['dropout_add']}"
)

# By family: every contender has an object that does the work, made by `contenders.worker`.
WORKER_LINES = {
    "structured": "worker.run(x, dy)",
    "mc": "worker.run()",
    "pytorch": "worker.run()",
    "models": "worker.run()",
    "jax": "worker.run()",
    "steps": "worker.step()",
}


def line_for(contender: str, group: Group) -> str:
    """The line that is timed for a contender in a group."""
    if contender == "unfused":
        return "unfused.forward(x, y); unfused.backward(dy, dx)"
    return WORKER_LINES.get(group.family) or LINES[contender][group.work]
