/* Which of 32 x 32 elements of a draw are dropped, by p. */
"use strict";

const SIDE = 32, CELL = 12;

/* Indices of the elements whose uniform, 64 bits in hexadecimal digits, is less than p. */
function dropped(uniforms, p) {
    const limit = BigInt(Math.round(p * 2 ** 64));
    return uniforms.flatMap((u, e) => (BigInt("0x" + u) < limit ? [e] : []));
}

/* How many digits of p in base 256 decide: those up to the last that is not 0. */
function planes(p) {
    if (p === 0 || p === 1) {
        return 0;
    }
    let digits = 0, rest = p;
    while (rest > 0 && digits < 8) {
        rest = rest * 256 - Math.floor(rest * 256);
        digits += 1;
    }
    return digits;
}

function startNestedMasks() {
    const page = document.getElementById("nested-masks");
    const draws = JSON.parse(document.getElementById("nested-masks-uniforms").textContent);
    const svg = page.querySelector("svg.cells"), slider = page.querySelector("[name=p]");
    const put = (name, text) => { page.querySelector(`[data-of=${name}]`).textContent = text; };
    svg.innerHTML = draws[0].map((_, e) => `<rect data-e="${e}" x="${(e % SIDE) * CELL + 1}"
        y="${Math.floor(e / SIDE) * CELL + 1}" width="${CELL - 2}" height="${CELL - 2}" rx="2"></rect>`).join("");
    const cells = [...svg.children];
    let draw = 0;

    function show() {
        const p = Number(slider.value), uniforms = draws[draw], gone = new Set(dropped(uniforms, p));
        const before = new Set(dropped(uniforms, Math.max(p - 0.05, 0)));
        cells.forEach((cell, e) => {
            cell.setAttribute("class", gone.has(e) ? (before.has(e) ? "dropped" : "dropped recent") : "kept");
        });
        put("p", p.toFixed(3));
        put("count", gone.size);
        put("percent", (100 * gone.size / uniforms.length).toFixed(1));
        put("expected", (uniforms.length * p).toFixed(0));
        put("planes", planes(p));
        put("draw", draw);
        page.querySelectorAll("[data-p]").forEach((button) => {
            button.setAttribute("aria-pressed", String(Number(button.dataset.p) === p));
        });
    }

    function tell(e) {
        const u = draws[draw][e];
        put("element", `Element ${e} (row ${Math.floor(e / SIDE)}, column ${e % SIDE}): keystream bytes ` +
            `${u.match(/../g).slice(0, 4).join(" ")} …, so U = ${(Number(BigInt("0x" + u)) / 2 ** 64).toFixed(6)}`);
    }

    svg.addEventListener("pointerover", (event) => {
        if (event.target.dataset.e) {
            tell(Number(event.target.dataset.e));
        }
    });
    slider.addEventListener("input", show);
    page.addEventListener("click", (event) => {
        if (event.target.dataset.p) {
            slider.value = event.target.dataset.p;
            show();
        } else if (event.target.name === "next") {
            draw = (draw + 1) % draws.length;
            show();
            tell(0);
        }
    });
    show();
    tell(0);
}

if (typeof module !== "undefined") {
    module.exports = { dropped, planes };
} else {
    document.addEventListener("DOMContentLoaded", startNestedMasks);
}
