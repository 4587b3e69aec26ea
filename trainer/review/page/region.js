// The region a person paints on the good image: strokes are kept, so that each can be taken back.

export class Region {
  // canvas: of the model's size, shown at any size; onChange: called after every stroke, undo and clear.
  constructor(canvas, width, height, onChange) {
    this.canvas = canvas;
    this.canvas.width = width;
    this.canvas.height = height;
    this.onChange = onChange;
    this.strokes = [];
    this.current = null;
    this.tool = "brush";
    this.size = Math.max(2, Math.round(Math.min(width, height) / 10));
    canvas.addEventListener("pointerdown", event => this.begin(event));
    canvas.addEventListener("pointermove", event => this.extend(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => this.end());
  }

  get empty() { return this.strokes.length === 0; }

  undo() { this.strokes.pop(); this.changed(); }

  clear() { this.strokes = []; this.changed(); }

  // White where to paint, black elsewhere: a PNG file in base64, or null where nothing is painted.
  toBase64() {
    if (this.empty) return null;
    const sheet = this.sheet();
    const brush = sheet.getContext("2d");
    brush.globalCompositeOperation = "destination-over";
    brush.fillRect(0, 0, sheet.width, sheet.height);
    return sheet.toDataURL("image/png").split(",")[1];
  }

  // Start anew from a picture as toBase64 makes them.
  async load(address) {
    const image = new Image();
    image.src = address;
    await image.decode();
    const sheet = this.blank();
    const brush = sheet.getContext("2d");
    brush.drawImage(image, 0, 0, sheet.width, sheet.height);
    const pixels = brush.getImageData(0, 0, sheet.width, sheet.height);
    for (let at = 0; at < pixels.data.length; at += 4) pixels.data[at + 3] = pixels.data[at] > 127 ? 255 : 0;
    brush.putImageData(pixels, 0, 0);
    this.strokes = [{ tool: "picture", sheet }];
    this.changed();
  }

  begin(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.canvas.setPointerCapture(event.pointerId);
    this.current = { tool: this.tool, size: this.size, points: [this.point(event)] };
    this.strokes.push(this.current);
    this.show();
  }

  extend(event) {
    if (!this.current) return;
    for (const each of event.getCoalescedEvents?.() ?? [event]) this.current.points.push(this.point(each));
    this.show();
  }

  end() {
    if (!this.current) return;
    this.current = null;
    this.changed();
  }

  changed() { this.show(); this.onChange(); }

  show() {
    const brush = this.canvas.getContext("2d");
    brush.globalCompositeOperation = "copy";
    brush.drawImage(this.sheet(), 0, 0);
    brush.globalCompositeOperation = "source-in";
    brush.fillStyle = "#00a2ff";
    brush.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  blank() { return Object.assign(document.createElement("canvas"), { width: this.canvas.width, height: this.canvas.height }); }

  // All strokes in white on nothing.
  sheet() {
    const sheet = this.blank();
    const brush = sheet.getContext("2d");
    brush.strokeStyle = brush.fillStyle = "#fff";
    brush.lineCap = brush.lineJoin = "round";
    for (const stroke of this.strokes) paint(brush, stroke);
    brush.fillStyle = "#000";
    return sheet;
  }

  // In pixels of the model's input, whatever size the canvas is shown at.
  point(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.canvas.width,
      ((event.clientY - box.top) / box.height) * this.canvas.height,
    ];
  }
}

function paint(brush, stroke) {
  if (stroke.tool === "picture") {
    brush.drawImage(stroke.sheet, 0, 0);
    return;
  }
  const [x, y] = stroke.points[0];
  if (stroke.tool === "rectangle") {
    const [right, bottom] = stroke.points.at(-1);
    brush.fillRect(Math.min(x, right), Math.min(y, bottom), Math.abs(right - x), Math.abs(bottom - y));
    return;
  }
  brush.beginPath();
  brush.arc(x, y, stroke.size / 2, 0, 2 * Math.PI); // a line without length draws nothing
  brush.fill();
  brush.lineWidth = stroke.size;
  brush.beginPath();
  brush.moveTo(x, y);
  for (const point of stroke.points) brush.lineTo(...point);
  brush.stroke();
}
