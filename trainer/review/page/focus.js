// The selected image, large, with what is known of it.

import { outlineAddress, pictureAddress } from "./gallery.js";

const byId = id => document.getElementById(id);
const moment = text => new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });

export function showFocus(image, batch, canRepeat) {
  byId("picture").hidden = image === null;
  for (const button of document.querySelectorAll("[data-judge]")) {
    button.disabled = image === null;
    button.setAttribute("aria-pressed", image !== null && image.judgement === button.dataset.judge);
  }
  byId("again").hidden = image === null || !batch || !canRepeat;
  if (image === null) {
    byId("facts").replaceChildren();
    return;
  }
  put(byId("picture-image"), pictureAddress(image));
  byId("picture-image").alt = `Image ${image.id}`;
  byId("picture-outline").hidden = !image.has_mask;
  if (image.has_mask) put(byId("picture-outline"), outlineAddress(image));
  const facts = [
    ["Image", `${image.id}, ${batch ? `batch ${batch.id}` : "last build"}`],
    ["Prompt", image.prompt],
    ["Seed", image.index === null ? image.seed : `${image.seed}, number ${image.index}`],
    ["Drawn by", image.generator],
    ["On", image.source],
    [batch ? "Drawn" : "Built", moment(image.made_at)],
    ["Use", image.split === "train" ? null : "calibration: sets the threshold, is not trained on"],
    ["Judged", image.judged_at ? moment(image.judged_at) : "not yet"],
    ["Mask", image.has_mask ? null : "none: the generator cannot tell"],
    ["File", image.file],
  ];
  byId("facts").replaceChildren(...facts.filter(([, value]) => value != null).flatMap(([name, value]) => [
    Object.assign(document.createElement("dt"), { textContent: name }),
    Object.assign(document.createElement("dd"), { textContent: value }),
  ]));
}

function put(image, address) {
  if (image.getAttribute("src") !== address) image.src = address;
}
