"use strict";
// Favorites: requests of single images, which the browser keeps in its local storage.

const KEY = "ganvas.favorites";
// What the server accepts in one ZIP file.
const MAX_IMAGES = 64, MAX_MODELS = 4;

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
  const { model, version, seed, number, class: name, truncation } = image;
  return JSON.stringify({ model, version, seed, number, class: name, truncation });
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

for (const button of document.querySelectorAll("[data-favorite]")) {
  const image = JSON.parse(button.dataset.favorite);
  const update = () => {
    const kept = readFavorites().some((other) => identify(other) === identify(image));
    button.setAttribute("aria-pressed", kept);
  };
  button.hidden = false;
  button.addEventListener("click", () => button.setAttribute("aria-pressed", toggleFavorite(image)));
  window.addEventListener("pageshow", update);
  update();
}

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
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
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
      const fields = Object.entries(image).filter(([, value]) => value !== null);
      const query = `?${new URLSearchParams(fields)}`;
      const name = image.class ? `, ${image.class}` : "";
      tile.querySelector("a").href = page.dataset.page + query;
      const element = tile.querySelector("img");
      // A thumbnail of large images.
      element.src = `${page.dataset.image + query}&format=webp&side=${page.dataset.side}`;
      keepLoading(element);
      element.alt = `Seed ${image.seed}, image no. ${image.number}${name}`;
      element.title = `${element.alt}, ${image.model}`;
      tile.querySelector(".caption").textContent = image.class || image.model;
      tile.querySelector(".tile .quiet").textContent = `seed ${image.seed} · ${image.number}`;
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
    const groups = splitForZips(readFavorites());
    try {
      for (const [i, images] of groups.entries()) {
        status.textContent = "Generating…";
        const suffix = groups.length > 1 ? `-${i + 1}` : "";
        await downloadZip(page.dataset.zip, images, `favorites${suffix}.zip`);
      }
      status.textContent = "";
    } catch (error) {
      status.textContent = error.message;
    }
  });
  window.addEventListener("pageshow", show);
  show();
}
