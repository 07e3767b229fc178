// Encodes camera frames, sends them to the server, and decodes the answers, beside the page's own thread. At most two
// frames are underway, so delay cannot pile up; the next one is encoded before an answer comes, and sent at once with it.

const LONGEST_SIDE = 480; // pixels of the frames that are sent; the model works on 256
const HEADER = 8; // bytes: the time of capture
const MOST_UNDERWAY = 2; // the server animates so many side by side
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
const decoder = new TextDecoder();
let socket = null;
let prepared = null; // {bytes, camera}: the next frame to send; camera is its image where the page wants to show it
let underway = []; // {sentAt, camera} of the frames whose answers are awaited, in their order
let answeredAt = 0;
let interval = 0; // milliseconds between the last two answers

onmessage = async ({ data }) => {
  if (data.type === "open") open(data);
  else if (data.type === "frame") await prepare(data);
  else if (data.type === "command") socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(data.order));
  else if (data.type === "close") close();
};

function open({ address, start }) {
  let problem = "";
  const own = new WebSocket(address);
  socket = own;
  own.binaryType = "arraybuffer";
  own.onopen = () => own.send(JSON.stringify(start));
  own.onmessage = async (event) => {
    if (own !== socket) return;
    if (typeof event.data !== "string") { await answer(event.data); return; }
    const message = JSON.parse(event.data);
    if (message.type === "error") problem = message.problem;
    else postMessage(message);
  };
  own.onclose = (event) => {
    if (own !== socket) return;
    socket = null;
    postMessage({ type: "closed", problem: problem || event.reason || "the connection to fomm is lost" });
  };
}

function close() {
  const own = socket;
  socket = prepared = null;
  underway = [];
  own?.close();
}

async function prepare({ frame, capturedAt, mirrored, keep }) {
  const width = frame.displayWidth ?? frame.width;
  const height = frame.displayHeight ?? frame.height;
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? w : 0, 0);
  context.drawImage(frame, 0, 0, w, h);
  frame.close();
  const camera = keep ? await createImageBitmap(canvas) : null;
  const jpeg = await (await canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 })).arrayBuffer();
  const bytes = new Uint8Array(HEADER + jpeg.byteLength);
  new DataView(bytes.buffer).setFloat64(0, capturedAt / 1000, true);
  bytes.set(new Uint8Array(jpeg), HEADER);
  prepared = { bytes, camera };
  send();
}

/** Send the prepared frame, unless an answer has to come first. */
function send() {
  if (!prepared || underway.length === MOST_UNDERWAY || socket?.readyState !== WebSocket.OPEN) return;
  const { bytes, camera } = prepared;
  socket.send(bytes);
  underway.push({ sentAt: performance.now(), camera });
  prepared = null;
  postMessage({ type: "sent", room: room() });
}

/** Return the milliseconds until another frame can be sent, as far as that can be told. */
function room() {
  return underway.length < MOST_UNDERWAY ? 0 : Math.max(0, answeredAt + interval - performance.now());
}

async function answer(buffer) {
  const { sentAt, camera } = underway.shift();
  const now = performance.now();
  const roundTrip = now - sentAt;
  if (answeredAt) interval = now - answeredAt;
  answeredAt = now;
  send();
  const length = new DataView(buffer).getUint32(0, true);
  const figures = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, length)));
  const image = await createImageBitmap(new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/jpeg" }));
  postMessage({ type: "result", image, camera, figures, roundTrip, room: room() }, camera ? [image, camera] : [image]);
}
