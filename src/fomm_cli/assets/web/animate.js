// The page Animate: portrait, motion, options, progress, results.

import { address, follow, request, upload } from "./api.js";
import { closeCamera, openCamera, recordingType, suffixOf } from "./camera.js";
import { arrowKeys, byId, make, percent, say, seconds, sentence, show, takeFiles } from "./dom.js";
import { Player } from "./player.js";
import { drawScore } from "./score.js";

const LONGEST_RECORDING = 60; // seconds
const state = { source: null, driving: null, face: null, check: 0, jobs: new Map(), scores: new Map(), options: null, shown: null };
let player;

export function startAnimate(options) {
  state.options = options;
  player = new Player();
  fillOptions(options);
  source();
  driving();
  recording();
  byId("options").addEventListener("submit", (event) => { event.preventDefault(); start(); });
  byId("motion_scale").addEventListener("input", (event) => { byId("motion_scale_shown").textContent = percent(event.target.value); });
  byId("try-samples").addEventListener("click", () => {
    if (!state.source) byId("source-sample").click();
    if (!state.driving) byId("driving-sample").click();
    byId("start").focus();
  });
  byId("score").addEventListener("click", score);
  refreshStart();
  request("GET", "/api/jobs").then((jobs) => jobs.forEach(take)).catch(() => {});
}

export const chosenSource = () => state.source;

// ---- portrait

function source() {
  takeFiles(byId("source-drop"), byId("source-input"), ([file]) => useFile("source", file));
  byId("source-sample").addEventListener("click", () => useStored("source", { id: "sample-source", name: "sample portrait", content_type: "image/png" }));
  byId("source-clear").addEventListener("click", () => forget("source"));
  arrowKeys(byId("source-holder"), ".face", (box) => box.click());
  byId("source-image").addEventListener("error", () => show(byId("source-holder"), false));
}

async function useFile(which, file) {
  say(byId(`${which}-message`));
  if (file.size > state.options.upload_bytes) {
    say(byId(`${which}-message`), { problem: `${file.name} is larger than ${Math.round(state.options.upload_bytes / 1e6)} MB`, next_step: "Cut the video, or make it smaller" });
    return;
  }
  const bar = byId(`${which}-upload`);
  bar.value = 0;
  show(bar);
  try {
    await useStored(which, await upload(file, file.name || "file", (sent) => { bar.value = sent; }));
  } catch (error) {
    say(byId(`${which}-message`), error);
  } finally {
    show(bar, false);
  }
}

function useStored(which, file) {
  state[which] = file;
  say(byId(`${which}-message`));
  byId(`${which}-name`).textContent = file.name;
  if (which === "source") showSource(file);
  else showDriving(file);
  refreshStart();
  return checkSource();
}

function forget(which) {
  state[which] = null;
  say(byId(`${which}-message`));
  show(byId(`${which}-shown`), false);
  if (which === "source") {
    show(byId("source-drop"));
    show(byId("verdict"), false);
    byId("source-input").focus();
  } else {
    byId("driving-video").removeAttribute("src");
    showMotionFrom();
    byId("driving-input").focus();
  }
  refreshStart();
}

function showSource(file) {
  show(byId("source-drop"), false);
  show(byId("source-shown"));
  show(byId("source-holder"));
  byId("source-holder").classList.add("fitted");
  byId("source-holder").querySelectorAll(".face").forEach((box) => box.remove());
  byId("source-image").src = address(`/api/files/${file.id}/preview`);
  state.face = null;
}

async function checkSource() {
  if (!state.source) return;
  const asked = ++state.check;
  const verdict = byId("verdict");
  const began = performance.now();
  const waiting = setInterval(() => {
    const waited = (performance.now() - began) / 1000;
    if (waited > 0.4) verdict.replaceChildren(make("p", { className: "drop-hint", textContent: `Looking for faces · ${waited.toFixed(1)} s` }));
  }, 100);
  show(verdict);
  try {
    const question = { source: state.source.id };
    if (state.driving) question.driving = state.driving.id;
    if (state.face) question.face = state.face;
    const result = await request("POST", "/api/check", question);
    if (asked === state.check) showCheck(result);
  } catch (error) {
    if (asked !== state.check) return;
    show(verdict, false);
    say(byId("source-message"), error);
    if (!error.problem.startsWith("fomm")) { // it cannot be read: nothing to animate
      state.source = null;
      show(byId("source-shown"), false);
      show(byId("source-drop"));
      refreshStart();
    }
  } finally {
    clearInterval(waiting);
  }
}

const WORDS = { good: "This animates well", fair: "This should work", poor: "Expect flaws in the result" };
const ADVICE = [
  [/--face N/, "Click the face that is meant"],
  [/--find_best_frame/, "Tick \"Start from the most similar pose\""],
  [/--crop|--fit/, "It is cropped to the face by itself, unless you choose otherwise"],
  [/--face_backend/, "Install MediaPipe to find more faces: pip install mediapipe"],
];

function showCheck(result) {
  const findings = [...result.source, ...result.driving];
  const worst = findings.filter((each) => each.verdict !== "good");
  const line = make("p", { className: "verdict-line" }, make("span", { className: `badge ${result.verdict}`, textContent: result.verdict }), make("span", { textContent: WORDS[result.verdict] }));
  const list = make("ul", { className: "findings" }, ...(worst.length ? worst : findings).map(finding));
  const rest = worst.length ? findings.filter((each) => each.verdict === "good") : [];
  const verdict = byId("verdict");
  verdict.replaceChildren(line, worst.length ? list : make("details", {}, make("summary", { textContent: "What was looked at" }), list));
  if (rest.length) verdict.append(make("details", {}, make("summary", { textContent: "What is good" }), make("ul", { className: "findings" }, ...rest.map(finding))));
  showFaces(result);
}

function finding({ verdict, topic, text, flag }) {
  const known = ADVICE.find(([pattern]) => pattern.test(flag));
  const advice = known ? known[1] : flag;
  const body = make("span", { textContent: sentence(text) });
  if (advice && verdict !== "good") body.append(make("span", { className: "advice", textContent: sentence(advice) }));
  return make("li", { title: topic }, make("span", { className: `badge ${verdict}`, textContent: verdict }), body);
}

function showFaces({ faces, width, height }) {
  const holder = byId("source-holder");
  const hadFocus = holder.contains(document.activeElement);
  holder.querySelectorAll(".face").forEach((box) => box.remove());
  if (faces.length > 1) { holder.setAttribute("role", "radiogroup"); holder.setAttribute("aria-label", "The face to animate"); }
  faces.forEach(({ left, top, right, bottom }, index) => {
    const isChosen = index + 1 === (state.face ?? 1);
    const box = make("button", { type: "button", className: "face", role: "radio", "aria-checked": isChosen, "aria-label": `Face ${index + 1} of ${faces.length}`, tabIndex: isChosen ? 0 : -1 });
    if (faces.length > 1) box.append(make("span", { textContent: index + 1 }));
    else box.disabled = true;
    Object.assign(box.style, { left: `${(100 * left) / width}%`, top: `${(100 * top) / height}%`, width: `${(100 * (right - left)) / width}%`, height: `${(100 * (bottom - top)) / height}%` });
    box.addEventListener("click", () => {
      state.face = index + 1;
      for (const other of holder.querySelectorAll(".face")) {
        other.setAttribute("aria-checked", other === box);
        other.tabIndex = other === box ? 0 : -1;
      }
      checkSource();
    });
    holder.append(box);
    if (hadFocus && isChosen) box.focus();
  });
}

// ---- motion

function driving() {
  takeFiles(byId("driving-drop"), byId("driving-input"), ([file]) => useFile("driving", file));
  byId("driving-sample").addEventListener("click", () => useStored("driving", { id: "sample-driving", name: "sample video", content_type: "video/mp4" }));
  byId("driving-clear").addEventListener("click", () => forget("driving"));
  document.querySelectorAll("[name=motion-from]").forEach((each) => each.addEventListener("change", () => {
    state.driving = null;
    show(byId("driving-shown"), false);
    say(byId("driving-message"));
    showMotionFrom();
    refreshStart();
  }));
  const video = byId("driving-video");
  video.addEventListener("error", () => {
    if (!video.getAttribute("src") || !state.driving) return;
    show(video, false);
    const image = byId("driving-image");
    image.src = address(`/api/files/${state.driving.id}/preview`);
    show(image);
    show(byId("driving-note"), state.driving.content_type.startsWith("video/"));
  });
  byId("driving-image").addEventListener("error", () => {
    if (state.driving) request("GET", `/api/files/${state.driving.id}/preview`).catch((error) => {
      forget("driving");
      say(byId("driving-message"), error);
    });
  });
}

function showMotionFrom() {
  const from = document.querySelector("[name=motion-from]:checked").value;
  for (const each of ["video", "camera", "motions"]) show(byId(`from-${each}`), each === from);
  if (from !== "camera") stopPreview();
}

function showDriving(file) {
  for (const each of ["video", "camera"]) show(byId(`from-${each}`), false);
  const isMotion = file.id.startsWith("motion:") || file.name.endsWith(".npz");
  show(byId("driving-shown"), !file.id.startsWith("motion:"));
  const [video, image] = [byId("driving-video"), byId("driving-image")];
  show(byId("driving-note"), false);
  show(image, false);
  show(video, !isMotion);
  show(video.parentElement, !isMotion);
  if (!isMotion) video.src = address(`/api/files/${file.id}`);
  stopPreview();
}

function showMotions(motions) {
  const names = Object.keys(motions);
  show(byId("motion-from-package"), names.length > 0);
  const group = byId("motions");
  group.replaceChildren(...names.map((name, index) => make("button", { type: "button", role: "radio", "aria-checked": "false", textContent: name.replaceAll("_", " "), title: motions[name], value: name, tabIndex: index ? -1 : 0 })));
  const choose = (button) => {
    for (const other of group.children) {
      other.setAttribute("aria-checked", other === button);
      other.tabIndex = other === button ? 0 : -1;
    }
    useStored("driving", { id: `motion:${button.value}`, name: button.value, content_type: "" });
  };
  group.addEventListener("click", (event) => event.target.closest("button") && choose(event.target.closest("button")));
  arrowKeys(group, "button", choose);
}

// ---- recording a driving video

let preview = null;

function recording() {
  byId("record-open").addEventListener("click", async () => {
    say(byId("driving-message"));
    try {
      preview = await openCamera();
      byId("record-preview").srcObject = preview;
      await byId("record-preview").play();
      show(byId("record-open"), false);
      show(byId("record-start"));
      byId("record-start").focus();
    } catch (error) {
      say(byId("driving-message"), error);
    }
  });
  let recorder = null;
  byId("record-start").addEventListener("click", async () => {
    if (recorder) { recorder.stop(); return; }
    recorder = await record(preview, byId("record-start"));
    recorder.addEventListener("stop", () => { recorder = null; });
  });
}

function stopPreview() {
  closeCamera(preview);
  preview = null;
  byId("record-preview").srcObject = null;
  show(byId("record-open"));
  show(byId("record-start"), false);
}

async function record(stream, button) {
  const count = byId("record-count");
  button.disabled = true;
  show(count);
  for (const number of [3, 2, 1]) {
    count.textContent = number;
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
  show(count, false);
  button.disabled = false;
  const recorder = new MediaRecorder(stream, { mimeType: recordingType(), videoBitsPerSecond: 6e6 });
  const parts = [];
  const began = performance.now();
  const time = byId("record-time");
  show(time);
  const ticking = setInterval(() => {
    const passed = (performance.now() - began) / 1000;
    time.textContent = `${passed.toFixed(1)} s`;
    if (passed >= LONGEST_RECORDING) recorder.stop();
  }, 100);
  recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
  recorder.addEventListener("stop", () => {
    clearInterval(ticking);
    show(time, false);
    button.classList.remove("on");
    button.textContent = "Record";
    useFile("driving", new File(parts, `recording.${suffixOf(recorder.mimeType)}`, { type: recorder.mimeType }));
  });
  button.classList.add("on");
  button.textContent = "Stop";
  recorder.start();
  return recorder;
}

// ---- options and start

function fillOptions({ models, engines, motions }) {
  const form = byId("options");
  models.forEach((name) => form.elements.model.append(new Option(name, name)));
  form.elements.engine.replaceChildren(...engines.map((name) => new Option(name, name)));
  showMotions(motions);
}

function chosenOptions() {
  const form = byId("options").elements;
  const options = { motion_scale: Number(form.motion_scale.value), relative: !form.absolute.checked, adapt_scale: form.adapt_scale.checked };
  for (const name of ["find_best_frame", "paste_back", "smooth", "audio"]) options[name] = form[name].checked;
  for (const name of ["crop", "fit", "engine", "precision"]) options[name] = form[name].value;
  for (const name of ["start", "end", "max_frames", "best_frame", "crf"]) if (form[name].value !== "") options[name] = Number(form[name].value);
  options.size = Number(form.size.value) || form.size.value;
  if (form.absolute.checked) delete options.motion_scale;
  if (["gif", "webp"].includes(form.format.value) || state.driving.content_type === "") options.audio = false;
  if (state.face) options.face = state.face;
  return options;
}

function refreshStart() {
  const missing = [state.source ? null : "a portrait", state.driving ? null : "a motion"].filter(Boolean);
  byId("start-missing").textContent = `Choose ${missing.join(" and ")} first.`;
  show(byId("start-hint"), missing.length > 0);
  byId("start").disabled = missing.length > 0;
}

async function start() {
  say(byId("start-message"));
  if (!state.source || !state.driving) return;
  const form = byId("options").elements;
  const order = { kind: "animate", source: state.source.id, driving: state.driving.id, format: form.format.value, options: chosenOptions() };
  if (form.model.value) order.model = form.model.value;
  try {
    take(await request("POST", "/api/jobs", order), true);
  } catch (error) {
    say(byId("start-message"), error);
  }
}

// ---- jobs

function take(job, isNew = false) {
  if (job.kind === "score") {
    if (job.state === "done") state.scores.set(job.inputs.job, job);
    return;
  }
  const entry = { job, card: jobCard(job), isNew };
  state.jobs.set(job.id, entry);
  if (["queued", "running"].includes(job.state)) {
    byId("queue").append(entry.card.box);
    follow(job.id, (description) => update(entry, description));
  } else {
    update(entry, job);
  }
}

function jobCard(job) {
  const title = make("b", { textContent: job.title });
  const cancel = make("button", { type: "button", className: "quiet", textContent: "Cancel", "aria-label": `Cancel ${job.title}` });
  const bar = make("progress", { max: 1, "aria-label": `Progress of ${job.title}` });
  const line = make("p", { className: "figure", textContent: "waiting" });
  const message = make("div", { className: "message", role: "alert", hidden: true });
  const box = make("div", { className: "job" }, make("div", { className: "job-head" }, title, cancel), bar, line, message);
  box.dataset.job = job.id;
  cancel.addEventListener("click", async () => {
    const { job: now } = state.jobs.get(job.id);
    if (["queued", "running"].includes(now.state)) await request("POST", `/api/jobs/${job.id}/cancel`).catch((error) => say(message, error));
    else remove(job.id);
  });
  return { box, bar, line, cancel, message };
}

function update(entry, job) {
  entry.job = { ...entry.job, ...job };
  const { bar, line, box, cancel, message } = entry.card;
  box.dataset.state = job.state;
  if (job.state === "running" || job.state === "queued") {
    entry.began ??= job.state === "running" ? performance.now() : undefined;
    if (job.total) { bar.max = job.total; bar.value = job.done; } else bar.removeAttribute("value");
    line.textContent = progressLine(job, entry.began);
    if (job.state === "running") tick(entry);
    return;
  }
  clearInterval(entry.ticking);
  show(bar, false);
  if (job.state === "done") {
    box.remove();
    showResults();
    if (entry.isNew) open(job.id);
    return;
  }
  cancel.textContent = "Close";
  line.textContent = job.state === "cancelled" ? "cancelled" : "failed";
  if (job.state === "failed") say(message, job.error);
  if (!box.isConnected) byId("queue").append(box);
}

function progressLine(job, began) {
  if (job.state === "queued") return "waiting for the job before it";
  if (!job.stage) return `loading the model · ${began ? seconds((performance.now() - began) / 1000) : ""}`;
  const frames = job.total ? `${job.done} of ${job.total} frames` : `${job.done} frames`;
  const rate = job.frames_per_second ? ` · ${job.frames_per_second.toFixed(job.frames_per_second < 10 ? 1 : 0)} frames/s` : "";
  const left = job.seconds_left === null || job.seconds_left === undefined ? "" : ` · ${seconds(job.seconds_left)} left`;
  return `${job.stage} · ${frames}${rate}${left}`;
}

function tick(entry) { // so that seconds pass while nothing is reported
  clearInterval(entry.ticking);
  if (entry.job.stage) return;
  entry.ticking = setInterval(() => { entry.card.line.textContent = progressLine(entry.job, entry.began); }, 200);
}

async function remove(id) {
  const { job, card } = state.jobs.get(id);
  await request("DELETE", `/api/jobs/${id}`).catch(() => {});
  card.box.remove();
  state.jobs.delete(id);
  if (state.shown === job.id) {
    state.shown = null;
    player.clear();
    show(byId("viewer"), false);
  }
  showResults();
}

// ---- results

const isImage = ({ result }) => result.still || /\.(gif|webp)$/.test(result.file);
const finished = () => [...state.jobs.values()].filter(({ job }) => job.state === "done").map(({ job }) => job).reverse();

function showResults() {
  const jobs = finished();
  show(byId("results"), jobs.length > 0);
  const kept = new Map([...byId("results-list").children].map((item) => [item.dataset.job, item]));
  byId("results-list").replaceChildren(...jobs.map((job) => kept.get(job.id) ?? resultItem(job)));
  for (const item of byId("results-list").children) item.classList.toggle("shown", item.dataset.job === state.shown);
}

function resultItem(job) {
  const result = address(`/api/jobs/${job.id}/result`);
  const shown = isImage(job) ? make("img", { src: result, alt: "" }) : make("video", { src: `${result}#t=0.1`, muted: true, playsInline: true, preload: "auto" });
  const thumb = make("button", { type: "button", className: "thumb", "aria-label": `Show ${job.title}` }, shown);
  thumb.addEventListener("click", () => open(job.id));
  const download = make("a", { className: "button quiet", href: address(`/api/jobs/${job.id}/result?download`), download: "", textContent: "Download", "aria-label": `Download ${job.title}` });
  const drop = make("button", { type: "button", className: "quiet", textContent: "Remove", "aria-label": `Remove ${job.title}` });
  drop.addEventListener("click", () => remove(job.id));
  const text = make("div", { className: "result-text" }, make("b", { textContent: job.title, title: job.title }), make("span", { className: "figure", textContent: summary(job) }), make("div", { className: "row" }, download, drop));
  const item = make("li", { className: "result" }, thumb, text);
  item.dataset.job = job.id;
  return item;
}

function summary({ result }) {
  if (result.still) return "one image";
  return `${seconds(result.duration)} · ${result.frames} frames`;
}

function facts({ result }) {
  const rows = {
    Length: result.still ? "one image" : `${seconds(result.duration)}, ${result.frames} frames`,
    Audio: result.audio ? "kept" : "none",
    Computed: `in ${seconds(result.seconds)}, ${result.frames_per_second.toFixed(1)} frames/s`,
    On: result.device,
    "Portrait cropped": result.source_crop ?? "no",
    "Video cropped": result.driving_crop ?? "no",
    "Initial frame": String(result.best_frame),
  };
  return Object.entries(rows).map(([name, value]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value })));
}

function open(id) {
  const { job } = state.jobs.get(id);
  state.shown = id;
  show(byId("viewer"));
  byId("viewer-title").textContent = job.title;
  byId("viewer-facts").replaceChildren(...facts(job));
  byId("pane-source").src = address(`/api/files/${job.inputs.source}/preview`);
  const result = address(`/api/jobs/${id}/result`);
  const hasVideo = !job.inputs.driving.startsWith("motion:") && !job.result.still;
  show(byId("pane-result"), !isImage(job));
  show(byId("pane-result-image"), isImage(job));
  show(byId("player"), !isImage(job));
  show(byId("pane-driving"), hasVideo);
  show(byId("pane-driving-figure"), !job.inputs.driving.startsWith("motion:"));
  show(byId("pane-driving-image"), job.result.still);
  if (job.result.still) byId("pane-driving-image").src = address(`/api/files/${job.inputs.driving}/preview`);
  if (isImage(job)) { player.clear(); byId("pane-result-image").src = result; } else player.load(result, hasVideo ? address(`/api/files/${job.inputs.driving}`) : "", job.inputs.options.start ?? 0);
  byId("download").href = address(`/api/jobs/${id}/result?download`);
  byId("viewer-notes").replaceChildren(...job.notes.map((note) => make("li", { textContent: sentence(note.replace(" -> ", ": ")) })));
  prepareScore(job, hasVideo);
  showResults();
  byId("viewer").scrollIntoView({ block: "nearest" });
  if (document.activeElement === document.body || document.activeElement === byId("start")) byId("viewer-title").focus({ preventScroll: true });
}

// ---- score

function prepareScore(job, hasVideo) {
  const hint = byId("score-hint");
  const reason = !hasVideo ? "A ready-made motion has no video to compare with." : !state.options.can_score ? "To score results: pip install mediapipe" : "";
  byId("score").disabled = reason !== "";
  hint.textContent = reason;
  show(hint, reason !== "");
  show(byId("score-shown"), false);
  const known = state.scores.get(job.id);
  if (known) showScore(known);
}

async function score() {
  const id = state.shown;
  const button = byId("score");
  const hint = byId("score-hint");
  button.disabled = true;
  show(hint);
  hint.textContent = "waiting";
  const began = performance.now();
  try {
    const job = await request("POST", "/api/jobs", { kind: "score", job: id });
    follow(job.id, (now) => {
      if (state.shown !== id) return;
      hint.textContent = progressLine(now, began).replace("loading the model", "starting");
      if (["queued", "running"].includes(now.state)) return;
      button.disabled = false;
      show(hint, false);
      if (now.state === "done") { state.scores.set(id, now); showScore(now); }
      if (now.state === "failed") { show(byId("score-shown")); say(byId("score-shown").appendChild(make("div", { className: "message" })), now.error); }
    });
  } catch (error) {
    button.disabled = false;
    hint.textContent = sentence(error.problem);
  }
}

function showScore(job) {
  show(byId("score-shown"));
  drawScore(byId("score-shown"), job.result);
}
