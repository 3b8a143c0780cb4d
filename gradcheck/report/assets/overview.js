// The overview: totals that are filters at the same time, the heat map with search, filters and sort.
const chosen = { classes: new Set(), dtypes: new Set(DATA.axes.dtype), places: {} };
const TILE_WORDS = { deviates: "deviate beyond the ledger", known: "known deviations", coarse: "coarse", agrees: "agree", unsupported: "unsupported" };

function options(select, pairs) {
  select.innerHTML = pairs.map(([value, words]) => `<option value="${esc(value)}">${esc(words)}</option>`).join("");
}

function prepareOverview() {
  const totals = together(DATA.cells).counts;
  byId("statuses").innerHTML = CLASSES.map((name, k) =>
    `<button type="button" class="tile c-${name}" data-class="${name}" aria-pressed="false"><b>${grouped(totals[k])}</b><span>${TILE_WORDS[name]}</span></button>`).join("");
  options(byId("family"), [["", "all"], ...[...new Set(DATA.families)].sort().map((name) => [name, name])]);
  options(byId("columns"), AXES.slice(1).map((axis) => [axis, axis]));
  byId("dtypes").insertAdjacentHTML("beforeend", DATA.axes.dtype.map((name) =>
    `<label class="choice"><input type="checkbox" value="${esc(name)}" checked>${esc(name)}</label>`).join(""));
  // A choice for every other axis on which the run has several places.
  byId("places").insertAdjacentHTML("beforebegin", ["mode", "device", "setting"].filter((axis) => DATA.axes[axis].length > 1)
    .map((axis) => `<label>${axis} <select data-axis="${axis}"><option value="">all</option>${DATA.axes[axis].map((name) => `<option value="${esc(name)}">${esc(name)}</option>`).join("")}</select></label>`).join(""));

  byId("statuses").addEventListener("click", (event) => {
    const tile = event.target.closest("[data-class]");
    if (!tile) return;
    const name = tile.dataset.class, on = !chosen.classes.has(name);
    chosen.classes[on ? "add" : "delete"](name);
    tile.setAttribute("aria-pressed", on);
    drawHeat();
  });
  byId("dtypes").addEventListener("change", (event) => {
    chosen.dtypes[event.target.checked ? "add" : "delete"](event.target.value);
    drawHeat();
  });
  document.querySelectorAll("[data-axis]").forEach((select) => select.addEventListener("change", () => {
    chosen.places[select.dataset.axis] = select.value;
    drawHeat();
  }));
  for (const id of ["family", "columns", "measure", "sort"]) byId(id).addEventListener("change", () => { column = ""; drawHeat(); });
  byId("search").addEventListener("input", drawHeat);
  byId("reset").addEventListener("click", () => {
    byId("search").value = "";
    for (const id of ["family", "columns", "measure", "sort"]) byId(id).selectedIndex = 0;
    document.querySelectorAll("#dtypes input").forEach((box) => { box.checked = true; });
    document.querySelectorAll("[data-axis]").forEach((select) => { select.value = ""; });
    document.querySelectorAll("#statuses .tile").forEach((tile) => tile.setAttribute("aria-pressed", "false"));
    Object.assign(chosen, { classes: new Set(), dtypes: new Set(DATA.axes.dtype), places: {} });
    column = "";
    drawHeat();
  });
  byId("heat").addEventListener("click", (event) => {
    const button = event.target.closest("[data-column]");
    if (!button) return;
    column = button.dataset.column === column ? "" : button.dataset.column;
    drawHeat();
    const again = [...document.querySelectorAll("#heat [data-column]")].find((other) => other.dataset.column === button.dataset.column);
    if (again) again.focus();
  });
}

let column = "";  // the name of the column that rows are sorted by, if any

function shownCells() {
  const words = byId("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const family = byId("family").value, dtypes = DATA.axes.dtype.map((name) => chosen.dtypes.has(name));
  const rows = DATA.axes.operation.map((name, k) =>
    (!family || DATA.families[k] === family) && words.every((word) => name.toLowerCase().includes(word) || DATA.families[k].includes(word)));
  const places = Object.entries(chosen.places).filter(([, name]) => name)
    .map(([axis, name]) => [AXES.indexOf(axis), DATA.axes[axis].indexOf(name)]);
  return DATA.cells.filter((cell) => rows[cell[0]] && dtypes[cell[1]] && places.every(([at, number]) => cell[at] === number));
}

function byOperation(cells) {
  const lots = new Map();
  for (const cell of cells) {
    if (lots.has(cell[0])) lots.get(cell[0]).push(cell); else lots.set(cell[0], [cell]);
  }
  return lots;
}

function drawHeat() {
  let cells = shownCells();
  const lots = byOperation(cells), found = new Map([...lots].map(([row, lot]) => [row, together(lot)]));
  if (chosen.classes.size) {
    const wanted = CLASSES.map((name) => chosen.classes.has(name));
    for (const [row, about] of found) if (!about.counts.some((count, k) => count && wanted[k])) found.delete(row);
    cells = cells.filter((cell) => found.has(cell[0]));
  }
  const measure = byId("measure").value, columns = byId("columns").value;
  const order = sorted([...found.keys()], found, lots, columns, measure);
  byId("heat").innerHTML = order.length ? matrix(cells, {
    rows: "operation", columns, measure, order, sortable: column,
    rowHead: (name) => `<a href="${esc(linkTo(name))}"><small>${esc(pathOf(name))}</small>${esc(shortName(name))}</a>`,
    link: (operation, place) => linkTo(operation, { [columns]: place }),
    caption: `${MEASURE_WORDS[measure]} of each operation and ${columns}`,
  }) : `<p class="hint" style="padding:1rem">Nothing matches. <button type="button" onclick="byId('reset').click()">Show everything</button></p>`;
  byId("count").textContent = `${grouped(order.length)} of ${plural(DATA.axes.operation.length, "operation")}, ` +
    `${plural([...found.values()].reduce((sum, about) => sum + about.total, 0), "verdict")}`;
}

function sorted(rows, found, lots, columns, measure) {
  const name = (row) => DATA.axes.operation[row], k = MEASURES[measure];
  const alphabetic = (a, b) => name(a) < name(b) ? -1 : 1;
  const high = (row) => {
    const value = found.get(row).figures[k];
    return value === null ? -1 : value;
  };
  const keys = {
    name: () => 0,
    worst: (a, b) => CLASSES.indexOf(found.get(a).kind) - CLASSES.indexOf(found.get(b).kind) || high(b) - high(a) || 0,
    family: (a, b) => (DATA.families[a] < DATA.families[b] ? -1 : DATA.families[a] > DATA.families[b] ? 1 : 0),
    count: (a, b) => found.get(b).counts[0] - found.get(a).counts[0] || found.get(b).counts[1] - found.get(a).counts[1],
  };
  let key = keys[byId("sort").value];
  if (column) {
    const at = AXES.indexOf(columns), number = DATA.axes[columns].indexOf(column), values = new Map();
    for (const row of rows) {
      const value = together(lots.get(row).filter((cell) => cell[at] === number)).figures[k];
      values.set(row, value === null ? -1 : value);
    }
    key = (a, b) => values.get(b) - values.get(a) || 0;
  }
  return rows.sort((a, b) => key(a, b) || alphabetic(a, b));
}
