"use strict";
// Favorites, which the browser keeps in its local storage: images of seeds, or edited and found
// ones as the text of a point of the latent space.

const KEY = "ganvas.favorites";
// What the server accepts in one ZIP file.
const MAX_IMAGES = 64, MAX_MODELS = 4;
// Characters of an address; of longer points, the image is requested by a form.
const MAX_ADDRESS = 4000;

function readFavorites() {
  try {
    const list = JSON.parse(localStorage.getItem(KEY));
    return Array.isArray(list) ? list : [];
  } catch {
    return [];
  }
}

// The fields in a fixed order, so that equal images have equal texts.
function identify(image) {
  const { model, version, seed, number, class: name, truncation, point } = image;
  return JSON.stringify(point ? { model, version, point } : { model, version, seed, number, class: name, truncation });
}

// The fields of a favorite's page and file.
function favoriteFields(image) {
  if (image.point) return [["model", image.model], ["version", image.version], ...new URLSearchParams(image.point)];
  return Object.entries(image).filter(([, value]) => value !== null);
}

// The text of a favorite as a point, such as a keyframe of a film.
function favoritePoint(image) {
  if (image.point) return image.point;
  const fields = [["seed", image.seed], ["number", image.number], ["truncation", image.truncation], ["class", image.class]];
  return new URLSearchParams(fields.filter(([name, value]) => value !== null && !(name === "truncation" && value === 1))).toString();
}

function favoriteTitle(image) {
  if (image.point) return image.title;
  return `Image no. ${image.number} of seed ${image.seed}` + (image.class ? `, ${image.class}` : "");
}

// Show the image of an edited point, whose address may be too long for a link.
async function showPoint(element, address, fields) {
  const query = new URLSearchParams(fields);
  if (`${address}?${query}`.length <= MAX_ADDRESS) {
    element.src = `${address}?${query}`;
    return keepLoading(element);
  }
  const response = await fetch(address, { method: "POST", body: query });
  if (!response.ok) return;
  const reader = new FileReader();
  reader.addEventListener("load", () => { element.src = reader.result; });
  reader.readAsDataURL(await response.blob());
}

function toggleFavorite(image) {
  const list = readFavorites();
  const kept = list.filter((other) => identify(other) !== identify(image));
  if (kept.length === list.length) kept.push(image);
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // Storage is full or forbidden: the button shows that nothing was kept.
  }
  return readFavorites().some((other) => identify(other) === identify(image));
}

function showHearts(root) {
  for (const button of root.querySelectorAll("[data-favorite]")) {
    const image = () => JSON.parse(button.dataset.favorite);
    const update = () => {
      const kept = readFavorites().some((other) => identify(other) === identify(image()));
      button.setAttribute("aria-pressed", kept);
    };
    button.hidden = false;
    button.addEventListener("click", () => button.setAttribute("aria-pressed", toggleFavorite(image())));
    // An edit makes it the button of another image.
    button.addEventListener("favorite", update);
    window.addEventListener("pageshow", update);
    update();
  }
}
showHearts(document);

// The page of favorites.

function splitForZips(images) {
  const groups = [];
  for (const image of images) {
    const models = (group) => new Set(group.map((i) => JSON.stringify([i.model, i.version])));
    const last = groups.at(-1);
    if (last && last.length < MAX_IMAGES && models([...last, image]).size <= MAX_MODELS) last.push(image);
    else groups.push([image]);
  }
  return groups;
}

async function downloadZip(address, images, filename) {
  const response = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ images }),
  });
  if (!response.ok) throw new Error((await response.json()).error);
  saveBlob(await response.blob(), filename);
}

for (const page of document.querySelectorAll("[data-favorites]")) {
  const grid = page.querySelector("ul");
  const status = page.querySelector("[data-status]");
  const show = () => {
    const images = readFavorites();
    page.querySelector("[data-actions]").hidden = !images.length;
    page.querySelector("[data-empty]").hidden = images.length > 0;
    grid.replaceChildren(...images.map((image) => {
      const tile = page.querySelector("template").content.cloneNode(true);
      const query = new URLSearchParams(favoriteFields(image));
      const title = favoriteTitle(image);
      const link = tile.querySelector("a"), element = tile.querySelector("img");
      element.alt = title;
      element.title = `${title}, ${image.model}`;
      if (image.point) {
        link.href = `${page.dataset.edit}?${query}`;
        link.addEventListener("click", (event) => {
          if (link.href.length <= MAX_ADDRESS) return;
          event.preventDefault();
          openPage(page.dataset.edit, favoriteFields(image));
        });
        showPoint(element, page.dataset.edited, favoriteFields(image));
      } else {
        link.href = `${page.dataset.page}?${query}`;
        // A thumbnail of large images.
        element.src = `${page.dataset.image}?${query}&format=webp&side=${page.dataset.side}`;
        keepLoading(element);
      }
      tile.querySelector(".caption").textContent = image.point ? title : image.class || image.model;
      tile.querySelector(".tile .quiet").textContent = image.point ? "edited" : `seed ${image.seed} · ${image.number}`;
      tile.querySelector("button").addEventListener("click", () => { toggleFavorite(image); show(); });
      return tile;
    }));
  };
  page.querySelector("[data-clear]").addEventListener("click", () => {
    if (!confirm("Remove all favorites?")) return;
    localStorage.removeItem(KEY);
    show();
  });
  page.querySelector("[data-download]").addEventListener("click", async () => {
    const favorites = readFavorites();
    const groups = splitForZips(favorites.filter((image) => !image.point));
    try {
      for (const [i, images] of groups.entries()) {
        status.textContent = "Generating…";
        const suffix = groups.length > 1 ? `-${i + 1}` : "";
        await downloadZip(page.dataset.zip, images, `favorites${suffix}.zip`);
      }
      // Edited images are files of their own.
      for (const [i, image] of favorites.filter((favorite) => favorite.point).entries()) {
        status.textContent = "Generating…";
        const body = new URLSearchParams(favoriteFields(image));
        const response = await request(page.dataset.editedFile, body, (text) => { status.textContent = text; });
        saveBlob(await response.blob(), `favorite-edited-${i + 1}.png`);
      }
      status.textContent = "";
    } catch (error) {
      status.textContent = error.message;
    }
  });
  window.addEventListener("pageshow", show);
  show();
}
