// What changed between two runs: counts that are filters, and a table of places with figures on both sides.
const QUIET = ["rounding", "identical"];
const wordsChosen = new Set();
const SIGNS = { wrong: "✕", vanished: "∅", "less accurate": "▼", mended: "✓", "more accurate": "▲", appeared: "+", rounding: "≈", identical: "=" };
const wordClass = (word) => "word-" + word.split(" ")[0];
const arrow = (before, after, words = figure) => `${words(unpacked(before))} <span aria-hidden="true">→</span><span class="hidden"> before, </span> ${words(unpacked(after))}<span class="hidden"> after</span>`;

function prepareDifference() {
  const found = DATA.difference;
  for (const [word, count] of Object.entries(found.counts)) if (count && !QUIET.includes(word)) wordsChosen.add(word);
  byId("words").innerHTML = Object.entries(found.counts).map(([word, count]) =>
    `<button type="button" class="tile ${wordClass(word)}" data-word="${word}" aria-pressed="${wordsChosen.has(word)}" title="${esc(found.words[word])}"${word === "identical" || !count ? " disabled" : ""}>` +
    `<b>${grouped(count)}</b><span><span aria-hidden="true">${SIGNS[word]}</span> ${word}</span></button>`).join("");
  byId("words").addEventListener("click", (event) => {
    const tile = event.target.closest("[data-word]");
    if (!tile) return;
    const word = tile.dataset.word, on = !wordsChosen.has(word);
    wordsChosen[on ? "add" : "delete"](word);
    tile.setAttribute("aria-pressed", on);
    drawDifference();
  });
  byId("difference-search").addEventListener("input", drawDifference);
  drawDifference();
}

function drawDifference() {
  const words = byId("difference-search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const rows = DATA.difference.rows.filter((row) => wordsChosen.has(row.word) &&
    words.every((word) => `${row.operation} ${row.dtype} ${row.mode} ${row.device} ${row.setting} ${row.said}`.toLowerCase().includes(word)));
  byId("difference-count").textContent = `${grouped(rows.length)} of ${plural(Object.values(DATA.difference.counts).reduce((a, b) => a + b, 0), "place")}`;
  byId("difference-list").innerHTML = rows.length ? changesTable(rows.slice(0, 300)) : `<p class="hint" style="padding:1rem">Nothing of this sort changed.</p>`;
  if (rows.length > 300) byId("difference-count").textContent += "; the first 300 are shown, search for others";
}

function changesTable(rows) {
  const several = ["mode", "device", "setting"].filter((axis) => new Set(rows.map((row) => row[axis])).size > 1);
  const failing = rows.some((row) => row.before[2] || row.after[2]);
  const head = ["change", "operation", "dtype", ...several, ...(failing ? ["failing"] : []), "worst error/bound", "typical", "bits changed", "replay"];
  return `<table class="plain changes"><caption class="hidden">Places that changed, with worst and typical error/bound before and after</caption><thead><tr>${head.map((name) => `<th scope="col">${name}</th>`).join("")}</tr></thead><tbody>` +
    rows.map((row) => `<tr><td><span class="badge ${wordClass(row.word)}"><span aria-hidden="true">${SIGNS[row.word]}</span> ${esc(row.said)}</span></td>` +
      `<td><a href="${esc(linkTo(row.operation, { dtype: row.dtype }))}"><code>${esc(shortName(row.operation))}</code></a></td><td data-label="dtype">${esc(row.dtype)}</td>` +
      several.map((axis) => `<td data-label="${axis}">${esc(row[axis])}</td>`).join("") +
      (failing ? `<td class="nowrap" data-label="failing">${row.before[2] || row.after[2] ? arrow(row.before[2], row.after[2], grouped) : ""}</td>` : "") +
      `<td class="nowrap" data-label="worst">${arrow(row.before[0], row.after[0])}</td><td class="nowrap" data-label="typical">${arrow(row.before[1], row.after[1])}</td>` +
      `<td class="nowrap" data-label="bits changed">${grouped(row.changed)} of ${grouped(row.pairs)}</td>` +
      `<td>${row.replay ? `<button type="button" data-copy="${esc(row.replay)}" title="${esc(row.replay)}" aria-label="Copy the replay line">Copy</button>` : ""}</td></tr>`).join("") + "</tbody></table>";
}

function changesOf(operation) {
  const rows = DATA.difference ? DATA.difference.rows.filter((row) => row.operation === operation) : [];
  return rows.length ? `<h2>What changed</h2><div class="scroll" tabindex="0" role="region" aria-label="Changes, scrollable">${changesTable(rows)}</div>` : "";
}
