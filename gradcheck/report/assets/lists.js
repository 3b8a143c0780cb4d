// Lists of deviations and ledger entries, some at a time.

function entryHtml(number) {
  const entry = DATA.entries[number];
  return `<p><b>Known:</b> ${esc(entry.reason)} <span class="where">(size: ${esc(entry.size)}; ${esc(entry.source)})</span></p>`;
}

function deviationHtml(one) {
  const where = [one.dtype, one.mode, one.device, one.layout === "contiguous" ? "" : one.layout, one.setting === "default" ? "" : one.setting].filter(Boolean).join(" · ");
  return `<article class="card c-${one.class}"><h3><a href="${esc(linkTo(one.operation, { dtype: one.dtype }))}"><code>${esc(shortName(one.operation))}</code></a>
    <code>${esc(one.output)}</code> <span class="badge c-${one.class}"><span class="glyph" aria-hidden="true"></span> ${esc(one.class === "deviates" ? one.status : one.class)}${one.ratio === null ? "" : ` ${figure(unpacked(one.ratio))} ×`}</span>
    <span class="where">${esc(where)} · ${plural(one.count, "verdict")}</span></h3>
    <p>${esc(one.text)}</p>${one.entry === null ? "" : entryHtml(one.entry)}${replayLine(one.replay)}</article>`;
}

function drawDeviations(holder, list, query, page = 30) {
  const dtype = query && query.get("dtype"), first = dtype ? [...list.filter((one) => one.dtype === dtype), ...list.filter((one) => one.dtype !== dtype)] : list;
  if (!first.length) {
    holder.innerHTML = `<p class="hint">Nothing deviates and nothing is coarse here.</p>`;
    return;
  }
  holder.innerHTML = "";
  let shown = 0;
  const more = document.createElement("button");
  more.type = "button";
  const add = () => {
    more.insertAdjacentHTML("beforebegin", first.slice(shown, shown + page).map(deviationHtml).join(""));
    shown += page;
    more.hidden = shown >= first.length;
    more.textContent = `Show ${Math.min(page, first.length - shown)} more of ${grouped(first.length)}`;
  };
  holder.append(more);
  more.addEventListener("click", () => {
    const before = holder.querySelectorAll("article").length;
    add();
    holder.querySelectorAll("article")[before].querySelector("a").focus();
  });
  add();
  const left = new Set(first.map((one) => one.operation)).size === 1 ? DATA.left[first[0].operation] : 0;
  if (left) holder.insertAdjacentHTML("beforeend", `<p class="hint">${plural(left, "further sort")} of it, less grave, are in the record and not in this page.</p>`);
}

function drawAllDeviations() {
  const words = byId("deviations-search").value.trim().toLowerCase().split(/\s+/).filter(Boolean), kind = byId("deviations-class").value;
  const list = DATA.deviations.filter((one) => (!kind || one.class === kind) &&
    words.every((word) => `${one.operation} ${one.dtype} ${one.mode} ${one.device} ${one.setting} ${one.output} ${one.text}`.toLowerCase().includes(word)));
  const order = [...list].sort((a, b) => CLASSES.indexOf(a.class) - CLASSES.indexOf(b.class));
  byId("deviations-count").textContent = `${grouped(list.length)} of ${plural(DATA.deviations.length, "sort")}, ${plural(list.reduce((sum, one) => sum + one.count, 0), "verdict")}`;
  drawDeviations(byId("deviations-list"), order, null);
}

function ledgerEntryHtml(number) {
  const entry = DATA.entries[number];
  const count = DATA.deviations.reduce((sum, one) => sum + (one.entry === number ? one.count : 0), 0);
  return `<article class="card c-known">
    <h3>${DATA.axes.operation.includes(entry.operation) ? `<a href="${esc(linkTo(entry.operation))}"><code>${esc(entry.operation)}</code></a>` : `<code>${esc(entry.operation)}</code>`}
    <code>${esc(entry.outputs)}</code><span class="where">${esc(entry.dtypes)} · ${esc(entry.mode)} · ${esc(entry.device)} · torch ${esc(entry.torch)}</span></h3>
    <p>${esc(entry.reason)}</p><p class="where">${esc(entry.element)} elements, size ${esc(entry.size)}; ${plural(count, "verdict")}. Source: ${esc(entry.source)}</p></article>`;
}

function drawLedger() {
  byId("ledger-list").innerHTML = DATA.entries.map((_, number) => ledgerEntryHtml(number)).join("") ||
    `<p class="hint">No entry of the ledger was needed.</p>`;
}

function prepareLists() {
  byId("deviations-search").addEventListener("input", drawAllDeviations);
  byId("deviations-class").addEventListener("change", drawAllDeviations);
}
