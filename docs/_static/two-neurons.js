/* Dropout of a neuron with two inputs: exact average, weight scaling and sampled masks.

   The functions at the top compute what simdrop.theory computes, and the tests compare them; the rest is the page. */
"use strict";

const MASKS = [[true, true], [false, true], [true, false], [false, false]];

/* The output for a mask: z = w . (inputs where kept), after relu if asked for. */
function output(net, keep) {
    const z = net.w[0] * (keep[0] ? net.x[0] : 0) + net.w[1] * (keep[1] ? net.x[1] : 0);
    return net.relu ? Math.max(z, 0) : z;
}

/* The four masks with their probabilities and outputs. */
function outcomes(net, p) {
    return MASKS.map((keep) => ({
        keep,
        probability: (keep[0] ? 1 - p : p) * (keep[1] ? 1 - p : p),
        value: output(net, keep),
    }));
}

/* simdrop.theory.expectation: mean and variance over all masks. */
function expectation(net, p) {
    const all = outcomes(net, p);
    const mean = all.reduce((sum, one) => sum + one.probability * one.value, 0);
    const variance = all.reduce((sum, one) => sum + one.probability * (one.value - mean) ** 2, 0);
    return { mean, variance };
}

/* simdrop.theory.weight_scaling: the output for the expected input. */
function weightScaling(net, p) {
    const x = net.x.map((one) => (1 - p) * one);
    return output({ ...net, x }, [true, true]);
}

/* An element is dropped if its uniform, 64 bits in hexadecimal digits, is less than p. */
function isKept(uniform, p) {
    return BigInt("0x" + uniform) >= BigInt(Math.round(p * 2 ** 64));
}

/* The first n masks of a draw. */
function sampledMasks(uniforms, p, n) {
    return Array.from({ length: n }, (_, i) => [isKept(uniforms[2 * i], p), isKept(uniforms[2 * i + 1], p)]);
}

/* simdrop.theory.monte_carlo: mean over n sampled masks, and its standard error. */
function monteCarlo(net, p, masks) {
    const values = masks.map((keep) => output(net, keep));
    const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
    const squares = values.reduce((sum, one) => sum + (one - mean) ** 2, 0);
    return { mean, error: Math.sqrt(squares / (values.length - 1) / values.length) };
}

const SAMPLES = [2, 5, 10, 20, 50, 100, 200, 500];

function startTwoNeurons() {
    const page = document.getElementById("two-neurons");
    const draws = JSON.parse(document.getElementById("two-neurons-uniforms").textContent);
    let draw = 0;
    const get = (name) => page.querySelector(`[name=${name}]`);
    const put = (name, text) => { page.querySelector(`[data-of=${name}]`).textContent = text; };
    const number = (x) => (Object.is(x, -0) ? 0 : x).toFixed(3).replace("-", "−");

    function show() {
        const p = Number(get("p").value), n = SAMPLES[Number(get("n").value)];
        const net = {
            w: [Number(get("w1").value), Number(get("w2").value)],
            x: [Number(get("x").value), Number(get("y").value)],
            relu: get("relu").checked,
        };
        for (const name of ["p", "w1", "w2", "x", "y"]) {
            put(name, Number(get(name).value).toFixed(name === "p" ? 2 : 1).replace("-", "−"));
        }
        put("n", n);
        put("draw", draw);
        const exact = expectation(net, p), scaled = weightScaling(net, p);
        const masks = sampledMasks(draws[draw], p, n), sampled = monteCarlo(net, p, masks);
        put("exact", number(exact.mean));
        put("variance", number(exact.variance));
        put("scaled", number(scaled));
        put("sampled", `${number(sampled.mean)} ± ${number(sampled.error)}`);

        const all = outcomes(net, p);
        const counts = all.map((one) => masks.filter((m) => m[0] === one.keep[0] && m[1] === one.keep[1]).length);
        page.querySelector("tbody").innerHTML = all.map((one, i) => `<tr>
            <td>${["nothing", "x", "y", "both"][i]}</td>
            <td>${number(one.value)}</td>
            <td><span class="bar exact" style="width:${100 * one.probability}px"></span>${number(one.probability)}</td>
            <td><span class="bar sampled" style="width:${100 * counts[i] / n}px"></span>${number(counts[i] / n)}</td>
        </tr>`).join("");
        page.querySelector("svg").innerHTML = line(all, exact.mean, scaled, sampled);
    }

    /* A number line with the outputs of the four masks as circles, whose area is their probability, and the averages. */
    function line(all, exact, scaled, sampled) {
        const values = all.map((one) => one.value);
        const low = Math.min(...values, sampled.mean - sampled.error, scaled);
        const high = Math.max(...values, sampled.mean + sampled.error, scaled);
        const middle = (low + high) / 2, half = Math.max((high - low) / 2, 0.5) * 1.15;
        const at = (value) => 300 + 285 * (value - middle) / half;
        const triangle = (value, kind) => `<path class="${kind}" d="M${at(value)} 62 l-7 14 h14 z"></path>`;
        const step = 10 ** Math.floor(Math.log10(half)) / (half / 10 ** Math.floor(Math.log10(half)) < 3 ? 2 : 1);
        let ticks = "";
        for (let k = Math.ceil((middle - half) / step); k * step <= middle + half; k++) {
            ticks += `<path class="axis" d="M${at(k * step)} 56 v8"></path>
                <text class="tick" x="${at(k * step)}" y="112">${number(k * step).replace(/\.?0+$/, "")}</text>`;
        }
        return `<path class="axis" d="M10 60 H590"></path>${ticks}
            ${all.map((one) => `<circle class="exact" cx="${at(one.value)}" cy="40" r="${18 * Math.sqrt(one.probability)}">
            </circle>`).join("")}
            <path class="error" d="M${at(sampled.mean - sampled.error)} 88 H${at(sampled.mean + sampled.error)}"></path>
            <circle class="sampled" cx="${at(sampled.mean)}" cy="88" r="5"></circle>
            ${triangle(scaled, "scaled")}${triangle(exact, "exact")}`;
    }

    page.addEventListener("input", show);
    page.querySelector("button").addEventListener("click", () => {
        draw = (draw + 1) % draws.length;
        show();
    });
    show();
}

if (typeof module !== "undefined") {
    module.exports = { expectation, weightScaling, monteCarlo, sampledMasks, isKept };
} else {
    document.addEventListener("DOMContentLoaded", startTwoNeurons);
}
