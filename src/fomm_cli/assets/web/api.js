// The API of the server. Every request carries the token of the page.

const TOKEN = document.body.dataset.token;
const UNREACHABLE = { problem: "fomm does not answer", next_step: "See whether it still runs in the terminal, and start it again: fomm web" };

export class ApiError extends Error {
  constructor({ problem, next_step: next }) {
    super(problem);
    this.problem = problem;
    this.next_step = next;
  }
}

/** Return the address of a route with the token in it, for elements that load it themselves. */
export function address(path) {
  return `${path}${path.includes("?") ? "&" : "?"}token=${TOKEN}`;
}

export function socketAddress(path) {
  return address(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`);
}

export const assetAddress = (name) => `/assets/${TOKEN}/${name}`;

export async function request(method, path, body = null) {
  const headers = { Authorization: `Bearer ${TOKEN}` };
  if (body !== null) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === null ? null : JSON.stringify(body) });
  } catch {
    throw new ApiError(UNREACHABLE);
  }
  if (response.status === 204) return null;
  const value = await response.json().catch(() => ({ error: UNREACHABLE }));
  if (!response.ok) throw new ApiError(value.error);
  return value;
}

/** Upload a file; `progress` is told the fraction that is sent. */
export function upload(file, name, progress) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", file, name);
    sending.open("POST", "/api/files");
    sending.setRequestHeader("Authorization", `Bearer ${TOKEN}`);
    sending.responseType = "json";
    sending.upload.addEventListener("progress", (event) => event.lengthComputable && progress(event.loaded / event.total));
    sending.addEventListener("load", () => {
      if (sending.status === 201) resolve(sending.response);
      else reject(new ApiError(sending.response?.error ?? UNREACHABLE));
    });
    sending.addEventListener("error", () => reject(new ApiError(UNREACHABLE)));
    sending.send(form);
  });
}

/** Follow a job by server-sent events; `changed` gets its description until it is finished. */
export function follow(id, changed) {
  const stream = new EventSource(address(`/api/jobs/${id}/events`));
  for (const state of ["queued", "running", "done", "failed", "cancelled"]) {
    stream.addEventListener(state, (event) => {
      if (["done", "failed", "cancelled"].includes(state)) stream.close();
      changed(JSON.parse(event.data));
    });
  }
  stream.addEventListener("error", async () => {
    if (stream.readyState !== EventSource.CLOSED) return; // it connects again by itself
    try {
      changed(await request("GET", `/api/jobs/${id}`));
    } catch (error) {
      changed({ id, state: "failed", error, notes: [] });
    }
  });
}
