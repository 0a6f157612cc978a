// Draws the figures in the colours that the style gives now: light, dark, print; and again when that changes.
const figures = JSON.parse(document.getElementById("figures").textContent);
const root = document.documentElement;
const NARROW = 520;

// "var(--name)" → its value, anywhere in a figure.
function styled(value, style) {
  if (typeof value === "string") {
    return value.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
  }
  if (Array.isArray(value)) return value.map((item) => styled(item, style));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, styled(item, style)]));
  }
  return value;
}

function narrowed(layout, differences) {
  for (const [path, value] of Object.entries(differences)) {
    const keys = path.split(".");
    const last = keys.pop();
    keys.reduce((place, key) => place[key], layout)[last] = value;
  }
  return layout;
}

function draw() {
  const style = getComputedStyle(root);
  for (const [id, figure] of Object.entries(figures)) {
    const place = document.getElementById(id);
    const layout = styled(figure.layout, style);
    if (place.clientWidth < NARROW) narrowed(layout, figure.narrow);
    // Not `react`: it fades a Sankey diagram's ribbons in, and paper does not wait.
    Plotly.newPlot(place, styled(figure.data, style), layout, { displayModeBar: false, responsive: true });
  }
}

draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
matchMedia(`(max-width: ${NARROW}px)`).addEventListener("change", draw);
addEventListener("beforeprint", () => { root.classList.add("paper"); draw(); });
addEventListener("afterprint", () => { root.classList.remove("paper"); draw(); });
