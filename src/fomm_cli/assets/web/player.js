// Plays a result and its driving video in step.

import { byId } from "./dom.js";

const APART = 0.06; // seconds that the driving video may lag before it is set right

export class Player {
  constructor() {
    this.box = byId("player");
    this.result = byId("pane-result");
    this.driving = byId("pane-driving");
    this.seek = byId("seek");
    this.offset = 0;
    byId("play").addEventListener("click", () => this.toggle());
    this.seek.addEventListener("input", () => this.jump(Number(this.seek.value)));
    byId("speed").addEventListener("change", (event) => this.speed(Number(event.target.value)));
    byId("loop").addEventListener("change", (event) => { this.result.loop = event.target.checked; });
    for (const event of ["play", "pause", "ended"]) this.result.addEventListener(event, () => this.follow());
    this.result.addEventListener("loadedmetadata", () => this.tell());
    this.result.addEventListener("seeked", () => this.align(true));
    this.result.addEventListener("click", () => this.toggle());
  }

  /** Show a result; the driving video began `offset` seconds after its own start. */
  load(result, driving, offset) {
    this.offset = offset;
    this.result.loop = byId("loop").checked;
    this.result.src = result;
    if (driving) this.driving.src = driving;
    else this.driving.removeAttribute("src");
    this.speed(Number(byId("speed").value));
    this.result.play().catch(() => {});
  }

  clear() {
    this.result.pause();
    this.result.removeAttribute("src");
    this.driving.removeAttribute("src");
  }

  toggle() {
    if (this.result.paused) this.result.play().catch(() => {});
    else this.result.pause();
  }

  jump(fraction) {
    if (this.result.duration) this.result.currentTime = fraction * this.result.duration;
  }

  speed(rate) {
    this.result.playbackRate = rate;
    this.driving.playbackRate = rate;
  }

  follow() {
    const plays = !this.result.paused;
    this.box.classList.toggle("playing", plays);
    byId("play").setAttribute("aria-label", plays ? "Pause" : "Play");
    if (plays) {
      this.driving.play().catch(() => {});
      const step = () => {
        this.align(false);
        this.tell();
        if (!this.result.paused) requestAnimationFrame(step);
      };
      step();
    } else {
      this.driving.pause();
      this.align(true);
    }
  }

  align(exactly) {
    const wanted = this.result.currentTime + this.offset;
    if (this.driving.readyState === 0 || this.driving.seeking) return;
    if (Math.abs(this.driving.currentTime - wanted) > (exactly ? 0.01 : APART)) this.driving.currentTime = wanted;
  }

  tell() {
    const { currentTime: at, duration } = this.result;
    if (!duration) return;
    this.seek.value = at / duration;
    this.seek.setAttribute("aria-valuetext", `${at.toFixed(1)} of ${duration.toFixed(1)} seconds`);
    byId("time").textContent = `${at.toFixed(1)} / ${duration.toFixed(1)} s`;
  }
}
