// The page: its tabs, and what both of them need.

import { request } from "./api.js";
import { startAnimate } from "./animate.js";
import { arrowKeys, byId, say, show } from "./dom.js";
import { openLive, leaveLive, startLive } from "./live.js";

const TABS = ["animate", "live"];

function select(name) {
  for (const each of TABS) {
    const tab = byId(`tab-${each}`);
    tab.setAttribute("aria-selected", each === name);
    tab.tabIndex = each === name ? 0 : -1;
    show(byId(each), each === name);
  }
  history.replaceState(null, "", `${location.pathname}${location.search}#${name}`);
  if (name === "live") openLive();
  else leaveLive();
}

for (const name of TABS) byId(`tab-${name}`).addEventListener("click", () => select(name));
arrowKeys(document.querySelector("[role=tablist]"), "[role=tab]", (tab) => tab.click());
for (const event of ["dragover", "drop"]) document.addEventListener(event, (each) => each.preventDefault()); // a file beside the drop areas does not replace the page

try {
  const options = await request("GET", "/api/options");
  startAnimate(options);
  startLive(options);
  if (TABS.includes(location.hash.slice(1))) select(location.hash.slice(1));
  document.body.dataset.ready = "";
} catch (error) {
  say(byId("page-message"), error.problem ? error : String(error));
}
