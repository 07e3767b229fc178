// Draws the score of a result: its parts, and the curves over time.

import { make, sentence } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 96;
const MARGIN = 6;

export function drawScore(box, score) {
  const parts = make("div", { className: "score-parts" });
  if (score.total) parts.append(part("total", score.total, true));
  for (const [name, value] of Object.entries(score.parts)) parts.append(part(name, value, false));
  box.replaceChildren(parts);
  if (score.notes.length) {
    box.append(make("ul", { className: "notes" }, ...score.notes.map((note) => make("li", { textContent: sentence(note) }))));
  }
  if (!score.curves.length) return;
  const curves = make("div", { className: "curves" }, ...score.curves.map((curve) => drawCurve(curve, score.times)));
  const key = make("p", { className: "key" }, make("span", { textContent: "driving video" }), make("span", { className: "of-result", textContent: "result" }));
  box.append(make("details", { open: true }, make("summary", { textContent: "Curves over time" }), key, curves));
}

function part(name, score, isTotal) {
  const card = make("div", { className: isTotal ? "score-part total" : "score-part" });
  const range = score && score.high > score.low ? `${score.low.toFixed(1)} to ${score.high.toFixed(1)}` : "out of 10";
  card.append(make("span", { textContent: name }), make("b", { textContent: score ? score.value.toFixed(1) : "–" }));
  card.append(make("span", { textContent: score ? range : "could not be seen" }));
  return card;
}

function drawCurve(curve, times) {
  const driving = sinceFirst(curve.driving);
  const result = sinceFirst(curve.result);
  const values = [...driving, ...result].filter((value) => value !== null);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const place = (value, index) => {
    const x = MARGIN + ((WIDTH - 2 * MARGIN) * index) / Math.max(1, times.length - 1);
    const y = HEIGHT - MARGIN - ((HEIGHT - 2 * MARGIN) * (value - low)) / (high - low || 1);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  };
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${curve.name} of the driving video and of the result over ${times.at(-1).toFixed(1)} seconds`);
  svg.append(line(driving, place, "line-driving"), line(result, place, "line-result"));
  return make("div", { className: "curve" }, make("h3", { textContent: `${curve.part}: ${curve.name}` }), make("p", { textContent: curve.unit }), svg);
}

function line(values, place, className) {
  let path = "";
  let isDrawing = false;
  values.forEach((value, index) => {
    if (value === null) { isDrawing = false; return; }
    path += `${isDrawing ? "L" : "M"}${place(value, index)}`;
    isDrawing = true;
  });
  const element = document.createElementNS(SVG, "path");
  element.setAttribute("d", path);
  element.setAttribute("class", className);
  return element;
}

function sinceFirst(values) {
  const first = values.find((value) => value !== null) ?? 0;
  return values.map((value) => (value === null ? null : value - first));
}
