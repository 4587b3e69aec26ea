// The panel that orders images: prompt, good image and region, number and seed. What was entered outlives a reload.

import { get, post } from "./server.js";
import { Region } from "./region.js";

const byId = id => document.getElementById(id);
const STRIP_HEIGHT = 72;

export class Order {
  // setup: as the server tells it; say(text, isProblem): shows a line; onOrder(started): called when an order was taken or stopped.
  constructor(setup, say, onOrder) {
    this.setup = setup;
    this.say = say;
    this.onOrder = onOrder;
    this.memory = `inandout-review:${setup.run}:${setup.width}x${setup.height}`;
    this.takesPrompt = setup.steered_by.includes("prompt");
    this.takesRegion = setup.steered_by.includes("region");
    this.normal = 0;
    this.first = 0;
    byId("generator").textContent = `with ${setup.generator}`;
    byId("unsteered").hidden = this.takesPrompt || this.takesRegion;
    byId("order").classList.toggle("unsteered", !byId("unsteered").hidden);
    byId("prompt-part").hidden = !this.takesPrompt;
    byId("region-part").hidden = byId("vary-part").hidden = !this.takesRegion;
    byId("wanted").max = setup.largest_batch;
    byId("prompt").value = setup.prompts[0] ?? "";
    byId("draw").addEventListener("click", () => this.draw());
    byId("stop").addEventListener("click", () => post("/api/stop").then(() => onOrder(false), error => say(error.message, true)));
    for (const id of ["prompt", "wanted", "vary"]) byId(id).addEventListener("change", () => this.remember());
    if (this.takesRegion) this.setUpRegion();
    this.recall();
    this.showPrompts([]);
  }

  setUpRegion() {
    const { width, height } = this.setup;
    this.region = new Region(byId("region"), width, height, () => { this.showRegion(); this.remember(); });
    byId("brush-size").max = Math.max(8, Math.round(Math.min(width, height) / 3));
    byId("brush-size").value = this.region.size;
    byId("brush-size").addEventListener("input", () => { this.region.size = Number(byId("brush-size").value); this.showBrush(); });
    for (const tool of ["brush", "rectangle"]) byId(`tool-${tool}`).addEventListener("click", () => this.useTool(tool));
    byId("stroke-undo").addEventListener("click", () => this.region.undo());
    byId("region-clear").addEventListener("click", () => this.region.clear());
    byId("normals-back").addEventListener("click", () => this.turn(-this.perStrip()));
    byId("normals-on").addEventListener("click", () => this.turn(this.perStrip()));
    byId("normals-random").addEventListener("click", () => this.choose(Math.floor(Math.random() * this.setup.normals)));
    window.addEventListener("resize", () => { this.fitEasel(); this.turn(0); });
    this.showBrush();
    this.showRegion();
  }

  // Tall parts leave room for the tools beside them; wide ones take the whole width.
  fitEasel() {
    const { width, height } = this.setup;
    const tall = width / height < 0.75;
    const room = byId("normals").clientWidth - (tall ? 130 : 0);
    const below = byId("what").clientHeight - (byId("painting").offsetTop - byId("what").offsetTop) - 12;
    const scale = Math.min(room / width, Math.max(240, below) / height);
    byId("part").width = Math.round(width * scale);
    byId("part").height = Math.round(height * scale);
  }

  async draw() {
    const seed = byId("seed").value.trim();
    const order = { wanted: Number(byId("wanted").value), seed: seed === "" ? null : Number(seed) };
    if (this.takesPrompt) order.prompt = byId("prompt").value;
    if (this.takesRegion) Object.assign(order, { normal: this.normal, region: this.region.toBase64(), vary: byId("vary").checked });
    try {
      await post("/api/draw", order);
      this.say("");
      this.onOrder(true);
    } catch (error) {
      this.say(error.message, true);
    }
  }

  // Take over the prompt, good image and region of an earlier batch.
  async repeat(batch) {
    if (this.takesPrompt && batch.prompt !== null) byId("prompt").value = batch.prompt;
    if (this.takesRegion) {
      if (batch.normal_index !== null) this.choose(batch.normal_index);
      if (batch.region === null) this.region.clear();
      else await this.region.load(`/api/batches/${batch.id}/region?v=${this.setup.key}`);
    }
    this.remember();
  }

  show(progress) {
    const working = progress.state === "drawing" || progress.state === "stopping";
    byId("draw").disabled = progress.state !== "idle";
    byId("stop").disabled = progress.state !== "drawing";
    byId("drawing-bar").hidden = !working;
    byId("drawing-bar").firstElementChild.style.width = `${(100 * progress.drawn) / Math.max(1, progress.wanted)}%`;
    const count = `${progress.drawn} of ${progress.wanted}`;
    byId("drawing-text").textContent = {
      loading: `Loading ${this.setup.generator} …`,
      broken: "",
      drawing: `Drawing, ${count} done`,
      stopping: `Stopping, ${count} done`,
      idle: progress.wanted ? `${count} drawn` : "",
    }[progress.state];
    byId("drawing-problem").hidden = !progress.problem;
    byId("drawing-problem").textContent = progress.problem;
  }

  // The recipe's prompts and the latest ones, to start from.
  showPrompts(used) {
    const offered = [...new Set([...this.setup.prompts, ...used.filter(Boolean).reverse()])].slice(0, 6);
    byId("prompts").replaceChildren(...offered.map(text => {
      const chip = Object.assign(document.createElement("button"), { type: "button", textContent: text, title: text });
      chip.addEventListener("click", () => { byId("prompt").value = text; this.remember(); });
      return chip;
    }));
    if (this.takesRegion) this.fitEasel();
  }

  useTool(tool) {
    this.region.tool = tool;
    for (const name of ["brush", "rectangle"]) byId(`tool-${name}`).setAttribute("aria-pressed", name === tool);
    byId("brush-size").disabled = tool !== "brush";
  }

  showBrush() { byId("brush-shown").textContent = `${this.region.size} px`; }

  showRegion() {
    byId("stroke-undo").disabled = byId("region-clear").disabled = this.region.empty;
    byId("region-hint").textContent = this.region.empty ? "Paint where the defect should be; unpainted, the generator chooses." : "";
  }

  perStrip() {
    return Math.max(1, Math.floor((byId("normals").clientWidth + 4) / (this.thumbWidth() + 4)));
  }

  thumbWidth() { return Math.max(24, Math.min(140, Math.round((STRIP_HEIGHT * this.setup.width) / this.setup.height))); }

  turn(by) {
    this.first = Math.max(0, Math.min(this.first + by, this.setup.normals - this.perStrip()));
    this.showStrip();
  }

  choose(normal) {
    this.normal = normal;
    byId("part").src = `/api/normals/${normal}/picture?v=${this.setup.key}`;
    if (normal < this.first || normal >= this.first + this.perStrip()) this.turn(normal - this.first);
    else this.showStrip();
    get(`/api/normals/${normal}`).then(
      told => { byId("normal-name").textContent = `${told.name}, ${normal + 1} of ${this.setup.normals}`; },
      error => this.say(error.message, true),
    );
    this.remember();
  }

  showStrip() {
    const last = Math.min(this.first + this.perStrip(), this.setup.normals);
    byId("normals-back").disabled = this.first === 0;
    byId("normals-on").disabled = last >= this.setup.normals;
    byId("normals").replaceChildren(...Array.from({ length: last - this.first }, (_, offset) => {
      const normal = this.first + offset;
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.setAttribute("aria-pressed", normal === this.normal);
      button.style.width = `${this.thumbWidth()}px`;
      const address = `/api/normals/${normal}/picture?thumbnail=true&v=${this.setup.key}`;
      button.append(Object.assign(document.createElement("img"), { src: address, alt: `Good image ${normal + 1}` }));
      button.addEventListener("click", () => this.choose(normal));
      return button;
    }));
  }

  remember() {
    const kept = { prompt: byId("prompt").value, wanted: byId("wanted").value, vary: byId("vary").checked };
    if (this.takesRegion) Object.assign(kept, { normal: this.normal, region: this.region.toBase64() });
    localStorage.setItem(this.memory, JSON.stringify(kept));
  }

  recall() {
    const kept = JSON.parse(localStorage.getItem(this.memory) ?? "{}");
    if (kept.prompt) byId("prompt").value = kept.prompt;
    byId("wanted").value = kept.wanted ?? 8;
    byId("vary").checked = kept.vary ?? false;
    if (!this.takesRegion) return;
    const { region } = kept;
    this.choose(Math.min(kept.normal ?? 0, this.setup.normals - 1));
    if (region) this.region.load(`data:image/png;base64,${region}`);
  }
}
