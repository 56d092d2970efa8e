"use strict";
// The page My image: drag and drop, paste, the camera, and progress. Without this file, the form
// sends the file, and the next page has the answer.

for (const form of document.querySelectorAll("[data-upload]")) {
  const input = form.querySelector("input[name=picture]");
  const drop = form.querySelector("[data-drop]"), preview = new Image();
  const status = document.querySelector("[data-status]"), result = document.querySelector("[data-result]");
  const button = form.querySelector("button.primary"), text = button.textContent;
  const report = (message, busy = false) => {
    status.textContent = message;
    status.classList.toggle("busy", busy);
  };

  const showChosen = async () => {
    const [file] = input.files;
    preview.remove();
    if (!file) return;
    if (file.size > Number(form.dataset.most)) return report("The file is too large: at most 32 MB are accepted.");
    report("");
    preview.src = await toDataUri(file);
    // Some formats are read by the server alone.
    try { await preview.decode(); } catch { return; }
    preview.alt = `Your image: ${file.name}`;
    drop.prepend(preview);
  };
  const take = (files) => {
    const image = [...files].find((file) => file.type.startsWith("image/"));
    if (!image) return report("This is no image file.");
    const transfer = new DataTransfer();
    transfer.items.add(image);
    input.files = transfer.files;
    showChosen();
  };
  input.addEventListener("change", showChosen);

  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    // A file that is dropped beside the field would replace the page.
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", ["dragenter", "dragover"].includes(name) && drop.contains(event.target));
      if (name === "drop" && event.dataTransfer.files.length) take(event.dataTransfer.files);
    });
  }
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) take(event.clipboardData.files);
  });
  form.querySelector("[data-drop-help]").hidden = matchMedia("(pointer: coarse)").matches;
  const camera = form.querySelector("[data-camera]");
  camera.hidden = !matchMedia("(pointer: coarse)").matches;
  camera.querySelector("input").addEventListener("change", (event) => take(event.target.files));

  let running = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running || !input.files.length) return;
    running = true;
    button.disabled = true;
    button.textContent = button.dataset.busy;
    const start = Date.now();
    // Screen readers are told once, and not each second.
    const seconds = document.createElement("span");
    seconds.setAttribute("aria-hidden", "true");
    const tick = () => { seconds.textContent = ` ${Math.round((Date.now() - start) / 1000)} s`; };
    const timer = setInterval(tick, 1000);
    report("Searching the latent space…", true);
    status.append(seconds);
    try {
      const busy = (message) => report(message, true);
      const response = await request(form.action, new FormData(form), busy);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      result.replaceChildren(...page.querySelector("[data-result]").childNodes);
      showHearts(result);
      addToFilm(result);
      report(`${result.querySelector("h2").textContent}.`);
      result.querySelector("section").focus();
    } catch (error) {
      report(error.message);
    }
    clearInterval(timer);
    running = false;
    button.disabled = false;
    button.textContent = text;
  });
}
