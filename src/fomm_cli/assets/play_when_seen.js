// Videos that can be focused play while they are on the screen; a click, Enter or Space stops them.
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) target.pause();
    else if (target.dataset.stopped !== "yes") target.play().catch(() => {});
  }
});
for (const video of document.querySelectorAll("video[tabindex]")) {
  seen.observe(video);
  const toggle = () => {
    video.dataset.stopped = video.paused ? "no" : "yes";
    if (video.paused) video.play(); else video.pause();
  };
  video.addEventListener("click", toggle);
  video.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    toggle();
  });
}
