// The page of one operation: formula, conventions, plots, deviations, ledger entries.
const BADGE_WORDS = { deviates: "deviate", known: "known", coarse: "coarse", agrees: "agree", unsupported: "unsupported" };

function drawOperation(name, query) {
  const number = DATA.axes.operation.indexOf(name), section = byId("operation");
  clearCharts();
  if (number < 0) {
    section.innerHTML = `<h1 id="operation-title" tabindex="-1">${esc(name)}</h1><p class="lead">The run has no verdict on an operation of this name. <a href="#/">Overview</a></p>`;
    return;
  }
  const about = detailOf(number), cells = DATA.cells.filter((cell) => cell[0] === number), all = together(cells);
  const dtypes = DATA.axes.dtype.filter((_, k) => cells.some((cell) => cell[1] === k));
  const mine = DATA.deviations.filter((one) => one.operation === name);
  const counts = CLASSES.map((kind, k) => all.counts[k] ? `<span class="badge c-${kind}"><span class="glyph" aria-hidden="true"></span> ${grouped(all.counts[k])} ${BADGE_WORDS[kind]}</span>` : "").join(" ");
  section.innerHTML = `
    <p class="crumb"><a href="#/">Overview</a> / ${esc(DATA.families[number])}</p>
    <h1 id="operation-title" tabindex="-1"><code>${esc(name)}</code></h1>
    <p>${counts}</p>
    <div class="doc">${about.formula ? about.formula.doc : "<p>This gradcheck has no reference of that name.</p>"}</div>
    ${kinksHtml(about.formula)}
    ${about.formula && about.formula.source ? `<details><summary>Formula: value and hand-derived gradient in NumPy</summary><p class="hint">${esc(about.formula.file)}. The tolerance follows from it.</p><pre class="source" tabindex="0" role="region" aria-label="Source of the reference">${about.formula.source}</pre></details>` : ""}
    <h2>Worst error / bound</h2><div class="tables">${tables(cells, name)}</div>
    ${dtypes.length && (about.curves || about.sizes) ? `<h2 id="errors">Errors</h2>${dtypeChoice(dtypes, query, cells)}<div class="charts" id="charts"></div><p class="hint" id="charts-hint"></p>` : ""}
    <h2>Deviations</h2><div id="operation-deviations"></div>
    ${changesOf(name)}${ledgerHtml(mine)}
    ${about.unsupported.length ? `<h2>Unsupported</h2>${unsupportedHtml(about.unsupported)}` : ""}`;
  drawDeviations(byId("operation-deviations"), mine, query, 6);
  const choice = byId("dtype-choice");
  if (choice) {
    choice.addEventListener("change", () => drawCharts(name, about, choice.querySelector("input:checked").value));
    drawCharts(name, about, choice.querySelector("input:checked").value);
  }
}

function tables(cells, name) {
  const axes = ["output", ...["mode", "device", "setting", "layout"].filter((axis) => new Set(cells.map((cell) => cell[AXES.indexOf(axis)])).size > 1)];
  return axes.map((axis) => `<div class="scroll" role="region" aria-label="By ${axis} and dtype">` + matrix(cells, {
    rows: axis, columns: "dtype", caption: `Worst error/bound by ${axis} and dtype`,
    link: (place, dtype) => linkTo(name, { dtype, [axis]: place }),
  }) + "</div>").join("");
}

function dtypeChoice(dtypes, query, cells) {
  const found = new Map(dtypes.map((dtype) => [dtype, together(cells.filter((cell) => cell[1] === DATA.axes.dtype.indexOf(dtype)))]));
  const graver = (a, b) => CLASSES.indexOf(found.get(a).kind) - CLASSES.indexOf(found.get(b).kind) || found.get(b).figures[0] - found.get(a).figures[0];
  const worst = [...dtypes].sort(graver)[0];
  const wanted = dtypes.includes(query.get("dtype")) ? query.get("dtype") : worst;
  return `<form class="tools" onsubmit="return false"><fieldset id="dtype-choice"><legend>Dtype of the plots</legend>` + dtypes.map((dtype) =>
    `<label class="choice"><input type="radio" name="dtype" value="${esc(dtype)}"${dtype === wanted ? " checked" : ""}>${esc(dtype)}</label>`).join("") + "</fieldset></form>";
}

function kinksHtml(formula) {
  if (!formula || !formula.kinks.length) return "";
  const rows = formula.kinks.map((kink) => `<tr><td>${esc(kink.where)}</td><td>${esc(kink.what)}</td><td><code>${esc(kink.at)}</code></td><td><code>${esc(kink.gives)}</code></td></tr>`);
  return `<h2>Conventions where there is no derivative</h2><div class="scroll" tabindex="0" role="region" aria-label="Conventions, scrollable"><table class="plain"><thead><tr><th scope="col">where</th><th scope="col">what holds</th><th scope="col">arguments</th><th scope="col">gives</th></tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function ledgerHtml(mine) {
  const numbers = [...new Set(mine.map((one) => one.entry))].filter((number) => number !== null).sort((a, b) => a - b);
  return numbers.length ? `<h2>Ledger entries</h2>${numbers.map(ledgerEntryHtml).join("")}` : "";
}

function unsupportedHtml(rows) {
  return `<div class="scroll" tabindex="0" role="region" aria-label="Unsupported, scrollable"><table class="plain"><thead><tr><th scope="col">dtype</th><th scope="col">mode</th><th scope="col" class="right">verdicts</th><th scope="col">PyTorch says</th></tr></thead><tbody>` +
    rows.map((row) => `<tr><td>${esc(row.dtype)}</td><td>${esc(row.mode)}</td><td class="right">${grouped(row.count)}</td><td>${esc(row.words)}</td></tr>`).join("") + "</tbody></table></div>";
}

function figureHtml(title, small, label) {
  return `<figure><figcaption>${esc(title)}<small>${esc(small)}</small></figcaption><div class="plot" role="img" aria-label="${esc(title + ". " + label)}"></div></figure>`;
}

function drawCharts(name, about, dtype) {
  clearCharts();
  const holder = byId("charts"), plans = [];
  holder.innerHTML = "";
  const curves = about.curves && about.curves[dtype], inputs = DATA.inputs[dtype];
  const outputs = Object.entries(curves || {});
  for (const [output, curve] of outputs) {
    const found = `At worst ${figure(unpacked(curve.worst))} × the bound, at x = ${curve.at}; ${grouped(curve.exceeding)} of ${plural(curve.inputs, "input")} exceed it.`;
    const ulps = `At worst ${figure(unpacked(curve.worst_ulp))} ulp.`;
    for (const [measure, title, words] of [["ratio", "error / bound", found], ["ulp", "error in ulp", ulps]]) {
      const drawn = curve[measure], bins = drawn.y.length;
      plans.push([`${output}: ${title}`, words, {
        places: drawn.y.map((_, k) => (k + 0.5) / bins * 2 - 1), x: inputs.x, ticks: inputs.ticks, input: "x near",
        series: [{ name: title, y: drawn.y, inf: drawn.inf }], log: drawn.log, one: measure === "ratio",
      }]);
    }
  }
  const sizes = about.sizes && about.sizes[dtype];
  if (sizes) {
    const names = Object.keys(sizes).sort().reverse(), powers = [...new Set(names.flatMap((side) => sizes[side].map(([power]) => power)))].sort((a, b) => a - b);
    const last = Math.max(powers[powers.length - 1], 4), place = (power) => (power + 0.5) / (last + 1) * 2 - 1;
    const series = names.map((side) => {
      const values = new Map(sizes[side].map(([power, ratio]) => [power, unpacked(ratio)]));
      const y = powers.map((power) => (values.has(power) ? values.get(power) : null));
      return { name: side, y: y.map((value) => (value === Infinity ? null : value)), inf: powers.map((_, k) => k).filter((k) => y[k] === Infinity) };
    });
    const step = Math.ceil((last + 1) / 9);
    plans.push(["recorded: error / bound by size of the case", "The worst verdicts of the run, by elements of the largest array (from a power of two to the next).", {
      places: powers.map(place), x: powers.map((power) => `${grouped(2 ** power)} to ${grouped(2 ** (power + 1) - 1)} elements`),
      ticks: Array.from({ length: last + 1 }, (_, k) => k).filter((k) => k % step === 0).map((k) => [place(k), k < 10 ? String(2 ** k) : `2^${k}`]),
      input: "size", series, dots: true, one: true, log: Math.max(...series.flatMap((s) => s.y.filter((y) => y !== null)), 0) > 4,
    }]);
  }
  holder.innerHTML = plans.map(([title, words]) => figureHtml(`${dtype}, ${title}`, words, words)).join("");
  holder.querySelectorAll(".plot").forEach((plot, k) => addChart(plot, plans[k][2]));
  const replay = outputs.length ? replayLine(outputs[0][1].case) : "";
  byId("charts-hint").innerHTML = outputs.length
    ? `Errors against the input were judged anew when this page was written, by ${esc(DATA.judged)}. The inputs run along the number line of ${esc(dtype)} (logarithmic; below 2^-12 and above where exponentials saturate it is compressed); each step shows the worst of its inputs, a triangle an error where none is allowed.${replay}`
    : "A result depends on many numbers here, so errors stand against the size of the case instead of the input.";
}
