"use strict";
// What the pages of the latent space share: requests of images, and the film that is being made.

// Seconds between requests that a busy server refuses, and how many there are.
const WAITS = [1, 2, 4, 8, 8, 8, 8, 8, 8];
const FILM_KEY = "ganvas.film";

const sleep = (seconds) => new Promise((resolve) => { setTimeout(resolve, 1000 * seconds); });

// The message of an error response: its page's sentence, or the API's.
async function readError(response) {
  const text = await response.text();
  if (response.headers.get("Content-Type")?.includes("json")) return JSON.parse(text).error;
  const page = new DOMParser().parseFromString(text, "text/html");
  return page.querySelector("main h1 + p")?.textContent || text.slice(0, 200) || "The server has no answer.";
}

// A request that is sent again while the server is busy; `report` shows what happens.
async function request(address, body, report, signal) {
  for (const seconds of [...WAITS, null]) {
    const response = await fetch(address, { method: "POST", body, signal });
    if (response.ok) return response;
    const sentence = await readError(response);
    if (![429, 503].includes(response.status) || seconds === null) throw new Error(sentence);
    report(`${sentence.replace(/: try again.*/, "")}: trying again in ${seconds} s…`);
    await sleep(seconds);
    signal?.throwIfAborted();
  }
}

// The policy of the pages allows data: addresses of images alone, and no blob: ones.
function toDataUri(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(blob);
  });
}

function saveBlob(blob, filename) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// Pages are opened by links, or by forms if their fields are too long for one.
function openPage(page, fields) {
  const query = new URLSearchParams(fields).toString();
  if (page.length + query.length < MAX_ADDRESS) return location.assign(`${page}?${query}`);
  const form = document.createElement("form");
  form.method = "post";
  form.action = page;
  for (const [name, value] of fields) {
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name, value });
    form.append(input);
  }
  document.body.append(form);
  form.submit();
}

// The keyframes of the film of each model and version.

const filmName = (model, version) => `${model} ${version}`;

function readFilm(model, version) {
  try {
    const keys = JSON.parse(localStorage.getItem(FILM_KEY))?.[filmName(model, version)];
    return Array.isArray(keys) ? keys.filter((key) => typeof key === "string") : [];
  } catch {
    return [];
  }
}

function keepFilm(model, version, keys) {
  try {
    // Films of other versions are forgotten: their points have other images.
    localStorage.setItem(FILM_KEY, JSON.stringify({ [filmName(model, version)]: keys }));
  } catch {
    // Storage is full or forbidden: the film is only on its page.
  }
}

// "Add to film" puts an image behind the keyframes that are already there.
function addToFilm(root) {
  for (const button of root.querySelectorAll("[data-add-film]")) {
    button.addEventListener("click", (event) => {
      const url = button.form ? null : new URL(button.href);
      const own = url ? [...url.searchParams] : [...new FormData(button.form, button)];
      const fields = Object.fromEntries(own);
      const keys = readFilm(fields.model, fields.version);
      if (!keys.length) return;
      event.preventDefault();
      openPage(url ? url.pathname : button.formAction, [...keys.map((key) => ["key", key]), ...own]);
    });
  }
}
addToFilm(document);
