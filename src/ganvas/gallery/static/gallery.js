"use strict";
// Without this file, everything works but the interpolation player.

// Images that a busy server refuses are requested again, a few times.
function keepLoading(image) {
  let tries = 0;
  image.addEventListener("error", () => {
    tries += 1;
    if (tries > 6) return;
    const address = image.src;
    setTimeout(() => { if (image.src === address) image.src = address; }, 1000 * 2 ** (tries - 1));
  });
}
for (const image of document.querySelectorAll("img[data-retry]")) {
  keepLoading(image);
  // It may have failed before this script was loaded.
  if (image.complete && image.getAttribute("src") && !image.naturalWidth) image.dispatchEvent(new Event("error"));
}

// Sliders show their value.
for (const output of document.querySelectorAll("output[data-of]")) {
  const input = output.closest("form").elements[output.dataset.of];
  input.addEventListener("input", () => { output.value = input.value; });
}

// On a narrow screen the navigation scrolls: show the current page's link.
for (const link of document.querySelectorAll("nav [aria-current]")) {
  const nav = link.closest("nav");
  nav.scrollLeft = link.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2;
}

// Permalinks are copied; where the browser forbids it, the link is followed.
for (const link of document.querySelectorAll("[data-copy]")) {
  const text = link.textContent;
  link.addEventListener("click", async (event) => {
    if (!navigator.clipboard) return;
    event.preventDefault();
    try {
      await navigator.clipboard.writeText(link.href);
      link.textContent = "Copied";
      setTimeout(() => { link.textContent = text; }, 2000);
    } catch {
      location.assign(link.href);
    }
  });
}

// The first score of a model takes seconds, since reference images are scored, too.
for (const button of document.querySelectorAll("[data-busy]")) {
  const text = button.textContent;
  button.form.addEventListener("submit", (event) => {
    if (event.submitter === button) button.textContent = button.dataset.busy;
  });
  window.addEventListener("pageshow", () => { button.textContent = text; });
}

// Each button of the selection needs some number of selected images.
for (const form of document.querySelectorAll("[data-selection]")) {
  const buttons = [...form.querySelectorAll(".selection button")];
  const count = form.querySelector("[data-count]");
  const update = () => {
    const selected = form.querySelectorAll("input[name=pick]:checked").length;
    for (const button of buttons) {
      button.disabled = selected < Number(button.dataset.least) || selected > Number(button.dataset.most);
    }
    // Without a selection, the bar would cover images for nothing.
    form.querySelector(".selection").classList.toggle("idle", !selected);
    count.textContent = `${selected} selected`;
  };
  form.addEventListener("change", update);
  // After the Back button, the browser restores the selection.
  window.addEventListener("pageshow", update);
  update();
}

// The player of an interpolation shows one of the steps below it.
for (const player of document.querySelectorAll("[data-player]")) {
  const current = player.querySelector("[data-current]");
  const slider = player.querySelector("input[type=range]");
  const output = player.querySelector("output");
  const button = player.querySelector("[data-plays]");
  const steps = [...document.querySelectorAll(".steps img")];
  let timer = null;
  const show = () => {
    const position = Number(slider.value);
    current.src = steps[position].src;
    output.value = `${position + 1} of ${steps.length}`;
    steps.forEach((step, i) => step.classList.toggle("chosen", i === position));
  };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  slider.addEventListener("input", show);
  slider.addEventListener("pointerdown", stop);
  steps.forEach((step, i) => step.addEventListener("click", () => {
    stop();
    slider.value = i;
    show();
  }));
  button.addEventListener("click", () => {
    if (timer) return stop();
    let forward = Number(slider.value) < steps.length - 1;
    button.textContent = "Stop";
    timer = setInterval(() => {
      const next = Number(slider.value) + (forward ? 1 : -1);
      if (next >= steps.length - 1 || next <= 0) forward = !forward;
      slider.value = next;
      show();
    }, 90);
  });
  show();
}

// In the game, a tap on an image switches its answer.
for (const form of document.querySelectorAll("[data-game]")) {
  const answered = form.querySelector("[data-answered]");
  const rounds = form.querySelectorAll(".answers").length;
  const update = () => {
    answered.textContent = `${form.querySelectorAll(".answers :checked").length} of ${rounds} answered`;
  };
  for (const image of form.querySelectorAll(".tap")) {
    image.addEventListener("click", (event) => {
      event.preventDefault();
      const [real, generated] = image.closest("li").querySelectorAll("input");
      (real.checked ? generated : real).checked = true;
      update();
    });
  }
  form.addEventListener("change", update);
  update();
}
