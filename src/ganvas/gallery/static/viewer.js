"use strict";
// Images at full size in a dialog. Without this file, they are on pages of their own.

for (const viewer of document.querySelectorAll(".viewer")) {
  const links = [...document.querySelectorAll("a[data-full]")];
  const image = viewer.querySelector("img");
  const file = viewer.querySelector("[data-file]");
  const steps = [...viewer.querySelectorAll("[data-step]")];
  let current = 0, touchStart = null;
  image.style.setProperty("--ratio", image.width / image.height);
  keepLoading(image);

  const show = (position) => {
    current = position;
    const link = links[position];
    const thumbnail = link.querySelector("img");
    // The thumbnail is shown until the whole image is loaded.
    image.src = thumbnail.src;
    image.alt = thumbnail.alt;
    const full = new Image();
    full.addEventListener("load", () => { if (links[current] === link) image.src = full.src; });
    keepLoading(full);
    full.src = link.dataset.full;
    viewer.querySelector("[data-name]").textContent = `${thumbnail.alt} (${position + 1} of ${links.length})`;
    viewer.querySelector("[data-page]").href = link.href;
    file.href = link.dataset.file;
    file.download = `${thumbnail.alt.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-")}.png`;
    for (const button of steps) button.disabled = !links[position + Number(button.dataset.step)];
  };
  const step = (by) => { if (links[current + by]) show(current + by); };

  links.forEach((link, position) => link.addEventListener("click", (event) => {
    // New tabs and windows are left to the browser.
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    show(position);
    viewer.showModal();
  }));
  for (const button of steps) {
    button.addEventListener("click", () => {
      step(Number(button.dataset.step));
      // A disabled button would lose the focus, and with it the keys.
      if (button.disabled) viewer.querySelector("[data-close]").focus();
    });
  }
  viewer.querySelector("[data-close]").addEventListener("click", () => viewer.close());
  // A click beside the image, on the dialog itself, closes it.
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
  viewer.addEventListener("close", () => links[current].focus());
  viewer.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) step(by);
    if (event.key === "Home") show(0);
    if (event.key === "End") show(links.length - 1);
  });
  viewer.addEventListener("touchstart", (event) => {
    touchStart = event.touches.length === 1 ? event.touches[0].clientX : null;
  }, { passive: true });
  viewer.addEventListener("touchend", (event) => {
    if (touchStart === null) return;
    const moved = event.changedTouches[0].clientX - touchStart;
    if (Math.abs(moved) > 40) step(moved < 0 ? 1 : -1);
    touchStart = null;
  }, { passive: true });
}
