// Joins the panels: asks the server how things stand, judges, takes back, and listens to the keys.

import { Unreachable, get, post } from "./server.js";
import { Gallery } from "./gallery.js";
import { Order } from "./order.js";
import { showFocus } from "./focus.js";

const byId = id => document.getElementById(id);
const BUSY_MS = 250;
const IDLE_MS = 2000;
const KEYS = { a: "accept", r: "reject", f: "flag" };

const setup = await get("/api/setup");
const gallery = new Gallery(setup, onSelect);
const order = new Order(setup, say, started => { if (started) gallery.followNextBatch(); look(); });
let known = null; // the server's revision that the gallery shows
let timer = 0;
let looking = Promise.resolve();
let sending = Promise.resolve(); // judgements go out in the order they were made

byId("run").textContent = setup.run;
document.title = `Review ${setup.run}`;
byId("next-build-command").textContent = setup.next_build.replaceAll(" --", " \\\n  --");
byId("outlines").checked = localStorage.getItem("inandout-review:outlines") !== "off";
showOutlines();
look();

function say(text, isProblem = false) {
  byId("message").textContent = text;
  byId("message").classList.toggle("problem", isProblem);
}

// Ask how things stand now, and again before long.
function look() {
  clearTimeout(timer);
  looking = looking.then(async () => {
    let wait = IDLE_MS;
    try {
      const { progress, revision } = await get("/api/state");
      await catchUp(revision);
      order.show(progress);
      const working = progress.state === "drawing" || progress.state === "stopping";
      gallery.expect(working ? progress.batch : null, working ? progress.wanted - progress.drawn : 0);
      if (working || progress.state === "loading") wait = BUSY_MS;
      if (byId("message").dataset.lost) { delete byId("message").dataset.lost; say(""); }
    } catch (error) {
      if (error instanceof Unreachable) byId("message").dataset.lost = "yes";
      say(error.message, true);
    }
    clearTimeout(timer);
    timer = setTimeout(look, wait);
  });
}

async function catchUp(revision) {
  if (known && Object.keys(revision).every(name => known[name] === revision[name])) return;
  const onlyMore =
    known && known.event === revision.event && known.built === revision.built && known.shown + revision.image - known.image === revision.shown;
  const told = await get(`/api/images?after=${onlyMore ? known.image : 0}`);
  known = told.revision;
  gallery.take({ ...told, whole: !onlyMore });
  order.showPrompts(told.batches.map(batch => batch.prompt));
  count();
}

function onSelect(image) {
  const batch = image && gallery.batches.get(image.batch);
  showFocus(image, batch, setup.steered_by.length > 0);
}

function judge(judgement) {
  const image = gallery.current;
  if (!image) return;
  const next = gallery.afterJudging();
  gallery.update({ ...image, judgement });
  gallery.select(next);
  count();
  send(`/api/images/${image.id}/judgement`, { judgement }, () => say(""));
}

function undo() {
  send("/api/undo", {}, ({ image }) => {
    if (!image) return say("Nothing to undo.");
    if (!gallery.images.has(image.id)) return say(`Undone: image ${image.id}, of an earlier build.`);
    gallery.update(image);
    if (!gallery.shown.some(each => each.id === image.id)) gallery.useFilter("all");
    gallery.select(image.id);
    say(`Undone: image ${image.id} is ${image.judgement ? `back to ${image.judgement}` : "to be judged again"}.`);
  });
}

function send(path, body, then) {
  sending = sending.then(async () => {
    try {
      const answer = await post(path, body);
      if (answer.image) gallery.update(answer.image);
      if (known && answer.revision.event <= known.event + 1) known = { ...known, event: answer.revision.event };
      then(answer);
    } catch (error) {
      known = null; // show what the server has, not what we hoped
      look();
      say(error.message, true);
    }
    count();
  });
}

function count() {
  const images = [...gallery.images.values()];
  const accepted = images.filter(image => image.judgement === "accept" && image.split === "train");
  const drawn = accepted.filter(image => image.batch !== null).length;
  const left = images.filter(image => image.judgement === "reject" && image.batch === null).length;
  byId("target-bar").firstElementChild.style.width = `${Math.min(100, (100 * accepted.length) / setup.target)}%`;
  byId("target-bar").setAttribute("aria-valuemax", setup.target);
  byId("target-bar").setAttribute("aria-valuenow", accepted.length);
  byId("target-text").textContent = `${accepted.length} of ${setup.target} accepted`;
  byId("next-build-text").textContent = [
    drawn ? `${drawn} accepted: the next build of this run trains on them.` : "Images accepted here go into the next build of this run.",
    left ? `${left} rejected of the last build: the next one leaves them out.` : "",
  ].join(" ");
}

function showOutlines() {
  document.body.classList.toggle("outlines", byId("outlines").checked);
  localStorage.setItem("inandout-review:outlines", byId("outlines").checked ? "on" : "off");
}

byId("outlines").addEventListener("change", showOutlines);
byId("undo").addEventListener("click", undo);
byId("picture").addEventListener("click", () => document.body.classList.toggle("enlarged"));
byId("again").addEventListener("click", () => order.repeat(gallery.batches.get(gallery.current.batch)).catch(error => say(error.message, true)));
byId("copy").addEventListener("click", () => navigator.clipboard.writeText(setup.next_build).then(() => say("Copied."), () => say("The browser does not allow copying: select the command instead.", true)));
for (const button of document.querySelectorAll("[data-judge]")) button.addEventListener("click", () => judge(button.dataset.judge));

document.addEventListener("keydown", event => {
  if (event.target.matches("textarea, input[type=number], input[type=range]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const control = event.ctrlKey || event.metaKey;
  if (event.altKey || (control && key !== "z")) return;
  if (control || key === "u") undo();
  else if (KEYS[key]) { if (!event.repeat) judge(KEYS[key]); }
  else if (key.startsWith("Arrow")) gallery.move(key);
  else if (key === "m") { byId("outlines").checked = !byId("outlines").checked; showOutlines(); }
  else if (key === "z") document.body.classList.toggle("enlarged");
  else if (key === "Escape") document.body.classList.remove("enlarged");
  else return;
  event.preventDefault();
});
