// A heat map: a table of links, one tab stop, arrow keys between cells.
function together(cells) {
  // Counts add up; the figures are the worst of the gravest class, the largest of medians, and the worst ulp.
  const counts = [0, 0, 0, 0, 0], figures = [null, null, null];
  for (const cell of cells) for (let k = 0; k < 5; k++) counts[k] += cell[COUNTS + k];
  const gravest = counts.findIndex((n) => n > 0);
  for (const cell of cells) {
    for (let k = cell[COUNTS + gravest] ? 0 : 1; k < 3; k++) {
      const value = cell[WORST + k];
      if (value !== null && (figures[k] === null || value > figures[k])) figures[k] = value;
    }
  }
  return { counts, figures, total: counts.reduce((a, b) => a + b, 0), kind: CLASSES[gravest] };
}

const MEASURES = { worst: 0, median: 1, ulp: 2 };
const MEASURE_WORDS = { worst: "worst error/bound", median: "typical error/bound", ulp: "worst error in ulp" };

function depth(kind, value, measure) {
  // How strong the colour is, in per cent. The class has its own colour and sign, so this only refines.
  if (kind === "deviates") return 45;
  if (kind === "known" || kind === "coarse") return 30;
  if (kind === "unsupported" || value === null) return 10;
  return measure === "ulp" ? 6 + 24 * Math.min(1, Math.log10(1 + value) / 3) : 6 + 30 * Math.min(1, value);
}

function cellHtml(found, measure, words, link, stop) {
  const value = found.figures[MEASURES[measure]];
  const counts = CLASSES.map((name, k) => [name, found.counts[k]]).filter(([, n]) => n).map(([name, n]) => `${grouped(n)} ${name}`);
  // What raises or crashes has no figure.
  const silent = { deviates: "fails", known: "fails", unsupported: "n/a" }[found.kind];
  const text = silent && value === null ? silent : figure(value);
  const label = `${words}: ${MEASURE_WORDS[measure]} ${text}; ${counts.join(", ")}`;
  return `<a class="cell c-${found.kind}" style="--l:${depth(found.kind, value, measure).toFixed(0)}" href="${esc(link)}" ` +
    `tabindex="${stop ? 0 : -1}" aria-label="${esc(label)}" title="${esc(label)}"><span class="glyph" aria-hidden="true"></span>${text}</a>`;
}

function matrix(cells, { rows, columns, measure = "worst", rowHead, link, order, sortable, caption }) {
  // rows, columns: axes. The cells of each pair are put together; rows stand in the given order of name numbers.
  const r = AXES.indexOf(rows), c = AXES.indexOf(columns);
  const lots = new Map(), heads = new Set();
  for (const cell of cells) {
    heads.add(cell[c]);
    const key = cell[r] * 65536 + cell[c];
    if (lots.has(key)) lots.get(key).push(cell); else lots.set(key, [cell]);
  }
  const places = [...heads].sort((a, b) => a - b), names = DATA.axes;
  const numbers = order || [...new Set(cells.map((cell) => cell[r]))].sort((a, b) => a - b);
  let stop = true;
  const head = places.map((p) => {
    const name = esc(names[columns][p]);
    return `<th scope="col"${sortable ? ` aria-sort="${sortable === names[columns][p] ? "descending" : "none"}"` : ""}>` +
      (sortable !== undefined ? `<button type="button" data-column="${name}" title="Sort by ${name}">${name}</button>` : name) + "</th>";
  });
  const body = numbers.map((row) => {
    const rowName = names[rows][row];
    const tds = places.map((p) => {
      const lot = lots.get(row * 65536 + p);
      if (!lot) return "<td></td>";
      const html = cellHtml(together(lot), measure, `${shortName(rowName)}, ${names[columns][p]}`, link(rowName, names[columns][p]), stop);
      stop = false;
      return `<td>${html}</td>`;
    });
    return `<tr><th scope="row">${rowHead ? rowHead(rowName, row) : esc(rowName)}</th>${tds.join("")}</tr>`;
  });
  return `<table class="heat${places.length > 6 ? " many" : ""}"><caption class="hidden">${esc(caption)}</caption>` +
    `<thead><tr><th scope="col">${esc(rows)}</th>${head.join("")}</tr></thead><tbody>${body.join("")}</tbody></table>`;
}

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], PageUp: [-10, 0], PageDown: [10, 0] };
document.addEventListener("keydown", (event) => {
  const link = event.target.closest && event.target.closest(".heat a.cell");
  if (!link || event.altKey || event.metaKey) return;
  const td = link.parentElement, tr = td.parentElement, trs = [...tr.parentElement.rows];
  let row = tr.rowIndex - 1, column = td.cellIndex;
  const step = STEPS[event.key];
  if (event.key === "Home") { column = 1; if (event.ctrlKey) row = 0; }
  else if (event.key === "End") { column = tr.cells.length - 1; if (event.ctrlKey) row = trs.length - 1; }
  else if (!step || event.ctrlKey) return;
  event.preventDefault();
  const [down, right] = step || [0, event.key === "Home" ? 1 : -1];
  if (step) { row += down; column += right; }
  if (Math.abs(down) > 1) row = Math.max(0, Math.min(trs.length - 1, row));
  // Places that an operation does not have are stepped over.
  for (; trs[row] && column >= 1 && column < trs[row].cells.length; row += Math.sign(down), column += Math.sign(right)) {
    const next = trs[row].cells[column].querySelector("a.cell");
    if (next) {
      link.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
      next.scrollIntoView({ block: "nearest", inline: "nearest" });
      return;
    }
    if (!down && !right) return;
  }
});
