// Views by the part of the address behind #; each is drawn when it is first looked at.
const drawn = new Set();
const once = (name, draw) => { if (!drawn.has(name)) { drawn.add(name); draw(); } };

function route(event) {
  const hash = location.hash;
  if (hash && !hash.startsWith("#/")) return;
  const [path, search = ""] = hash.slice(2).split("?");
  const [view, ...rest] = path.split("/");
  let name = { "": "overview", op: "operation" }[view] || view;
  if (!["overview", "deviations", "ledger", "difference", "operation"].includes(name) || !byId(name)) name = "overview";
  document.querySelectorAll("main > section").forEach((section) => { section.hidden = section.id !== name; });
  document.querySelectorAll("[data-view]").forEach((link) => {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  });
  if (name === "overview") once(name, () => { prepareOverview(); drawHeat(); });
  if (name === "deviations") once(name, () => { prepareLists(); drawAllDeviations(); });
  if (name === "ledger") once(name, drawLedger);
  if (name === "difference") once(name, prepareDifference);
  if (name === "operation") drawOperation(decodeURIComponent(rest.join("/")), new URLSearchParams(search));
  const title = byId(`${name}-title`);
  document.title = `${title.textContent} · gradcheck`;
  if (event) { scrollTo(0, 0); title.focus({ preventScroll: true }); }
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  const box = document.querySelector("main > section:not([hidden]) input[type=search]");
  if (box) { event.preventDefault(); box.focus(); box.select(); }
});
addEventListener("hashchange", route);
route();
paintTheme();
