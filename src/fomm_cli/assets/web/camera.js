// Opening a camera, and what to say where that fails.

const HELP = {
  NotAllowedError: {
    problem: "The browser may not use the camera",
    next_step: "Click the camera sign beside the address, allow the camera for this page, and try again. On macOS also allow it for the browser in System Settings, Privacy & Security, Camera",
  },
  NotFoundError: { problem: "There is no camera", next_step: "Plug one in and try again, or record a video with a phone and use it on the page Animate" },
  NotReadableError: { problem: "Another program uses the camera", next_step: "Close it there (a video call, perhaps) and try again" },
  OverconstrainedError: { problem: "That camera is gone", next_step: "Choose another one and try again" },
};
const INSECURE = {
  problem: "The browser gives the camera only to pages on this machine or with TLS",
  next_step: "Open the page on the machine that runs fomm, reach it by ssh -L, or start fomm web with --cert and --key",
};

/** Open a camera; throws a problem and what to do. */
export async function openCamera(device = "") {
  if (!navigator.mediaDevices?.getUserMedia) throw INSECURE;
  const video = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
  if (device) video.deviceId = { exact: device };
  else video.facingMode = "user";
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    throw HELP[error.name] ?? { problem: `The camera cannot be opened (${error.message || error.name})`, next_step: "Try another camera or browser" };
  }
}

export function closeCamera(stream) {
  stream?.getTracks().forEach((track) => track.stop());
}

/** Fill a list with the cameras that the browser names, which it does once one was allowed. */
export async function listCameras(select) {
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter((each) => each.kind === "videoinput" && each.deviceId);
  const chosen = select.value;
  const options = devices.map((each, index) => new Option(each.label || `Camera ${index + 1}`, each.deviceId));
  select.replaceChildren(new Option("the browser's choice", ""), ...options);
  select.value = chosen;
}

/** Return the best format that this browser records in. */
export function recordingType() {
  const types = ["video/mp4;codecs=avc1.42E01E", "video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];
  return types.find((type) => MediaRecorder.isTypeSupported(type)) ?? "";
}

export const suffixOf = (type) => (type.includes("mp4") ? "mp4" : "webm");
