// Plots by uPlot, redrawn when the theme or the width changes. Each has its figures in words as its label.
const charts = new Set();
function ink(name) {
  // Canvas does not know light-dark(): let the browser work the colour out.
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(${name})`;
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

const SUPERSCRIPTS = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const tickWords = (label) => label.replace(/\^(-?\d+)/, (_, power) => [...power].map((sign) => SUPERSCRIPTS[sign]).join("")).replace("e+", "e").replace(/^-/, "−");

function apart(ticks, width) {
  // The ticks that have room for their labels, the one nearest the middle first.
  const kept = [], px = (place) => ((place + 1) / 2) * width, need = ([, label]) => 12 + 6.2 * label.length;
  for (const tick of [...ticks].sort((a, b) => Math.abs(a[0]) - Math.abs(b[0]))) {
    if (kept.every((other) => Math.abs(px(other[0]) - px(tick[0])) > (need(other) + need(tick)) / 2)) kept.push(tick);
  }
  return kept.sort((a, b) => a[0] - b[0]);
}

function decades(bottom, top) {
  const first = Math.ceil(Math.log10(bottom) - 1e-9), last = Math.floor(Math.log10(top) + 1e-9), step = Math.max(1, Math.ceil((last - first) / 6));
  const powers = [];
  for (let k = last - ((last % step) + step) % step; k >= first; k -= step) powers.unshift(10 ** k);
  return powers;
}

const heightWords = (value) => (value === null ? "" : value !== 0 && (Math.abs(value) >= 1e4 || Math.abs(value) < 1e-3) ? figure(value) : String(+value.toPrecision(3)));

function clearCharts() {
  for (const chart of charts) { chart.observer.disconnect(); if (chart.plot) chart.plot.destroy(); }
  charts.clear();
}

function addChart(holder, about) {
  const chart = { holder, about, plot: null, width: 0 };
  chart.observer = new ResizeObserver(() => {
    if (Math.abs(holder.clientWidth - chart.width) > 2) draw(chart);
  });
  charts.add(chart);
  draw(chart);
  chart.observer.observe(holder);
}

function draw(chart) {
  const { holder, about } = chart;
  if (chart.plot) chart.plot.destroy();
  chart.width = holder.clientWidth;
  if (chart.width < 40) return;
  const soft = ink("--soft"), line = ink("--line"), red = ink("--deviates"), blue = ink("--link"), green = ink("--agrees");
  const colours = [blue, green];
  const ticks = apart(about.ticks, chart.width - 80);
  const finite = about.series.flatMap((s) => s.y).filter((y) => y !== null && Number.isFinite(y));
  const top = Math.max(...finite, about.one ? 1 : 0, 1e-300), positive = finite.filter((y) => y > 0);
  const bottom = Math.max(Math.min(...positive, 1) / 2, Math.min(1e-3, top / 1e3));
  const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 }, font: "11px system-ui, sans-serif" };
  const options = {
    width: chart.width, height: 250, padding: [8, 24, 0, 0],
    cursor: { y: false, points: { size: 7 } },
    scales: {
      x: { time: false, range: [-1, 1] },
      y: about.log ? { distr: 3, range: [bottom, top * 2] } : { range: [0, top * 1.06] },
    },
    axes: [
      { ...axis, splits: () => ticks.map(([place]) => place), values: () => ticks.map(([, label]) => tickWords(label)), size: 34 },
      { ...axis, size: 56, values: (plot, values) => values.map(heightWords), ...(about.log ? { splits: () => decades(bottom, top * 2), filter: (plot, values) => values } : {}) },
    ],
    series: [
      { label: about.input, value: (plot, value, series, at) => (at === null ? "" : about.x[at]) },
      ...about.series.map((s, k) => ({
        label: s.name, stroke: colours[k], width: 1.5, spanGaps: true,
        fill: about.dots ? undefined : colours[k].replace("rgb(", "rgba(").replace(")", ", 0.15)"),
        paths: about.dots ? () => null : uPlot.paths.stepped({ align: 0 }),
        points: about.dots ? { show: true, size: 8, fill: colours[k] } : { show: false },
        value: (plot, value) => figure(value),
      })),
    ],
    hooks: { draw: [(plot) => decorate(plot, about, red)] },
  };
  const clipped = about.series.map((s) => s.y.map((y) => (y === null || !about.log ? y : Math.max(y, bottom))));
  chart.plot = new uPlot(options, [about.places, ...clipped], holder);
  holder.querySelector(".u-legend").setAttribute("aria-hidden", "true");  // the caption says it in words
}

function decorate(plot, about, red) {
  // A dashed line at the bound, and triangles where no error is allowed.
  const { ctx, bbox } = plot, ratio = devicePixelRatio || 1;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = red;
  ctx.lineWidth = 1.5 * ratio;
  const one = plot.valToPos(1, "y", true);
  if (about.one && one >= bbox.top) {
    ctx.setLineDash([6 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, one);
    ctx.lineTo(bbox.left + bbox.width, one);
    ctx.stroke();
  }
  for (const s of about.series) for (const at of s.inf || []) {
    const x = plot.valToPos(about.places[at], "x", true), size = 5 * ratio;
    ctx.beginPath();
    ctx.moveTo(x - size, bbox.top);
    ctx.lineTo(x + size, bbox.top);
    ctx.lineTo(x, bbox.top + 1.7 * size);
    ctx.fill();
  }
  ctx.restore();
}

document.addEventListener("theme", () => charts.forEach(draw));
