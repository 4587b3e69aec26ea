// The images in groups, newest batch first; one is selected, and arrows walk through those shown.

const byId = id => document.getElementById(id);
const FILTERS = {
  all: () => true,
  open: image => image.judgement === null,
  accept: image => image.judgement === "accept",
  reject: image => image.judgement === "reject",
  flag: image => image.judgement === "flag",
};
const EMPTY = {
  all: "Nothing to look at yet: press Draw.",
  open: "Everything is judged.",
  accept: "Nothing accepted yet.",
  reject: "Nothing rejected.",
  flag: "Nothing flagged.",
};
const WORDS = { accept: "Accepted", reject: "Rejected", flag: "Flagged" };

export class Gallery {
  // onSelect(image): the selection, or what is known of it, has changed; null where nothing is shown.
  constructor(setup, onSelect) {
    this.onSelect = onSelect;
    this.images = new Map();
    this.batches = new Map();
    this.tiles = new Map();
    this.filter = "all";
    this.selected = null;
    this.coming = { batch: null, count: 0 };
    this.awaited = Infinity; // select the first image of a batch from this number on, once it is there
    const aspect = setup.width / setup.height;
    document.documentElement.style.setProperty("--aspect", `${setup.width} / ${setup.height}`);
    document.documentElement.style.setProperty("--ratio", aspect);
    document.documentElement.style.setProperty("--tile", `${Math.round(Math.min(220, Math.max(76, 150 * Math.sqrt(aspect))))}px`);
    for (const button of byId("filters").children) button.addEventListener("click", () => this.useFilter(button.dataset.filter));
  }

  get current() { return this.images.get(this.selected) ?? null; }

  // The images shown, in the order they are shown.
  get shown() { return this.groups().flatMap(group => group.images); }

  take({ images, batches, whole }) {
    if (whole) this.images.clear();
    for (const image of images) this.images.set(image.id, image);
    const first = images.find(image => image.batch >= this.awaited);
    if (first) { this.selected = first.id; this.awaited = Infinity; }
    this.batches = new Map(batches.map(batch => [batch.id, batch]));
    this.show();
  }

  update(image) {
    if (this.images.has(image.id)) this.images.set(image.id, image);
    this.show();
  }

  expect(batch, count) {
    if (batch === this.coming.batch && count === this.coming.count) return;
    this.coming = { batch, count };
    this.show();
  }

  followNextBatch() { this.awaited = Math.max(0, ...this.batches.keys()) + 1; }

  useFilter(filter) {
    this.filter = filter;
    this.show();
  }

  select(id, scroll = true) {
    this.awaited = Infinity;
    this.selected = id;
    this.show();
    if (scroll) this.tiles.get(id)?.scrollIntoView({ block: "nearest" });
  }

  // Where to go once the current image is judged: an unjudged one where there is, else the one after it.
  afterJudging() {
    const shown = this.shown;
    const at = shown.findIndex(image => image.id === this.selected);
    const rest = [...shown.slice(at + 1), ...shown.slice(0, Math.max(at, 0))];
    const next = this.current?.judgement === null ? rest.find(FILTERS.open) : shown[at + 1];
    return (next ?? shown[at + 1] ?? shown[at] ?? null)?.id ?? null;
  }

  move(key) {
    const shown = this.shown;
    if (!shown.length) return;
    const at = shown.findIndex(image => image.id === this.selected);
    if (key === "ArrowLeft") this.select(shown[Math.max(at - 1, 0)].id);
    else if (key === "ArrowRight") this.select(shown[Math.min(at + 1, shown.length - 1)].id);
    else this.select(this.beside(shown, at, key === "ArrowDown" ? 1 : -1));
  }

  // The tile of the next row whose middle is nearest.
  beside(shown, at, down) {
    const place = id => this.tiles.get(id).getBoundingClientRect();
    const here = place(shown[Math.max(at, 0)].id);
    const row = shown.map(image => ({ id: image.id, box: place(image.id) })).filter(({ box }) => (box.top - here.top) * down > 4);
    if (!row.length) return shown[Math.max(at, 0)].id;
    const distance = ({ box }) => Math.abs(box.top - here.top) * 1000 + Math.abs(box.left - here.left);
    return row.reduce((best, each) => (distance(each) < distance(best) ? each : best)).id;
  }

  groups() {
    const passes = FILTERS[this.filter];
    const of = test => [...this.images.values()].filter(image => test(image) && passes(image)).sort((a, b) => a.id - b.id);
    const drawn = [...this.batches.values()].reverse().map(batch => ({ batch, images: of(image => image.batch === batch.id) }));
    const built = [
      { title: "Last build, training", images: of(image => image.batch === null && image.split === "train") },
      { title: "Last build, calibration", images: of(image => image.batch === null && image.split !== "train") },
    ];
    return [...drawn, ...built];
  }

  show() {
    const groups = this.groups();
    const shown = groups.flatMap(group => group.images);
    if (!shown.some(image => image.id === this.selected)) this.selected = shown[0]?.id ?? null;
    for (const button of byId("filters").children) {
      button.setAttribute("aria-pressed", button.dataset.filter === this.filter);
      button.lastElementChild.textContent = [...this.images.values()].filter(FILTERS[button.dataset.filter]).length;
    }
    byId("groups").replaceChildren(...groups.map(group => this.group(group)).filter(Boolean));
    for (const id of this.tiles.keys()) if (!this.images.has(id)) this.tiles.delete(id);
    byId("empty").hidden = byId("groups").childElementCount > 0;
    byId("empty").textContent = EMPTY[this.filter];
    this.onSelect(this.current);
  }

  group({ batch, title, images }) {
    const coming = batch && batch.id === this.coming.batch && this.filter !== "accept" ? this.coming.count : 0;
    if (!images.length && !coming) return null;
    const head = document.createElement("div");
    head.append(element("h3", title ?? `Batch ${batch.id}`), element("span", this.about(batch, images), "quiet"));
    const tiles = element("div", "", "tiles");
    tiles.append(...images.map(image => this.tile(image)));
    tiles.append(...Array.from({ length: coming }, placeholder));
    const group = element("section", "", "group");
    group.append(head, tiles);
    return group;
  }

  about(batch, images) {
    if (!batch) return `${images.length}`;
    const clock = new Date(batch.started_at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    return [`${images.length} of ${batch.wanted}`, clock, batch.prompt].filter(Boolean).join(", ");
  }

  tile(image) {
    let tile = this.tiles.get(image.id);
    if (!tile || tile.dataset.version !== image.version) {
      tile = Object.assign(document.createElement("button"), { type: "button", className: "tile" });
      tile.dataset.id = image.id;
      tile.dataset.version = image.version;
      const frame = element("span", "", "frame");
      frame.append(picture(image), ...(image.has_mask ? [outline(image)] : []));
      tile.append(frame, element("span", "", "label"));
      tile.addEventListener("click", () => this.select(image.id, false));
      this.tiles.set(image.id, tile);
    }
    if (image.judgement) tile.dataset.judgement = image.judgement;
    else delete tile.dataset.judgement;
    tile.lastElementChild.textContent = WORDS[image.judgement] ?? image.id;
    tile.setAttribute("aria-label", `Image ${image.id}, ${(WORDS[image.judgement] ?? "to judge").toLowerCase()}`);
    tile.setAttribute("aria-current", image.id === this.selected);
    return tile;
  }
}

export const pictureAddress = image => `/api/images/${image.id}/picture?v=${image.version}`;
export const outlineAddress = image => `/api/images/${image.id}/outline?v=${image.version}`;

const picture = image => Object.assign(document.createElement("img"), { src: pictureAddress(image), loading: "lazy", alt: "" });
const outline = image =>
  Object.assign(document.createElement("img"), { src: outlineAddress(image), loading: "lazy", alt: "", className: "outline" });

const placeholder = () => {
  const tile = element("div", "", "tile coming");
  tile.append(element("span", "", "frame"));
  return tile;
};

const element = (name, text, className = "") => Object.assign(document.createElement(name), { textContent: text, className });
