// Small helpers for the page.

export const byId = (id) => document.getElementById(id);

/** Make an element with properties, attributes (names with a dash, or `role`) and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function show(element, shown = true) {
  element.hidden = !shown;
}

/** Show an error in a message box: what is wrong, and what to do. Without one, hide the box. */
export function say(box, error = null) {
  box.replaceChildren();
  show(box, error !== null);
  if (error === null) return;
  const { problem, next_step: next } = typeof error === "string" ? { problem: error } : error;
  box.append(make("b", { textContent: sentence(problem) }), next ? sentence(next) : "");
}

/** Make a message a sentence; names of files, options and programs at its beginning stay as they are. */
export function sentence(text) {
  const clean = text.trim();
  const first = /^(?!fomm\b)[a-z']+[ ,:]/.test(clean) ? clean[0].toUpperCase() + clean.slice(1) : clean;
  return /[.!?]$/.test(first) ? first : `${first}.`;
}

export function percent(value) {
  return `${Math.round(100 * value)} %`;
}

export function seconds(value) {
  if (value < 90) return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

/** Let a drop area take files that are dropped on it or chosen with its input. */
export function takeFiles(area, input, taken) {
  input.addEventListener("change", () => {
    if (input.files.length) taken([...input.files]);
    input.value = "";
  });
  const over = (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    area.classList.add("over");
  };
  area.addEventListener("dragenter", over);
  area.addEventListener("dragover", over);
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    if (event.dataTransfer.files.length) taken([...event.dataTransfer.files]);
  });
}

/** Let the arrow keys move between the buttons of a radio group, as those of native radio buttons do. */
export function arrowKeys(group, selector, chosen) {
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const buttons = [...group.querySelectorAll(selector)];
    const at = buttons.indexOf(document.activeElement);
    if (!step || at < 0 || buttons.length < 2) return;
    event.preventDefault();
    event.stopPropagation();
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    chosen(next);
  });
}
