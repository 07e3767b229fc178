// Encodes camera frames, sends them to the server one at a time, and decodes the answers, beside the page's own thread.

const LONGEST_SIDE = 480; // pixels of the frames that are sent; the model works on 256
const HEADER = 8; // bytes: the time of capture
const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
const decoder = new TextDecoder();
let socket = null;
let kept = null; // the camera frame that is on its way, where the page wants to show it
let sentAt = 0;

onmessage = async ({ data }) => {
  if (data.type === "open") open(data);
  else if (data.type === "frame") await send(data);
  else if (data.type === "command") socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify({ command: data.command, value: data.value ?? 0 }));
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
  socket = null;
  own?.close();
  kept = null;
}

async function send({ frame, capturedAt, mirrored, keep }) {
  const width = frame.displayWidth ?? frame.width;
  const height = frame.displayHeight ?? frame.height;
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  context.setTransform(mirrored ? -1 : 1, 0, 0, 1, mirrored ? w : 0, 0);
  context.drawImage(frame, 0, 0, w, h);
  frame.close();
  kept = keep ? await createImageBitmap(canvas) : null;
  const jpeg = await (await canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 })).arrayBuffer();
  if (socket?.readyState !== WebSocket.OPEN) return;
  const message = new Uint8Array(HEADER + jpeg.byteLength);
  new DataView(message.buffer).setFloat64(0, capturedAt / 1000, true);
  message.set(new Uint8Array(jpeg), HEADER);
  sentAt = performance.now();
  socket.send(message);
}

async function answer(buffer) {
  const roundTrip = performance.now() - sentAt;
  const length = new DataView(buffer).getUint32(0, true);
  const figures = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, length)));
  const image = await createImageBitmap(new Blob([new Uint8Array(buffer, 4 + length)], { type: "image/jpeg" }));
  const camera = kept;
  kept = null;
  postMessage({ type: "result", image, camera, figures, roundTrip }, camera ? [image, camera] : [image]);
}
