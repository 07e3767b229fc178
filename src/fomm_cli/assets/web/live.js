// The page Live: the webcam moves an avatar.

import { address, assetAddress, socketAddress, upload } from "./api.js";
import { chosenSource } from "./animate.js";
import { closeCamera, listCameras, openCamera, recordingType, suffixOf } from "./camera.js";
import { arrowKeys, byId, make, percent, say, seconds, show, takeFiles } from "./dom.js";

const LOST_AFTER = 0.8; // seconds without a face until the page says so
const WARNING_SECONDS = 8;
const WINDOW = 2; // seconds that figures are taken over
const GHOST = 0.45;
const LEAD = 30; // milliseconds before a frame can be sent, at which it is prepared

const policy = window.trustedTypes?.createPolicy("fomm-worker", { createScriptURL: (url) => url });
const view = { mirrored: true, ghost: false, self: false };
const session = { worker: null, stream: null, isReady: false, isPrepared: false, isFresh: false, capturedAt: 0, roomAt: 0, seen: 0, lastFace: 0 };
const avatars = [{ id: "sample-source", name: "sample portrait" }];
let chosen = 0;
let shown = []; // {at, delay, compute, transport} of the last frames
let recorder = null;
const canvas = byId("live-canvas");
const paint = canvas.getContext("2d", { alpha: false });
const camera = byId("live-camera");

export function startLive({ upload_bytes: most }) {
  byId("live-start").addEventListener("click", begin);
  byId("live-stop").addEventListener("click", () => end());
  byId("live-take").addEventListener("click", () => command("take_reference"));
  byId("live-find").addEventListener("click", () => command("find_reference"));
  byId("live-mirror").addEventListener("click", () => { toggle("mirrored", "live-mirror"); command("find_reference"); });
  byId("live-ghost").addEventListener("click", () => toggle("ghost", "live-ghost"));
  byId("live-self").addEventListener("click", () => toggle("self", "live-self"));
  byId("live-record").addEventListener("click", () => (recorder ? recorder.stop() : record()));
  byId("live-device").addEventListener("change", () => session.stream && changeCamera());
  byId("live-scale").addEventListener("input", (event) => {
    byId("live-scale-shown").textContent = percent(event.target.value);
    command("motion_scale", { value: Number(event.target.value) });
  });
  takeFiles(byId("avatar-drop"), byId("avatar-input"), (files) => addAvatars(files, most));
  arrowKeys(byId("avatars"), ".avatar", (button) => button.click());
  document.addEventListener("keydown", onKey);
  setInterval(tell, 500);
}

/** Show the tab: the portrait of the page Animate is an avatar, too. */
export function openLive() {
  const source = chosenSource();
  if (source && !avatars.some((each) => each.id === source.id)) {
    avatars.unshift(source);
    chosen = 0;
  }
  showAvatars();
  if (!session.stream) showStill();
}

export function leaveLive() {
  if (session.stream) end();
}

// ---- the session

async function begin() {
  say(byId("live-message"));
  byId("live-start").disabled = true;
  const lead = document.querySelector(".stage-lead");
  try {
    lead.textContent = "Opening the camera";
    session.stream = await openCamera(byId("live-device").value);
    session.stream.getVideoTracks()[0].addEventListener("ended", () => end("The camera is gone"));
    camera.srcObject = session.stream;
    await camera.play();
    show(camera);
    listCameras(byId("live-device"));
    waitFor(lead);
    connect();
    watchCamera();
    for (const id of ["live-stop", "live-take", "live-find", "live-record"]) byId(id).disabled = false;
    byId("live-stop").focus();
  } catch (error) {
    end(error);
  }
}

function waitFor(lead) {
  const began = performance.now();
  const waiting = setInterval(() => {
    if (session.isReady || !session.stream) clearInterval(waiting);
    else lead.textContent = `Loading the model · ${seconds((performance.now() - began) / 1000)}`;
  }, 100);
}

function connect() {
  session.worker?.terminate();
  const url = assetAddress("live-worker.js");
  session.worker = new Worker(policy ? policy.createScriptURL(url) : url);
  session.worker.onmessage = ({ data }) => receive(data);
  Object.assign(session, { isReady: false, isPrepared: false, roomAt: 0 });
  const start = { avatars: avatars.map((each) => each.id), motion_scale: Number(byId("live-scale").value) };
  session.worker.postMessage({ type: "open", address: socketAddress("/api/live"), start });
}

function end(error = null) {
  recorder?.stop();
  session.worker?.postMessage({ type: "close" });
  session.worker?.terminate();
  closeCamera(session.stream);
  Object.assign(session, { worker: null, stream: null, isReady: false, isPrepared: false, roomAt: 0, isFresh: false });
  camera.srcObject = null;
  show(camera, false);
  show(byId("live-pill"), false);
  say(byId("live-warning"));
  document.querySelector(".stage-lead").textContent = "Your face moves the portrait";
  show(byId("stage-empty"));
  byId("live-start").disabled = false;
  for (const id of ["live-stop", "live-take", "live-find", "live-record"]) byId(id).disabled = true;
  shown = [];
  for (const name of ["rate", "delay", "compute", "transport", "dropped", "reference"]) byId(`figure-${name}`).textContent = "–";
  showStill();
  say(byId("live-message"), error);
  if (!byId("live").hidden) byId("live-start").focus();
}

async function changeCamera() {
  closeCamera(session.stream);
  try {
    session.stream = await openCamera(byId("live-device").value);
    camera.srcObject = session.stream;
    await camera.play();
    watchCamera();
    command("find_reference");
  } catch (error) {
    end(error);
  }
}

function command(name, details = {}) {
  if (session.isReady) session.worker.postMessage({ type: "command", order: { command: name, ...details } });
}

// ---- frames

function watchCamera() {
  const stream = session.stream;
  const next = camera.requestVideoFrameCallback ? (then) => camera.requestVideoFrameCallback(then) : (then) => requestAnimationFrame((now) => then(now, {}));
  const onFrame = (now, { captureTime }) => {
    if (session.stream !== stream) return;
    Object.assign(session, { isFresh: true, capturedAt: captureTime ?? now, seen: session.seen + 1 });
    offer();
    next(onFrame);
  };
  next(onFrame);
}

/** Prepare the newest camera frame to be sent, shortly before it can be. */
async function offer() {
  if (!session.isReady || session.isPrepared || !session.isFresh) return;
  if (performance.now() < session.roomAt - LEAD) return;
  Object.assign(session, { isPrepared: true, isFresh: false });
  const { capturedAt } = session;
  const frame = window.VideoFrame ? new VideoFrame(camera) : await createImageBitmap(camera);
  const order = { type: "frame", frame, capturedAt, mirrored: view.mirrored, keep: view.ghost || view.self };
  session.worker?.postMessage(order, [frame]);
}

function receive(message) {
  if (message.type === "ready") {
    session.isReady = true;
    session.lastFace = performance.now();
    for (const { id } of avatars.slice(message.avatars)) command("add_avatar", { file: id }); // chosen meanwhile
    if (chosen > 0) command("switch_avatar", { value: chosen });
    offer();
  } else if (message.type === "sent") {
    Object.assign(session, { isPrepared: false, roomAt: performance.now() + message.room });
    offer();
  } else if (message.type === "closed") {
    end({ problem: message.problem, next_step: "Press Start the camera to try again" });
  } else if (message.type === "result" && session.stream) {
    show(byId("stage-empty"), false);
    draw(message);
    session.roomAt = performance.now() + message.room;
    offer();
    warn(message.figures);
    requestAnimationFrame((now) => note(message, now));
  }
}

function draw({ image, camera: sent, figures }) {
  const { width, height } = image;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  if (view.self && sent) paint.fillRect(0, 0, width, height); // the square may reach beyond the camera's frame
  else paint.drawImage(image, 0, 0);
  if (sent) {
    const { left, top, side } = square(figures.crop, sent);
    paint.globalAlpha = view.self ? 1 : GHOST;
    paint.drawImage(sent, left, top, side, side, 0, 0, width, height);
    paint.globalAlpha = 1;
    sent.close();
  }
  image.close();
}

/** Return the square of the camera frame that the model sees. */
function square(crop, { width, height }) {
  if (crop) return { left: crop.left, top: crop.top, side: crop.width };
  const side = Math.min(width, height);
  return { left: (width - side) / 2, top: (height - side) / 2, side };
}

function note({ figures, roundTrip }, now) {
  const delay = now - figures.captured_at * 1000;
  const { all } = figures.milliseconds;
  shown.push({ at: now, delay, compute: all, transport: roundTrip - all, reference: figures.reference });
  canvas.dispatchEvent(new CustomEvent("painted", { detail: { delay, capturedAt: figures.captured_at * 1000 } }));
}

// ---- what is said

function warn({ face, warnings }) {
  const now = performance.now();
  if (face) session.lastFace = now;
  const box = byId("live-warning");
  if (now - session.lastFace > 1000 * LOST_AFTER) {
    session.warned = "lost";
    if (box.dataset.text !== "lost") say(box, { problem: "No face is seen: the avatar rests", next_step: "Come back before the camera, look into the camera, or turn on a light" });
    box.dataset.text = "lost";
  } else if (warnings.length) {
    const [problem, advice] = warnings[0].split(" -> ");
    say(box, { problem, next_step: advice });
    box.dataset.text = warnings[0];
    session.warnedAt = now;
  } else if (box.dataset.text === "lost" || (box.dataset.text && now - session.warnedAt > 1000 * WARNING_SECONDS)) {
    say(box);
    delete box.dataset.text;
  }
}

function tell() {
  if (!session.stream || !shown.length) return;
  const now = performance.now();
  shown = shown.filter((each) => now - each.at < 1000 * WINDOW);
  if (shown.length < 2) return;
  const rate = (1000 * (shown.length - 1)) / (shown.at(-1).at - shown[0].at);
  const delay = median(shown.map((each) => each.delay));
  show(byId("live-pill"));
  byId("live-pill").textContent = `${rate.toFixed(0)} frames/s · ${delay.toFixed(0)} ms`;
  byId("figure-rate").textContent = rate.toFixed(1);
  byId("figure-delay").textContent = `${delay.toFixed(0)} ms`;
  byId("figure-compute").textContent = `${median(shown.map((each) => each.compute)).toFixed(0)} ms`;
  byId("figure-transport").textContent = `${median(shown.map((each) => each.transport)).toFixed(0)} ms`;
  byId("figure-reference").textContent = shown.at(-1).reference === "held" ? "held" : "being sought";
  const left = session.seen - (session.told ?? 0);
  byId("figure-dropped").textContent = left > 0 ? percent(Math.max(0, 1 - (rate * 0.5) / left)) : "–";
  session.told = session.seen;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

function toggle(name, id) {
  view[name] = !view[name];
  byId(id).setAttribute("aria-pressed", view[name]);
  camera.classList.toggle("mirrored", view.mirrored);
}

// ---- avatars

function showAvatars() {
  byId("avatars").replaceChildren(...avatars.map((avatar, index) => {
    const button = make("button", { type: "button", className: "avatar", role: "radio", "aria-checked": index === chosen, "aria-label": `Avatar ${index + 1}: ${avatar.name}`, tabIndex: index === chosen ? 0 : -1 });
    button.append(make("img", { src: address(`/api/files/${avatar.id}/preview`), alt: "" }), make("span", { textContent: index + 1 }));
    button.addEventListener("click", () => choose(index));
    return button;
  }));
  camera.classList.toggle("mirrored", view.mirrored);
}

function choose(index) {
  if (index < 0 || index >= avatars.length) return;
  chosen = index;
  [...byId("avatars").children].forEach((button, at) => {
    button.setAttribute("aria-checked", at === index);
    button.tabIndex = at === index ? 0 : -1;
  });
  command("switch_avatar", { value: index });
  if (!session.stream) showStill();
}

function showStill() {
  const image = new Image();
  image.addEventListener("load", () => {
    if (!session.isReady) paint.drawImage(image, 0, 0, canvas.width, canvas.height);
  });
  image.src = address(`/api/files/${avatars[chosen].id}/preview`);
}

async function addAvatars(files, most) {
  const box = byId("avatar-message");
  say(box);
  const before = avatars.length;
  for (const file of files) {
    try {
      if (file.size > most) throw { problem: `${file.name} is too large`, next_step: "Choose a smaller image" };
      const stored = await upload(file, file.name, () => {});
      const preview = await fetch(address(`/api/files/${stored.id}/preview`));
      if (!preview.ok) throw (await preview.json()).error;
      avatars.push(stored);
      command("add_avatar", { file: stored.id });
    } catch (error) {
      say(box, error);
    }
  }
  if (avatars.length === before) return;
  showAvatars();
  choose(before);
}

// ---- recording

function record() {
  const stream = canvas.captureStream();
  recorder = new MediaRecorder(stream, { mimeType: recordingType(), videoBitsPerSecond: 4e6 });
  const own = recorder;
  const parts = [];
  const began = performance.now();
  const pill = byId("live-recording");
  const ticking = setInterval(() => { pill.textContent = `recording · ${seconds((performance.now() - began) / 1000)}`; }, 200);
  pill.textContent = "recording";
  show(pill);
  byId("live-record").classList.add("on");
  byId("live-record").firstChild.textContent = "Stop recording";
  own.addEventListener("dataavailable", (event) => parts.push(event.data));
  own.addEventListener("stop", () => {
    clearInterval(ticking);
    recorder = null;
    stream.getTracks().forEach((track) => track.stop());
    show(pill, false);
    byId("live-record").classList.remove("on");
    byId("live-record").firstChild.textContent = "Record";
    addRecording(new Blob(parts, { type: own.mimeType }), (performance.now() - began) / 1000);
  });
  own.start(1000);
}

function addRecording(blob, length) {
  const url = URL.createObjectURL(blob);
  const name = `fomm-live-${new Date().toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "")}.${suffixOf(blob.type)}`;
  const video = make("video", { src: url, controls: true, playsInline: true, "aria-label": `Recording of ${seconds(length)}` });
  const download = make("a", { className: "button quiet", href: url, download: name, textContent: "Download" });
  const drop = make("button", { type: "button", className: "quiet", textContent: "Remove" });
  const text = make("div", { className: "result-text" }, make("b", { textContent: name }), make("span", { className: "figure", textContent: seconds(length) }), make("div", { className: "row" }, download, drop));
  const item = make("li", { className: "result" }, make("div", { className: "thumb" }, video), text);
  drop.addEventListener("click", () => { URL.revokeObjectURL(url); item.remove(); });
  byId("live-results").prepend(item);
}

// ---- keys, as those of `fomm live`

const KEYS = { x: "live-take", f: "live-find", r: "live-mirror", o: "live-ghost", 0: "live-self", s: "live-record", q: "live-stop" };

function onKey(event) {
  if (byId("live").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("select, input:not([type=range]):not([type=checkbox])")) return;
  const key = event.key.toLowerCase();
  if (KEYS[key]) byId(KEYS[key]).click();
  else if (key >= "1" && key <= "9") choose(Number(key) - 1);
  else if (key === "a") choose((chosen + avatars.length - 1) % avatars.length);
  else if (key === "d") choose((chosen + 1) % avatars.length);
  else if (key === "i") show(byId("live-figures"), byId("live-figures").hidden);
}
