// The three lowest contrasts between words and what is behind them, with where they are.
const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const channels = (colour) => {
  // The browser turns any colour (oklab, color-mix) into red, green, blue, alpha.
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data];
};
const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const colour = channels(getComputedStyle(element).backgroundColor);
    if (colour[3] === 255) return colour;
  }
  return [255, 255, 255, 255];
};
const found = [];
for (const e of document.querySelectorAll("a, p, th, td, dd, dt, span, button, label, small, code, b, h1, h2")) {
  const words = [...e.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!words || !e.getClientRects().length) continue;
  const [a, b] = [luminance(channels(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
  found.push([(a + 0.05) / (b + 0.05), `${e.tagName}.${e.className}: ${e.textContent.slice(0, 30)}`]);
}
return found.sort((x, y) => x[0] - y[0]).slice(0, 3);
