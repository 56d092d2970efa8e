"use strict";
// Sends the requests of the API page's forms and shows the responses.

// Names of files that are offered for download, by the media type of the response.
const FILES = {
  "application/zip": "images.zip",
  "application/octet-stream": "latents.npy",
  "video/mp4": "film.mp4",
};

function buildRequest(form) {
  const { method, path, body } = form.dataset;
  if (body === "json") {
    const headers = { "Content-Type": "application/json" };
    return [path, { method, headers, body: form.querySelector("textarea").value }];
  }
  // Empty fields are left out.
  const fields = [...new FormData(form)].filter(([, value]) => value !== "");
  if (body === "query") return [fields.length ? `${path}?${new URLSearchParams(fields)}` : path, { method }];
  const data = new FormData();
  fields.forEach(([name, value]) => data.append(name, value));
  return [path, body === "form" ? { method, body: data } : { method }];
}

function readAsDataUrl(blob) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.readAsDataURL(blob);
  });
}

async function showBody(response) {
  const type = response.headers.get("Content-Type") || "";
  if (type.startsWith("image/")) {
    const image = document.createElement("img");
    // The pages' policy allows data: addresses, and no blob: ones.
    image.src = await readAsDataUrl(await response.blob());
    image.alt = "Response";
    return image;
  }
  const name = FILES[type.split(";")[0]];
  if (name) {
    const link = document.createElement("a");
    const blob = await response.blob();
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.textContent = `${name}, ${Math.ceil(blob.size / 1024)} KB`;
    return link;
  }
  const text = document.createElement("pre");
  const content = await response.text();
  try {
    // Base64 of images would fill the page.
    const shorten = (_, value) => typeof value === "string" && value.length > 200 ? `${value.slice(0, 200)}…` : value;
    text.textContent = JSON.stringify(JSON.parse(content, shorten), null, 2);
  } catch {
    text.textContent = content;
  }
  text.className = "scroll";
  return text;
}

for (const form of document.querySelectorAll("form[data-path]")) {
  const output = form.parentElement.querySelector(".response");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    output.textContent = "…";
    const [address, options] = buildRequest(form);
    const start = performance.now();
    try {
      const response = await fetch(address, options);
      const body = await showBody(response);
      const line = document.createElement("p");
      const status = document.createElement("b");
      status.textContent = `${response.status} ${response.statusText}`;
      const seconds = ((performance.now() - start) / 1000).toFixed(2);
      line.append(status, ` · ${response.headers.get("Content-Type")} · ${seconds} s`);
      output.replaceChildren(line, body);
    } catch (error) {
      output.textContent = error.message;
    }
  });
}
